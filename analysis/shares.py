"""How far training goes towards a goal: mean shares over seeds, with intervals over seeds."""

import functools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from analysis.design import warn_of_pooling
from analysis.intervals import check_level
from analysis.names import check_name

DRAWS = 10_000
"""Weightings from which an end of an interval is taken: its level of 0.025 is met within 0.003."""
MANY = 512
"""Values above which an end is computed rather than simulated."""
DIFFERENCES = re.compile(r"(^|\.)(follows_cue|tracks_payment|avoidance)(\.|$)")
"""Columns of differences of shares, which may be below 0 whether any that were seen are or not."""
EDGE, NEAR = 1e-9, 1e-4
"""How near to the ends of its range a root is looked for, and how near to the median no probability is computed."""


def mean_interval(
    values: npt.ArrayLike, level: float = 0.95, bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float]:
    """Two-sided confidence interval of a mean; `values`, f64[n], are independent draws.

    `bounds` are the least and the greatest that a value can be, not those that were seen: (0, 1) of shares, (-1, 1) of
    their differences.

    The upper end is a quantile of the mean of the values and the greatest under random weights, uniform over all that
    sum to 1; the lower end, of the values and the least. On shares of 0 and 1 alone it is Clopper and Pearson's
    interval of a binomial probability, so it has a width where all seeds agree; on others it narrows with their spread.
    Learned-Miller and Thomas 2020 (arXiv:1905.06208), who conjecture that it never covers less than `level`. Found by
    simulation, with a fixed generator; of many values by a saddlepoint. (NaN, NaN) where there are no values.

    Raises ValueError where `level` is not strictly between 0 and 1, or a value lies outside `bounds`.
    """
    check_level(level)
    least, most = bounds
    values = np.sort(np.asarray(values, float))
    if not len(values):
        return np.nan, np.nan
    if values[0] < least or values[-1] > most:
        raise ValueError(f"values: expected numbers in [{least:g}, {most:g}]; bounds says what they can be")
    low, high = _ends((values - least) / (most - least), level)
    return least + (most - least) * low, least + (most - least) * high


def _ends(values: np.ndarray, level: float) -> tuple[float, float]:
    """`mean_interval` of sorted values in [0, 1]."""
    if len(values) > MANY:
        ends = (_quantile(np.append(values, end), share) for end, share in ((0, (1 - level) / 2), (1, (1 + level) / 2)))
        return next(ends), next(ends)
    weights = weightings(len(values) + 1)
    share = weights[:, :-1] @ values
    total = weights.sum(axis=1)
    low = np.quantile(share / total, (1 - level) / 2)
    high = np.quantile((share + weights[:, -1]) / total, (1 + level) / 2)
    return max(float(low), 0.0), min(float(high), 1.0)


def _quantile(values: np.ndarray, share: float) -> float:
    """Of the mean of many values under random weights, uniform over all that sum to 1.

    The mean is below x where the sum of (value - x) times independent exponentials is below 0, whose probability is
    Lugannani and Rice's (1980, Advances in Applied Probability 12, 475-490); its error falls with n^(-3/2).
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return float(distinct[0])

    def below(x: float) -> float:
        away = distinct - x
        least, most = (1 - EDGE) / away[0], (1 - EDGE) / away[-1]
        at = brentq(lambda t: (counts * away / (1 - t * away)).sum(), least, most, xtol=EDGE * (most - least))
        root = np.sign(at) * np.sqrt(2 * (counts * np.log1p(-at * away)).sum())
        other = at * np.sqrt((counts * (away / (1 - at * away)) ** 2).sum())
        if min(abs(root), abs(other)) < NEAR:
            return 0.5
        return float(ndtr(root) + np.exp(-(root**2) / 2) / np.sqrt(2 * np.pi) * (1 / root - 1 / other))

    span = distinct[-1] - distinct[0]
    low, high = distinct[0] + EDGE * span, distinct[-1] - EDGE * span
    return float(brentq(lambda x: below(x) - share, low, high, xtol=1e-9))


@functools.lru_cache(maxsize=1)  # the groups of a sweep mostly have one size
def weightings(n: int) -> np.ndarray:
    """f64[DRAWS, n]: the same for every group of this size."""
    return np.random.default_rng(0).standard_exponential((DRAWS, n))


def shares(df: pd.DataFrame, value: str, by: str | Sequence[str] = (), level: float = 0.95) -> pd.DataFrame:
    """The mean over seeds of a share, in every group of conditions.

    A group that holds several conditions pools their lanes: it describes the mixture, and a warning says so.

    Args:
      df: as from `load`, one row a lane.
      value: a column of shares, such as share.GOAL, of truths, or of differences of shares, such as follows_cue. The
        interval of a difference allows for any in [-1, 1], whatever those seen are.
      by: columns that define a group; none gives one group of all seeds.
      level: confidence of the two-sided interval over seeds; see `mean_interval`.
    Returns:
      One row a group, sorted: the `by` columns, n (seeds that have a value), without (seeds whose value is NaN: no
      share, as nothing was decided), mean, low, high; NaN where no seed has a value.
    Raises:
      ValueError: a column that does not exist, with the nearest that does, or whose values are not in [-1, 1].
    """
    by = [by] if isinstance(by, str) else list(by)
    for column in (*by, value):
        check_name("column", column, df.columns)
    check_shares(df, value)
    warn_of_pooling(df, by)
    given = df[value].astype(float)
    least = -1.0 if DIFFERENCES.search(value) or given.min() < 0 else 0.0
    groups = [df[column] for column in by] or [pd.Series(0, index=df.index)]
    grouped = given.groupby(groups, observed=True, dropna=False)
    table = pd.DataFrame({"n": grouped.count(), "without": grouped.size() - grouped.count(), "mean": grouped.mean()})
    members = [group.dropna().to_numpy() for _, group in grouped]
    ends = np.full((len(members), 2), np.nan)
    for place in sorted(range(len(members)), key=lambda place: len(members[place])):  # one drawing for those of a size
        ends[place] = mean_interval(members[place], level, (least, 1.0))
    weightings.cache_clear()
    table[["low", "high"]] = ends
    return table.reset_index(drop=not by)


def check_shares(df: pd.DataFrame, value: str) -> None:
    """Raises ValueError where the column holds anything but numbers in [-1, 1] and NaN."""
    column = df[value]
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        raise ValueError(f"{value}: not numbers, so no mean can be drawn")
    numbers = column.astype(float)
    low, high = numbers.min(), numbers.max()
    if low < -1 or high > 1:
        raise ValueError(f"{value}: not a share: its values go from {low:.4g} to {high:.4g}")
