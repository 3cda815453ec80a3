"""The parameters that a likelihood of two parameters does not rule out, whatever the shape of the region."""

from collections.abc import Callable

import numpy as np

POINTS = 25
"""Of the grid along each parameter."""
ROUNDS = 40
"""How often the grid is refined, at most."""
SETTLED = 0.75
"""Of its width that the grid keeps when it fits the region."""

Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def likelihood_region(
    fit: Fit, most: float, critical: float, square: np.ndarray, limits: np.ndarray | None = None
) -> np.ndarray:
    """Points f64[2, points] of the region where 2 (most - fit) <= critical, those of its edge among them.

    The least and the largest value of any function on them are its profile likelihood interval. The edge is where the
    statistic passes critical between two points of a grid, by linear interpolation.

    Args:
      fit: the log-likelihood f64[n] at parameters f64[n], f64[n].
      most: its maximum.
      critical: quantile of the likelihood-ratio statistic.
      square: f64[2, 2], (from, to) of each parameter, around the maximum: where the search begins.
      limits: f64[2, 2], of the parameters; None where they have none.
    """
    limits = np.array([[-np.inf, np.inf]] * 2) if limits is None else limits
    for _ in range(ROUNDS):
        axes = np.linspace(square[:, 0], square[:, 1], POINTS).T
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        statistic = 2 * (most - fit(*grid.reshape(2, -1)).reshape(POINTS, POINTS))
        kept = statistic <= max(critical, statistic.min())
        before, square = square, square.copy()
        for axis in range(2):
            some, width = np.flatnonzero(kept.any(axis=1 - axis)), np.ptp(axes[axis])
            first, last = axes[axis][max(some[0] - 1, 0)], axes[axis][min(some[-1] + 1, POINTS - 1)]
            square[axis, 0] = max(first - width * (some[0] == 0), limits[axis, 0])
            square[axis, 1] = min(last + width * (some[-1] == POINTS - 1), limits[axis, 1])
        shrunk = np.ptp(square, axis=1) / np.ptp(before, axis=1)
        if ((shrunk >= SETTLED) & (shrunk <= 1)).all():
            break
    found = [grid[:, statistic <= critical]]
    for axis in range(2):
        here, there = np.delete(statistic, -1, axis), np.delete(statistic, 0, axis)
        start, end = np.delete(grid, -1, axis + 1), np.delete(grid, 0, axis + 1)
        crossing = (here <= critical) != (there <= critical)
        part = (critical - here[crossing]) / (there[crossing] - here[crossing])
        found.append(start[:, crossing] + part * (end[:, crossing] - start[:, crossing]))
    return np.concatenate(found, axis=1)
