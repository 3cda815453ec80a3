"""How often training yields each label, with intervals over seeds."""

from collections.abc import Sequence

import pandas as pd

from analysis.design import is_adaptive, warn_of_no_effect, warn_of_pooling, warn_of_stopping
from analysis.intervals import METHODS, check_level, interval
from analysis.names import check_name, labels_of
from analysis.sequences import confidence_sequence


def rates(
    df: pd.DataFrame,
    by: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    method: str | None = None,
    level: float = 0.95,
    simultaneous: bool = False,
) -> pd.DataFrame:
    """The share of seeds with each label, in every group of conditions.

    A group that holds several conditions pools their lanes: it describes the mixture, and a warning says so.

    Args:
      df: as from `load`, one row a lane.
      by: columns that define a group; none gives one group of all seeds.
      label: the labels to count; None gives every label of the world, also those that no seed has.
      method: "clopper-pearson", "wilson" (see `interval`) or "sequence" (`confidence_sequence`). None takes Clopper and
        Pearson's, or the sequence where seeds were added until intervals were narrow (`precision` in the spec): others
        are not valid there, and a warning says so.
      level: confidence of the two-sided interval over seeds.
      simultaneous: whether all intervals of the table shall hold at once with that confidence (Bonferroni), rather than
        each by itself.
    Returns:
      One row a group and label: the `by` columns, label, n (seeds in the group, whatever their label), count, rate,
      low, high. Groups are sorted; labels stand in the world's order.
    Raises:
      ValueError: a column, label or method that does not exist, with the nearest that does.
    """
    by = [by] if isinstance(by, str) else list(by)
    labels = labels_of(df, label)
    for column in by:
        check_name("column", column, df.columns)
    method = ("sequence" if is_adaptive(df) else "clopper-pearson") if method is None else method
    check_name("method", method, [*METHODS, "sequence"])
    warn_of_pooling(df, by)
    warn_of_no_effect(df, by)
    if method != "sequence":
        warn_of_stopping(df, f"{method} intervals", 'take method="sequence"')

    has = pd.DataFrame({one: (df["label"] == one).astype("int64") for one in labels}, index=df.index)
    groups = [df[column] for column in by] or [pd.Series(0, index=df.index)]
    grouped = has.groupby(groups, observed=True, dropna=False)
    wide = grouped.sum().assign(n=grouped.size()).reset_index(drop=not by)
    long = wide.melt(id_vars=[*by, "n"], value_vars=labels, var_name="label", value_name="count", ignore_index=False)
    long["label"] = pd.Categorical(long["label"], categories=df["label"].cat.categories, ordered=True)
    # The index numbers the groups, in sorted order; a stable sort keeps the labels' order within each.
    long = long.sort_index(kind="stable").reset_index(drop=True)
    long["rate"] = long["count"] / long["n"]
    check_level(level)
    each = 1 - (1 - level) / max(1, len(long)) if simultaneous else level
    if method == "sequence":
        long["low"], long["high"] = confidence_sequence(long["count"], long["n"], each)
    else:
        long["low"], long["high"] = interval(long["count"], long["n"], method, each)
    return long[[*by, "label", "n", "count", "rate", "low", "high"]]
