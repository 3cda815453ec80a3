"""Firth's penalised logistic regression on one dose, of many data sets at once."""

import numpy as np
from scipy.special import expit

ROUNDS = 60
"""Of a Newton search."""


def most_likely(
    x: np.ndarray, hits: np.ndarray, n: int, intercept: float | None = None, slope: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The largest penalised log-likelihood f64[sets], and its intercept and slope f64[2, sets]; either may be given.

    Args:
      x: f64[doses]; hits: of n seeds at each dose, i64[sets, doses].
    """
    at = np.zeros((2, len(hits)))
    free = np.array([intercept is None, slope is None])[:, None]
    for place, given in enumerate((intercept, slope)):
        at[place] = 0 if given is None else given
    value, step = _penalised(x, hits, n, at)
    for _ in range(ROUNDS):
        step = np.where(free, step if free.all() else _alone(x, hits, n, at), 0)
        scale = np.ones(len(hits))
        for _ in range(6):
            found, after = _penalised(x, hits, n, at + scale * step)
            scale = np.where(found < value - 1e-12, scale / 3, scale)
        better = found >= value - 1e-12
        at, value = np.where(better, at + scale * step, at), np.where(better, found, value)
        if abs(step).max() < 1e-7:
            break
        step = after
    return value, at


def _parts(x: np.ndarray, hits: np.ndarray, n: int, at: np.ndarray) -> tuple[np.ndarray, ...]:
    eta = at[0][:, None] + at[1][:, None] * x
    rate = expit(eta)
    weight = n * rate * (1 - rate)
    total, first, second = weight.sum(axis=1), weight @ x, weight @ x**2
    volume = np.maximum(total * second - first**2, 1e-300)
    leverage = weight * (second[:, None] - 2 * first[:, None] * x + total[:, None] * x**2) / volume[:, None]
    gap = hits - n * rate + leverage * (0.5 - rate)
    return eta, total, first, second, volume, gap


def _penalised(x: np.ndarray, hits: np.ndarray, n: int, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The penalised log-likelihood, and Newton's step from there."""
    eta, total, first, second, volume, gap = _parts(x, hits, n, at)
    value = (hits * eta - n * np.logaddexp(0, eta)).sum(axis=1) + np.log(volume) / 2
    score = np.stack([gap.sum(axis=1), gap @ x])
    step = np.stack([second * score[0] - first * score[1], total * score[1] - first * score[0]]) / volume
    return value, step / np.maximum(1, abs(step).max(axis=0) / 5)


def _alone(x: np.ndarray, hits: np.ndarray, n: int, at: np.ndarray) -> np.ndarray:
    """Newton's steps along each parameter by itself."""
    _, total, _, second, _, gap = _parts(x, hits, n, at)
    return np.clip(np.stack([gap.sum(axis=1) / total, gap @ x / second]), -5, 5)


def separated(hits: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether a slope of infinity, and of minus infinity, is as likely as any: bool[sets] each."""
    some, every = hits > 0, hits < n
    doses = hits.shape[1]
    rises, falls = np.zeros((2, len(hits)), bool)
    for cut in range(doses):
        below, above = np.arange(doses) < cut, np.arange(doses) > cut
        rises |= ~(some & below).any(axis=1) & ~(every & above).any(axis=1)
        falls |= ~(every & below).any(axis=1) & ~(some & above).any(axis=1)
    return rises, falls
