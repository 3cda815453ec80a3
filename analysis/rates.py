"""How often training yields each label, with intervals over seeds."""

import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv

# statsmodels calls Clopper and Pearson's exact interval by the distribution whose quantiles it takes.
METHODS = {"wilson": "wilson", "clopper-pearson": "beta"}


def check_name(kind: str, name: object, names: Iterable[object]) -> None:
    """Raises ValueError, with the nearest valid name, where `name` is not one of `names`."""
    valid = [str(one) for one in names]
    if str(name) in valid:
        return
    nearest = get_close_matches(str(name), valid, n=1, cutoff=0.5)
    hint = f"nearest: {nearest[0]}" if nearest else f"expected one of: {', '.join(valid)}"
    raise ValueError(f"no {kind} named {name!r}; {hint}")


def check_level(level: float) -> None:
    """Raises ValueError where `level` is not strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level: {level!r} is not a confidence level strictly between 0 and 1")


def checked_counts(count: npt.ArrayLike, n: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as f64. Raises ValueError where a count is not within [0, n]."""
    count, n = np.asarray(count, float), np.asarray(n, float)
    if not np.all((count >= 0) & (count <= n) | ~(n > 0)):
        raise ValueError("count: below 0, or more than the n that it is counted among")
    return count, n


def interval(
    count: npt.ArrayLike, n: npt.ArrayLike, method: str = "wilson", level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided confidence interval of a share, elementwise; NaN where n is 0.

    Wilson 1927; Clopper and Pearson 1934 ("clopper-pearson": never covers less than `level`, hence wider).

    Raises ValueError on a method that does not exist, a level outside (0, 1) or a count outside [0, n].
    """
    from statsmodels.stats.proportion import proportion_confint  # costs a second to import

    check_name("method", method, METHODS)
    check_level(level)
    count, n = checked_counts(count, n)
    low, high = proportion_confint(count, np.where(n > 0, n, np.nan), alpha=1 - level, method=METHODS[method])
    return np.asarray(low), np.asarray(high)


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
      label: the labels to count; None gives every label of the world, those that nobody has included.
      method: "wilson", "clopper-pearson" or "sequence" (`confidence_sequence`). None takes Wilson's, or the sequence
        where seeds were added until intervals were narrow (`df.attrs["adaptive"]`, which `load` sets): others are not
        valid there, and a warning says so.
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
    categories = df["label"].cat.categories
    labels = list(categories) if label is None else [label] if isinstance(label, str) else list(label)
    for column in by:
        check_name("column", column, df.columns)
    for one in labels:
        check_name("label", one, categories)
    method = ("sequence" if df.attrs.get("adaptive") else "wilson") if method is None else method
    check_name("method", method, [*METHODS, "sequence"])
    warn_of_pooling(df, by)
    if method != "sequence":
        warn_of_stopping(df, f"{method} intervals", 'take method="sequence"')

    has = pd.DataFrame({one: (df["label"] == one).astype("int64") for one in labels}, index=df.index)
    groups = [df[column] for column in by] or [pd.Series(0, index=df.index)]
    grouped = has.groupby(groups, observed=True, dropna=False)
    wide = grouped.sum().assign(n=grouped.size()).reset_index(drop=not by)
    long = wide.melt(id_vars=[*by, "n"], value_vars=labels, var_name="label", value_name="count", ignore_index=False)
    long["label"] = pd.Categorical(long["label"], categories=categories, ordered=True)
    # The index numbers the groups, in sorted order; a stable sort keeps the labels' order within each.
    long = long.sort_index(kind="stable").reset_index(drop=True)
    long["rate"] = long["count"] / long["n"]
    check_level(level)
    each = 1 - (1 - level) / max(1, len(long)) if simultaneous else level
    if method == "sequence":
        from analysis.sequences import confidence_sequence

        long["low"], long["high"] = confidence_sequence(long["count"], long["n"], each)
    else:
        long["low"], long["high"] = interval(long["count"], long["n"], method, each)
    return long[[*by, "label", "n", "count", "rate", "low", "high"]]


def upper_bound(count: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> np.ndarray:
    """One-sided upper confidence bound of a share, elementwise; 1 where n is 0.

    Clopper and Pearson 1934, one-sided: never covers less than `level`. Where nothing was seen it is
    1 - (1 - level)^(1 / n), about 3 / n at 0.95 (the rule of three; Hanley and Lippman-Hand 1983).

    Raises ValueError as `interval`.
    """
    check_level(level)
    count, n = checked_counts(count, n)
    return np.where(count < n, betaincinv(count + 1, np.maximum(n - count, 1e-300), level), 1.0)


def pooled_factors(df: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The factors that take several values within a group."""
    others = [factor for factor in df.attrs.get("factors", ()) if factor not in by]
    if not by or not others:
        return [factor for factor in others if df[factor].nunique(dropna=False) > 1]
    spread = df.groupby(list(by), observed=True, dropna=False)[others].nunique(dropna=False).max()
    return [factor for factor in others if spread[factor] > 1]


def warn_of_pooling(df: pd.DataFrame, by: Sequence[str]) -> None:
    """Warns, on the caller's caller's line, where groups hold several conditions."""
    if pooled := pooled_factors(df, by):
        warnings.warn(f"pooled over {', '.join(pooled)}: lanes of different conditions count alike", stacklevel=3)


def warn_of_stopping(df: pd.DataFrame, what: str, instead: str) -> None:
    """Warns, on the caller's caller's line, where how many seeds there are depends on how they turned out."""
    if df.attrs.get("adaptive"):
        found = f"seeds were added until intervals were narrow, and {what} are for numbers of seeds fixed before"
        warnings.warn(f"{found}; {instead}", stacklevel=3)


def half_width(n: int, rate: float = 0.5, level: float = 0.95) -> float:
    """Half the width of the Wilson interval that n seeds will buy if the true rate is `rate`.

    Raises ValueError where n is not at least 1 or rate is not in [0, 1].
    """
    if n < 1:
        raise ValueError(f"n: {n!r} is not a number of seeds of at least 1")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate: {rate!r} is not a rate in [0, 1]")
    low, high = interval(rate * n, n, level=level)
    return float(high - low) / 2
