"""How many steps one goal is worth in terms of another: from choices at unequal distances to indifference."""

import numpy as np
from scipy.optimize import isotonic_regression


def indifference(difference: np.ndarray, chosen: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """The difference in distance at which a policy goes as often for one goal as for the other.

    The Spearman-Karber estimate: the mean of the distribution whose survival function is the share of choices of the
    goal, made monotone (it falls as the goal is further away). What lies beyond the differences that were offered
    counts as the nearest of them: at either end the estimate is a bound.

    Args:
      difference: i64[episodes], how many steps further than the other the goal is.
      chosen: bool[lanes, episodes], the goal came first.
      decided: bool[lanes, episodes], either did.
    Returns:
      f64[lanes], steps, positive where the goal is taken although it is further; NaN without a decided choice at some
      difference.
    Source: Miller, R. G. (1973), Nonparametric estimators of the mean tolerance in bioassay, Biometrika 60, 535-542.
    """
    offered = np.unique(difference)
    at = [difference == one for one in offered]
    tries = np.stack([decided[:, rows].sum(axis=1) for rows in at], axis=1)
    share = np.stack([(chosen & decided)[:, rows].sum(axis=1) for rows in at], axis=1) / np.where(tries, tries, 1)
    found = np.full(len(chosen), np.nan)
    for lane in np.flatnonzero((tries > 0).all(axis=1)):
        falling = isotonic_regression(share[lane], weights=tries[lane], increasing=False).x
        # Where the goal is still taken, from one end of what was offered to the other.
        mass = -np.diff(np.concatenate([[1.0], falling, [0.0]]))
        edges = np.concatenate([offered[:1], (offered[1:] + offered[:-1]) / 2, offered[-1:]])
        found[lane] = mass @ edges
    return found
