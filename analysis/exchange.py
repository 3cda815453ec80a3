"""How many steps one goal is worth in terms of another: from choices at unequal distances to indifference."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, fdtri, ndtri

from analysis.intervals import check_level

LAPSES = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3])
"""Shares of choices that are a toss of a coin, of which the likeliest is taken."""
SLOPES = 12
"""Slopes of the curve, from one that falls by a quarter over all that was offered to a step."""
FINENESS = 8
"""Points at which the curve may be centred, to each smallest gap between differences that were offered."""
MOST_CENTRES = 400
TIED = 0.01
"""Log-likelihoods that differ by less are alike: a policy with a threshold does not say where between two offers."""
ALWAYS = 0.95
"""The share of choices from which, if distance does not matter, the goal counts as taken at every difference."""
PARAMETERS = 3
"""Of the curve: its place, slope and lapses."""
LANES_AT_ONCE = 64
"""Always as many, so that the bits of a lane do not depend on its neighbours."""
EXACT = 9
"""Decimals of a number of choices, for the same reason."""
EDGE = 1e-12
"""The nearest to 0 and 1 at which a likelihood is evaluated."""

BLIND = "distance-blind: it is not taken less often where it is further away"
BEYOND = "beyond what was offered: low or high is a bound"
UNDECIDED = "nothing was decided"


class Indifference(NamedTuple):
    """Of each lane: steps, f64, NaN where `why` says so; the ends of its interval, infinite where nothing bounds it."""

    steps: np.ndarray
    low: np.ndarray
    high: np.ndarray
    why: np.ndarray
    """str: "" where steps is a number, else BLIND, BEYOND or UNDECIDED."""


def indifference(
    difference: np.ndarray,
    chosen: np.ndarray,
    decided: np.ndarray,
    share: float | np.ndarray = 1.0,
    level: float = 0.95,
) -> Indifference:
    """The difference in distance at which a policy goes as often for one goal as for the other.

    The share of choices of the goal is a falling logistic curve in the difference, mixed with lapses: with some
    probability the choice is a toss of a coin. Slope and lapses are those of greatest likelihood at each place of the
    curve, and the interval is the profile likelihood's, a little widened for few choices (F(1, choices - 3)). A
    psychometric function: Wichmann and Hill 2001 (Perception & Psychophysics 63, 1293-1313), with equal lapses to both
    sides.

    Nothing is extrapolated: an end beyond the differences at which something was decided is infinite, and where the
    curve is centred beyond them, or the goal is taken at all of them, the nearer end of the interval is a bound on
    the steps. Where the trend of the choices with the difference is not negative (Cochran 1954, Armitage 1955;
    one-sided, at 1 - level), and neither goal is taken nearly always, the policy is distance-blind: there is no
    number of steps that the goal is worth.

    Args:
      difference: i64[episodes], how many steps further than the other the goal is.
      chosen: bool[lanes, episodes], the goal came first.
      decided: bool[lanes, episodes], either did.
      share: f64[episodes], what each counts as: episodes on one layout are nearly copies, and count together as one.
      level: confidence of the two-sided interval.
    Returns:
      Steps are positive where the goal is taken although it is further.
    """
    check_level(level)
    offered = np.unique(difference).astype(float)
    at = (difference[:, None] == offered) * np.broadcast_to(share, difference.shape)[:, None]
    tries, taken = (decided @ at).round(EXACT), ((chosen & decided) @ at).round(EXACT)
    some, total = tries > 0, tries.sum(axis=1)
    # The range in which something was decided, of each lane; of lanes without any it is not used.
    first = np.where(some, offered, np.inf).min(axis=1)
    last = np.where(some, offered, -np.inf).max(axis=1)
    best, low, high = _profiles(offered, tries, taken, level)
    falls = _trend(offered, tries, taken) < ndtri(1 - level)
    share = taken.sum(axis=1) / np.maximum(total, 1)
    always, never = ~falls & (share >= ALWAYS), ~falls & (share <= 1 - ALWAYS)
    inside = falls & (first <= best) & (best <= last)
    above, below = (best > last) & falls | always, (best < first) & falls | never
    low = np.where((low < first) | below, -np.inf, np.minimum(low, last))
    high = np.where((high > last) | above, np.inf, np.maximum(high, first))
    known = inside | above | below
    why = np.select([total == 0, inside, known], [UNDECIDED, "", BEYOND], BLIND).astype(object)
    known &= total > 0
    return Indifference(
        np.where(inside & known, best, np.nan), np.where(known, low, -np.inf), np.where(known, high, np.inf), why
    )


def _trend(offered: np.ndarray, tries: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """f64[lanes]: the standardised trend of the choices with the difference; 0 where all choices are alike."""
    n = np.maximum(tries.sum(axis=1), 2)
    share, mean = taken.sum(axis=1) / n, tries @ offered / n
    away = offered - mean[:, None]
    variance = share * (1 - share) * (tries * away**2).sum(axis=1) * n / (n - 1)
    slope = (taken * away).sum(axis=1) - share * (tries * away).sum(axis=1)
    return np.where(variance > 0, slope / np.sqrt(np.where(variance > 0, variance, 1)), 0)


def _profiles(
    offered: np.ndarray, tries: np.ndarray, taken: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the curve of each lane is centred, and the ends of the interval: to a point of a grid that reaches half as
    far again as what was offered."""
    span, gap = (np.ptp(offered), np.diff(offered).min()) if len(offered) > 1 else (1.0, 1.0)
    count = int(min(2 * span / gap * FINENESS + 1, MOST_CENTRES))
    centres = np.linspace(offered[0] - span / 2, offered[-1] + span / 2, count)
    slopes = np.geomspace(1 / span, 2 * FINENESS / gap, SLOPES)
    falling = expit(slopes[:, None, None] * (centres[:, None] - offered))
    share = LAPSES[:, None, None, None] / 2 + (1 - LAPSES[:, None, None, None]) * falling
    share = np.clip(share.reshape(-1, len(offered)), EDGE, 1 - EDGE)
    found = []
    for start in range(0, len(tries), LANES_AT_ONCE):
        lanes = np.arange(start, start + LANES_AT_ONCE) % len(tries)
        yes, n = taken[lanes], tries[lanes]
        likelihood = np.log(share) @ yes.T + np.log1p(-share) @ (n - yes).T
        found.append(likelihood.reshape(-1, count, len(yes)).max(axis=0).T)
    profile = np.concatenate(found)[: len(tries)]
    lost = profile.max(axis=1, keepdims=True) - profile

    def ends(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return centres[kept.argmax(axis=1)], centres[count - 1 - kept[:, ::-1].argmax(axis=1)]

    step = centres[1] - centres[0]
    freedom = np.maximum(tries.sum(axis=1, keepdims=True) - PARAMETERS, 1)
    low, high = ends(2 * lost <= fdtri(1, freedom, level))
    return np.mean(ends(lost <= TIED), axis=0), low - step, high + step
