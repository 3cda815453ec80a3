"""What policies are like beneath their probe episodes: true shares, of whose distribution nothing is assumed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq, nnls
from scipy.special import chdtri, xlog1py, xlogy

from analysis.design import warn_of_pooling
from analysis.episodes import EXACT
from analysis.intervals import check_level, checked_counts
from analysis.names import check_name
from analysis.shares import mean_interval, weightings

FINENESS, MOST_POINTS = 4, 300
"""Points of the mixing distribution: so many to a standard deviation of a share's arcsine, and how many at most."""
STEPS, HALVINGS = 100, 20
"""Of the search for the likeliest mixture; it takes some ten."""
PRECISION = 1e-3
"""Of the ends of an interval."""
NEARLY = 1e-2
"""The weight that all points have together where a search begins, beside what is known."""
NNLS_STEPS = 30
"""At most, for each point."""
SETTLED = 1e-2
"""By how much the log-likelihood may fall short of its maximum; an interval ends 1.92 below it."""
SMALLEST = 1e-12
"""The least mean x (1 - mean) of policies that are not all alike."""
FIRM = 1000.0
"""How much more the equation that weights sum to one counts than all others; what it leaves is scaled away."""
LEAST = -600.0
"""Stands for the logarithm of 0."""


class TrueShares(NamedTuple):
    """The result of `true_shares`: estimates, and the ends of their intervals."""

    mean: float
    mean_low: float
    mean_high: float
    spread: float
    spread_low: float
    spread_high: float
    above: float
    above_low: float
    above_high: float


def true_shares(count: npt.ArrayLike, n: npt.ArrayLike, threshold: float = 0.75, level: float = 0.95) -> TrueShares:
    """The distribution of policies' true shares, where count_i ~ Binomial(n_i, share_i) for policy i.

    Nothing is assumed of its shape: the estimates are those of the likeliest mixture of binomials (Laird 1978; found as
    in Wang 2007, JRSS B 69, 185-198). None of them hangs on the number of episodes, which only the intervals do.

    mean, of the true shares; its interval is `mean_interval` of the shares that were seen.
    spread: by which the variance of true shares is spread x mean (1 - mean): 0 where all policies have one share, 1
    where each has 0 or 1 (the correlation of two episodes of a policy). Its interval has the weights and the one more
    policy of `mean_interval`, and is of 1 less the mean of count (n - count) / (n (n - 1)) over mean (1 - mean).
    above: the part of policies whose true share exceeds `threshold`. Its interval holds the parts whose profile
    likelihood ratio is at most chi-squared's quantile, where one more policy takes part, which always has the outcome
    for the upper end and never for the lower: without it the interval falls short where few policies are unlike the
    others.

    Args:
      count: f64[policies], episodes with the outcome.
      n: f64[policies], episodes, those on one layout counted as one; policies without any say nothing.
      threshold: of `above`, a share in (0, 1).
      level: confidence of the two-sided intervals.
    Returns:
      NaN where no policy has an episode.
    Raises:
      ValueError: a level or threshold outside (0, 1), or a count outside [0, n].
    """
    check_level(level)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold: {threshold!r} is not a share strictly between 0 and 1")
    count, n = np.broadcast_arrays(*checked_counts(count, n))
    count, n = count[n > 0], n[n > 0]
    if not len(n):
        return TrueShares(*[np.nan] * 9)
    kinds, policies = np.unique(np.stack([count, n]), axis=1, return_counts=True)
    points, over = _points(threshold, float(n.max()))
    _, weights = _likeliest(_chances(kinds, points), policies, over)
    mean = float(weights @ points)
    variance = float(weights @ points**2) - mean**2
    spread = min(max(variance / (mean * (1 - mean)), 0.0), 1.0) if 0 < mean < 1 else 0.0
    spread_low, spread_high = _spread_interval(count, n, level)
    above = float(weights[over].sum())
    always, never = np.array([[n.max()], [n.max()]]), np.array([[0.0], [n.max()]])
    reach = chdtri(1, 1 - level) / 2
    high = _furthest(np.hstack([kinds, always]), np.append(policies, 1), points, over, reach)
    low = 1 - _furthest(np.hstack([kinds, never]), np.append(policies, 1), points, ~over, reach)
    return TrueShares(
        mean, *mean_interval(count / n, level), spread, min(spread_low, spread), max(spread_high, spread),
        above, min(low, above), max(high, above),
    )  # fmt: skip


def _points(threshold: float, episodes: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares at which the mixing distribution may have weight, f64[points], and which exceed the threshold."""
    size = min(int(np.ceil(np.pi / 2 * FINENESS * np.sqrt(episodes))) + 1, MOST_POINTS)
    even = np.sin(np.linspace(0, np.pi / 2, size)) ** 2
    points = np.concatenate([even[even < threshold], [threshold, np.nextafter(threshold, 1)], even[even > threshold]])
    return points, points > threshold


def _chances(kinds: np.ndarray, points: np.ndarray) -> np.ndarray:
    """f64[kinds, points]: the likelihood of each (count, n) at each true share, the largest of a row being 1."""
    count, n = kinds[:, :, None]
    log = xlogy(count, points) + xlog1py(n - count, -points)
    return np.exp(np.maximum(log - log.max(axis=1, keepdims=True), LEAST))


def _likeliest(
    chances: np.ndarray,
    policies: np.ndarray,
    over: np.ndarray,
    above: float | None = None,
    near: float | np.ndarray = 0.0,
) -> tuple[float, np.ndarray]:
    """The log-likelihood and the weights of the likeliest mixture, in which the points `over` have weight `above`.

    The search begins near the weights f64[points] that are given.
    """
    if above in (0, 1):
        free, alone = over == bool(above), np.zeros(len(over))
        likely, alone[free] = _likeliest(chances[:, free], policies, over[free])
        return likely, alone
    if above is None:
        sums, totals = np.ones((1, len(over))), np.ones(1)
    else:
        sums, totals = np.stack([~over, over]).astype(float), np.array([1 - above, above])
    weights: np.ndarray = near + np.full(len(over), NEARLY / len(over))
    weights = weights * ((totals / (sums @ weights)) @ sums)
    firm, root = FIRM * np.sqrt(policies.sum()), np.sqrt(policies)[:, None]
    likely = float(policies @ np.log(chances @ weights))
    for _ in range(STEPS):
        ratio = chances / (chances @ weights)[:, None]
        gain = policies @ ratio
        best = np.array([np.where(group > 0, gain, -np.inf).argmax() for group in sums])
        if totals @ gain[best] - gain @ weights < SETTLED:
            break
        squares = np.vstack([root * ratio, firm * sums])
        aim, _ = nnls(squares, np.concatenate([2 * root[:, 0], firm * totals]), maxiter=NNLS_STEPS * squares.shape[1])
        held = sums @ aim
        aim = aim * ((totals / np.where(held > 0, held, 1)) @ sums)
        if gain @ (aim - weights) < SETTLED / 2:  # of the equations nothing more is to be had, in floating point
            aim = np.zeros_like(weights)
            aim[best] = totals
        promised, part = float(gain @ (aim - weights)), 1.0
        for _ in range(HALVINGS):
            moved = weights + part * (aim - weights)
            gained = float(policies @ np.log(chances @ moved))
            if gained >= likely + part * promised / 3:
                break
            part /= 2
        weights, likely = moved, gained
    return likely, weights


def _furthest(kinds: np.ndarray, policies: np.ndarray, points: np.ndarray, over: np.ndarray, reach: float) -> float:
    """The largest weight of the points `over` at which the log-likelihood is at most `reach` below its maximum."""
    chances = _chances(kinds, points)
    most, weights = _likeliest(chances, policies, over)

    def beyond(above: float) -> float:
        nonlocal weights
        likely, weights = _likeliest(chances, policies, over, above, weights)
        return most - likely - reach

    least = float(weights[over].sum())
    return 1.0 if beyond(1.0) <= 0 else float(brentq(beyond, least, 1.0, xtol=PRECISION))


def _spread_interval(count: np.ndarray, n: np.ndarray, level: float) -> tuple[float, float]:
    """Quantiles of the spread under the weights of `mean_interval`, with one more policy that is as far as can be from
    the others for the upper end, and in their middle for the lower."""
    count, n = count[n > 1], n[n > 1]
    if not len(n):
        return 0.0, 1.0
    share, within = count / n, count * (n - count) / (n * (n - 1))
    weights = weightings(len(n) + 1)
    total = weights.sum(axis=1)

    def quantile(other_share: float, other_within: float, part: float) -> float:
        mean = weights @ np.append(share, other_share) / total
        inside = weights @ np.append(within, other_within) / total
        apart = mean * (1 - mean)
        spread = np.where(apart > SMALLEST, 1 - inside / np.maximum(apart, SMALLEST), 0)
        return float(np.quantile(np.clip(spread, 0, 1), part))

    middle, most = float(share.mean()), float((n / (4 * (n - 1))).max())
    return quantile(middle, most, (1 - level) / 2), quantile(float(middle < 0.5), 0.0, (1 + level) / 2)


def policy_shares(
    df: pd.DataFrame, goal: str, by: str | Sequence[str] = (), threshold: float = 0.75, level: float = 0.95
) -> pd.DataFrame:
    """The distribution of policies over the true share of a goal, in every group of conditions; see `true_shares`.

    A group that holds several conditions pools their lanes: it describes the mixture, and a warning says so.

    Args:
      df: as from `load` or `load_probes`, one row a lane.
      goal: whose `share.GOAL` of the episodes in `decided` is meant.
      by: columns that define a group; none gives one group of all seeds.
      threshold: of `above`.
      level: confidence of the two-sided intervals.
    Returns:
      One row a group, sorted: the `by` columns, n (seeds with a decided episode), without (those without), and the
      fields of `TrueShares`.
    Raises:
      ValueError: a column that does not exist, with the nearest that does, a share that is missing where
        episodes were decided, or as `true_shares`.
    """
    by = [by] if isinstance(by, str) else list(by)
    column = f"share.{goal}"
    for one in (*by, column, "decided"):
        check_name("column", one, df.columns)
    if missing := int((df[column].isna() & (df["decided"] > 0)).sum()):
        raise ValueError(f"{column}: NaN in {missing} rows with decided > 0; expected a share of those episodes")
    warn_of_pooling(df, by)
    rows = []
    for key, members in df.groupby(by, observed=True, dropna=False) if by else [((), df)]:
        n = members["decided"].to_numpy(float)
        count = np.minimum((np.nan_to_num(members[column].to_numpy(float)) * n).round(EXACT), n)
        front = dict(zip(by, key, strict=True)) | {"n": int((n > 0).sum()), "without": int((n == 0).sum())}
        rows.append(front | true_shares(count, n, threshold, level)._asdict())
    weightings.cache_clear()
    return pd.DataFrame(rows)
