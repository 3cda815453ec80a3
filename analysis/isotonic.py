"""Monotone fits, and trends, of many data sets at once."""

import numpy as np


def isotonic(mean: np.ndarray, weight: np.ndarray, increasing: bool = True) -> np.ndarray:
    """scipy.optimize.isotonic_regression of mean f64[..., doses] with weights that broadcast, f64[..., doses]."""
    return _means(mean, weight).max(axis=-2) if increasing else -_means(-mean, weight).max(axis=-2)


def isotonic_from_each(mean: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The rising fits to the doses from each one up, f64[..., first dose, doses]; -inf below the first dose."""
    return np.maximum.accumulate(_means(mean, weight)[..., ::-1, :], axis=-2)[..., ::-1, :]


def trend(sums: np.ndarray, n: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """How values rise with the ranks of the doses, in standard errors of no dependence; 0 where all are the same.

    Of values of 0 and 1 it is Mann and Whitney's statistic.

    Args:
      sums: of the values at each dose, f64[..., doses]; n: how many they are, i64[doses].
      variance: of all values of a data set, f64[...].
    """
    away = np.cumsum(n) - n / 2
    away = away - n @ away / n.sum()
    spread = variance * (n @ away**2)
    return np.where(spread > 0, sums @ away / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def _means(mean: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """f64[..., first, last]: of the means of all doses from the first to one at or after the last, the least.

    The largest of these over the first doses is the fit (Robertson, Wright and Dykstra 1988, equation 1.4.1).
    """
    doses = mean.shape[-1]
    edge = [(0, 0)] * (mean.ndim - 1) + [(1, 0)]
    weights, sums = (
        np.pad(np.cumsum(one, axis=-1), edge) for one in (np.broadcast_to(weight, mean.shape), weight * mean)
    )
    least = np.full((*mean.shape, doses), -np.inf)
    for first in range(doses):
        block = (sums[..., first + 1 :] - sums[..., first, None]) / (
            weights[..., first + 1 :] - weights[..., first, None]
        )
        least[..., first, first:] = np.minimum.accumulate(block[..., ::-1], axis=-1)[..., ::-1]
    return least
