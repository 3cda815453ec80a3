"""Differences between rates, with intervals, and p-values that are right for a whole family of comparisons."""

import warnings
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from analysis.design import is_paired, pooled_factors, warn_of_no_effect, warn_of_pooling, warn_of_stopping
from analysis.intervals import check_level, checked_counts, interval
from analysis.names import check_name, labels_of

Key = tuple[Hashable, ...]
Ends = tuple[np.ndarray, np.ndarray]


def difference_interval(
    count: npt.ArrayLike, n: npt.ArrayLike, other: npt.ArrayLike, other_n: npt.ArrayLike, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided confidence interval of count/n - other/other_n of independent samples, elementwise; NaN where n is 0.

    At each end the further of two. Newcombe 1998 (Statistics in Medicine 17, 873-890), method 10, with Clopper and
    Pearson's limits in place of Wilson's: the squared distances from each share to its limits are added. Agresti and
    Caffo 2000 (American Statistician 54, 280-288): Wald's, with a success and a failure added to each sample. The one
    falls short of `level` where a rate near 0 is compared with one near 1, the other where one rate alone is extreme.

    Raises ValueError on a level outside (0, 1) or a count outside [0, n].
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    check_level(level)
    (count, n), (other, other_n) = checked_counts(count, n), checked_counts(other, other_n)
    n, other_n = (np.where(size > 0, size, np.nan) for size in (n, other_n))
    ends, others = interval(count, n, level=level), interval(other, other_n, level=level)
    low, high = squares_added(count / n, ends, other / other_n, others)
    below, above = confint_proportions_2indep(count, n, other, other_n, method="agresti-caffo", alpha=1 - level)
    return np.clip(np.minimum(low, below), -1, 1), np.clip(np.maximum(high, above), -1, 1)


def paired_difference_interval(
    both: npt.ArrayLike, one: npt.ArrayLike, other: npt.ArrayLike, neither: npt.ArrayLike, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided confidence interval of (one - other) / pairs, elementwise; NaN where there are no pairs.

    At each end the further of two, as in `difference_interval`. Newcombe 1998 (Statistics in Medicine 17, 2635-2650),
    method 10, with Clopper and Pearson's limits: phi, the correlation of the two members, has a numerator that is
    lowered by half the number of pairs (to no less than 0) where it is positive. Bonett and Price 2012 (Journal of
    Educational and Behavioral Statistics 37, 479-488): Wald's, with one pair more in which the one member alone has the
    outcome and one in which the other has.

    Args:
      both, one, other, neither: pairs in which the outcome is seen in both members, in one alone, and so on.
    Raises:
      ValueError: a level outside (0, 1), or a negative count.
    """
    check_level(level)
    cells = np.broadcast_arrays(*(np.asarray(cell, float) for cell in (both, one, other, neither)))
    if any((cell < 0).any() for cell in cells):
        raise ValueError("pairs: a negative count")
    a, b, c, d = cells
    n = np.where(a + b + c + d > 0, a + b + c + d, np.nan)
    first, second = (a + b) / n, (a + c) / n
    ends, others = (interval(count, n, level=level) for count in (a + b, a + c))
    low, high = squares_added(first, ends, second, others, lowered_phi(a, b, c, d))
    gained, lost = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = -ndtri((1 - level) / 2) * np.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
    low, high = np.minimum(low, gained - lost - half), np.maximum(high, gained - lost + half)
    return np.clip(low, -1, 1), np.clip(high, -1, 1)


def squares_added(
    first: np.ndarray, ends: Ends, second: np.ndarray, others: Ends, phi: float | np.ndarray = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of first - second from those of both, whose correlation is phi: Newcombe 1998, method 10."""

    def reach(up: np.ndarray, down: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(up**2 - 2 * phi * up * down + down**2, 0))

    (low, high), (other_low, other_high) = ends, others
    difference = first - second
    return difference - reach(first - low, other_high - second), difference + reach(high - first, second - other_low)


def lowered_phi(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The correlation of the two members of pairs, with Newcombe's correction; 0 where a margin is empty."""
    product, margins = a * d - b * c, (a + b) * (c + d) * (a + c) * (b + d)
    covaries = np.where(product > 0, np.maximum(product - (a + b + c + d) / 2, 0), product)
    return np.where(margins > 0, covaries / np.sqrt(np.where(margins > 0, margins, 1)), 0)


def compare(
    df: pd.DataFrame,
    by: str | Sequence[str],
    against: Any = None,
    label: str | Sequence[str] | None = None,
    within: str | Sequence[str] = (),
    level: float = 0.95,
    simultaneous: bool = False,
    paired: bool | None = None,
) -> pd.DataFrame:
    """Differences between the rates of groups of conditions, one row a comparison.

    Where keys were paired, a seed has the same initialisation in all conditions, and each seed is compared with itself:
    McNemar's exact test and `paired_difference_interval`. Otherwise Fisher's exact test and `difference_interval`.
    Both tests are two-sided and conditional: their error rates are below the nominal ones. p_holm holds for all
    rows of the table together: the probability that any true null hypothesis has p_holm <= alpha is at most
    alpha (Holm 1979). The family is what this one call compares: name the labels that the question is about.

    Args:
      df: as from `load`, one row a lane.
      by: columns that define the groups.
      against: the group that all others are compared with: its value of `by`, or a tuple of values where `by` has
        several. None compares every pair, the later group in sorted order with the earlier.
      label: the labels to count; None gives every label of the world, and a large family.
      within: columns in which compared groups agree: one comparison for each of their values.
      level: confidence of the two-sided intervals.
      simultaneous: whether all intervals of the table shall hold at once with that confidence (Bonferroni), rather than
        each by itself.
      paired: whether seeds of equal number, and of equal values in factors that a group pools, are pairs; None takes
        them as pairs where keys were paired. Only complete pairs count, and a warning says how many seeds have none.
    Returns:
      The `within` columns; the `by` columns of the group, and as `COLUMN.against` those of the other; label; n, count,
      rate; n.against, count.against, rate.against; difference (rate - rate.against), low, high, p, p_holm.
    Raises:
      ValueError: a column, label or group that does not exist; no groups to compare; pairs that are not unique.
    """
    by, within = ([one] if isinstance(one, str) else list(one) for one in (by, within))
    for column in (*by, *within):
        check_name("column", column, df.columns)
    labels = labels_of(df, label)
    check_level(level)
    if not by:
        raise ValueError("by: expected at least one column that defines the groups")
    paired = is_paired(df) if paired is None else paired
    warn_of_pooling(df, [*by, *within])
    warn_of_no_effect(df, by)
    warn_of_stopping(df, "these tests and intervals", "compare the intervals of `rates`")
    unit = _unit(df, [*by, *within]) if paired else []

    rows, cells = [], []
    for place, group, other in _couples(df, by, against, within):
        (key, members), (reference, others) = group, other
        if paired:
            members, others = _partners(members, others, unit, (*place, *key))
        front = dict(zip(within, place, strict=True)) | dict(zip(by, key, strict=True))
        front |= {f"{column}.against": value for column, value in zip(by, reference, strict=True)}
        for one in labels:
            row, counts = _compared(members["label"] == one, others["label"] == one, paired)
            rows.append(front | {"label": one} | row)
            cells.append(counts)
    table = pd.DataFrame(rows)
    each = 1 - (1 - level) / len(rows) if simultaneous else level
    first, second, third, fourth = np.array(cells).T
    of = paired_difference_interval if paired else difference_interval
    low, high = of(first, second, third, fourth, each)
    table = pd.concat([table.drop(columns="p"), pd.DataFrame({"low": low, "high": high}), table["p"]], axis=1)
    table["p_holm"] = holm(table["p"].to_numpy())
    table["label"] = pd.Categorical(table["label"], categories=df["label"].cat.categories, ordered=True)
    return table


def _compared(one: pd.Series, other: pd.Series, paired: bool) -> tuple[dict[str, Any], tuple[int, int, int, int]]:
    """A row of `compare` and the counts that its interval is of; of bool[seeds] each, in one order where paired."""
    from scipy.stats import binomtest, fisher_exact

    has, had = one.to_numpy(), other.to_numpy()
    yes, no = int(has.sum()), int(had.sum())
    row = {"n": len(has), "count": yes, "rate": yes / len(has)}
    row |= {"n.against": len(had), "count.against": no, "rate.against": no / len(had)}
    row["difference"] = row["rate"] - row["rate.against"]
    if paired:
        gained, lost = int((has & ~had).sum()), int((~has & had).sum())
        p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        return row | {"p": float(p)}, (int((has & had).sum()), gained, lost, int((~has & ~had).sum()))
    p = fisher_exact([[yes, len(has) - yes], [no, len(had) - no]]).pvalue
    return row | {"p": float(p)}, (yes, len(has), no, len(had))


def holm(p: np.ndarray) -> np.ndarray:
    """f64[tests] of f64[tests]: p-values that hold for all tests together, whatever their dependence.

    Holm 1979 (Scandinavian Journal of Statistics 6, 65-70). statsmodels' multipletests collects garbage at every call.
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _couples(
    df: pd.DataFrame, by: list[str], against: Any, within: list[str]
) -> Iterator[tuple[Key, tuple[Key, pd.DataFrame], tuple[Key, pd.DataFrame]]]:
    """(values of `within`, group, group that it is compared with). Raises ValueError where there are none."""
    reference = None if against is None else tuple(against) if isinstance(against, tuple | list) else (against,)
    if reference is not None and len(reference) != len(by):
        raise ValueError(f"against: {against!r}; expected a value of each of {', '.join(by)}")
    every = df.groupby(by, observed=True, dropna=False).groups if len(by) > 1 else df[by[0]].unique()
    known = {key if isinstance(key, tuple) else (key,) for key in every}
    if reference is not None and reference not in known:
        shown = ", ".join(str(key[0] if len(by) == 1 else key) for key in sorted(known, key=str))
        raise ValueError(f"against: no group {against!r} of {', '.join(by)}; expected one of: {shown}")
    found = False
    for place, part in df.groupby(within, observed=True, dropna=False) if within else [((), df)]:
        groups = dict(iter(part.groupby(by, observed=True, dropna=False)))
        if reference is None:
            couples = [(later, earlier) for earlier, later in combinations(groups, 2)]
        else:
            couples = [(key, reference) for key in groups if key != reference and reference in groups]
        for key, other in couples:
            found = True
            yield place, (key, groups[key]), (other, groups[other])
    if not found:
        raise ValueError(f"by: nothing to compare: {', '.join(by)} has fewer than two values at every value of within")


def _unit(df: pd.DataFrame, groups: list[str]) -> list[str]:
    """The columns that tell the pairs apart within a group."""
    check_name("column", "seed", df.columns)
    return [*(["master_seed"] if "master_seed" in df else []), "seed", *pooled_factors(df, groups)]


def _partners(one: pd.DataFrame, other: pd.DataFrame, unit: list[str], key: Key) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both that have a partner, in the same order."""
    one, other = one.set_index(unit), other.set_index(unit)
    for frame in (one, other):
        if frame.index.has_duplicates:
            raise ValueError(
                f"paired: several lanes of one group have the same {', '.join(unit)}; name a column that "
                "distinguishes them in by or within, or pass paired=False"
            )
    shared = one.index.intersection(other.index)
    if not len(shared):
        raise ValueError(f"paired: group {key!r} shares no {', '.join(unit)} with the other; pass paired=False")
    if alone := len(one) + len(other) - 2 * len(shared):
        warnings.warn(f"{alone} seeds without a partner in the other group are left out", stacklevel=3)
    return one.loc[shared], other.loc[shared]
