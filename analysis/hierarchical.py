"""What policies are like beneath their probe episodes: a beta distribution of true shares, fitted over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincc, fdtri

from analysis.design import warn_of_pooling
from analysis.intervals import check_level, checked_counts
from analysis.names import check_name
from analysis.regions import likelihood_region

POINTS, ZOOMS = 25, 6
"""Of the grid on which the maximum is sought, along each parameter, and how often it is refined around it."""
SQUARE = np.array([[0, np.pi / 2], [0, np.pi / 2]])
"""Arcsines of roots of all means and spreads."""
SMALLEST = np.finfo(float).tiny
"""Stands for 0 in a logarithm."""
EDGE = 1e-9
"""The nearest to 0 and 1 at which a beta distribution is evaluated."""


class BetaBinomial(NamedTuple):
    """A fit of `beta_binomial`: estimates, and the ends of their intervals."""

    mean: float
    mean_low: float
    mean_high: float
    spread: float
    spread_low: float
    spread_high: float
    above: float
    above_low: float
    above_high: float


def beta_binomial(count: npt.ArrayLike, n: npt.ArrayLike, threshold: float = 0.75, level: float = 0.95) -> BetaBinomial:
    """Maximum likelihood fit of count_i ~ Binomial(n_i, share_i), share_i ~ Beta(a, b), over policies i.

    mean = a / (a + b), of the true shares. spread = 1 / (a + b + 1), by which their variance is spread x mean (1 -
    mean): 0 where all policies have one share, 1 where each has 0 or 1 (the correlation of two episodes of a policy).
    above: the estimated part of policies whose true share exceeds `threshold`. None of them hangs on the number of
    episodes, which only the intervals do.

    An interval holds the values at parameters whose likelihood-ratio statistic is at most the quantile of F(1, policies
    - 1), which for many policies is that of chi-squared: a profile likelihood interval, a little widened for few
    policies. Skellam 1948 (the model); Williams 1975 (its likelihood in proportions).

    Args:
      count: i64[policies], episodes with the outcome.
      n: i64[policies], episodes; policies without any say nothing.
      threshold: of `above`, a share in (0, 1).
      level: confidence of the two-sided intervals.
    Returns:
      NaN where no policy has an episode; [0, 1] as intervals where one has.
    Raises:
      ValueError: a level or threshold outside (0, 1), or a count outside [0, n].
    """
    check_level(level)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold: {threshold!r} is not a share strictly between 0 and 1")
    count, n = np.broadcast_arrays(*checked_counts(count, n))
    count, n = count[n > 0], n[n > 0]
    if not len(n):
        return BetaBinomial(*[np.nan] * 9)
    critical = fdtri(1, len(n) - 1, level) if len(n) > 1 else np.inf
    steps = np.arange(n.max())
    # How many policies have more than j hits, misses and episodes.
    seen = [(number[:, None] > steps).sum(axis=0).astype(float) for number in (count, n - count, n)]

    def fit(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return _log_likelihood(np.sin(first) ** 2, np.sin(second) ** 2, *seen)

    square = SQUARE
    for _ in range(ZOOMS):
        axes = np.linspace(square[:, 0], square[:, 1], POINTS).T
        peak = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(2, -1)
        peak = peak[:, fit(*peak).argmax()]
        cell = np.ptp(axes, axis=1) / (POINTS - 1)
        square = np.clip(np.stack([peak - cell, peak + cell], axis=1), 0, np.pi / 2)
    region = likelihood_region(fit, float(fit(*peak[:, None])[0]), critical, SQUARE, SQUARE)
    mean, spread = np.sin(np.column_stack([peak, region])) ** 2
    every = (mean, spread, _above(mean, spread, threshold))
    return BetaBinomial(*(float(one) for value in every for one in (value[0], value.min(), value.max())))


def _log_likelihood(
    mean: np.ndarray, spread: np.ndarray, hits: np.ndarray, misses: np.ndarray, episodes: np.ndarray
) -> np.ndarray:
    """Up to a constant, on the closed unit square: the rising factorials as sums of logarithms, without a and b."""
    rest, j = 1 - spread, np.arange(1, len(hits))[:, None]

    def log(value: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(value, SMALLEST))

    return (
        hits[0] * log(mean)
        + misses[0] * log(1 - mean)
        + (hits[0] + misses[0] - episodes[0]) * log(rest)
        + hits[1:] @ log(mean * rest + j * spread)
        + misses[1:] @ log((1 - mean) * rest + j * spread)
        - episodes[1:] @ log(rest + j * spread)
    )


def _above(mean: np.ndarray, spread: np.ndarray, threshold: float) -> np.ndarray:
    mean, spread = np.clip(mean, EDGE, 1 - EDGE), np.clip(spread, EDGE, 1 - EDGE)
    size = (1 - spread) / spread
    return betaincc(mean * size, (1 - mean) * size, threshold)


def policy_shares(
    df: pd.DataFrame, goal: str, by: str | Sequence[str] = (), threshold: float = 0.75, level: float = 0.95
) -> pd.DataFrame:
    """How policies spread over the true share of a goal, in every group of conditions; see `beta_binomial`.

    A group that holds several conditions pools their lanes: it describes the mixture, and a warning says so.

    Args:
      df: as from `load` or `load_probes`, one row a lane.
      goal: whose `share.GOAL` of the episodes in `decided` is meant.
      by: columns that define a group; none gives one group of all seeds.
      threshold: of `above`.
      level: confidence of the two-sided intervals.
    Returns:
      One row a group, sorted: the `by` columns, n (seeds with a decided episode), without (those without), and the
      fields of `BetaBinomial`.
    Raises:
      ValueError: a column that does not exist, with the nearest that does, or as `beta_binomial`.
    """
    by = [by] if isinstance(by, str) else list(by)
    column = f"share.{goal}"
    for one in (*by, column, "decided"):
        check_name("column", one, df.columns)
    warn_of_pooling(df, by)
    rows = []
    for key, members in df.groupby(by, observed=True, dropna=False) if by else [((), df)]:
        n = members["decided"].to_numpy(float)
        count = np.rint(np.nan_to_num(members[column].to_numpy(float)) * n)
        front = dict(zip(by, key, strict=True)) | {"n": int((n > 0).sum()), "without": int((n == 0).sum())}
        rows.append(front | beta_binomial(count, n, threshold, level)._asdict())
    return pd.DataFrame(rows)
