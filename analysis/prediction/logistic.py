"""Logistic regression on counts: how long each colour and shape was paid, and how long it was the other thing's."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from analysis.prediction.measured import Measured, divergence
from analysis.prediction.pipelines import Pipelines

RIDGE = 1e-4
"""Times the squared coefficients."""


def fit(pipelines: Pipelines, measured: Measured):  # type: ignore[no-untyped-def]
    """A feature's weight is linear in the counts of all features; a choice is logistic in the difference of weights."""
    counts, pairs = _counts(pipelines), len(pipelines.pairs)
    rows = pipelines.differences[:pairs]
    shape = rows.shape[1], counts.shape[1]
    share, preference = measured.weights / len(pipelines), measured.preference

    def objective(entries: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = entries.reshape(shape)
        predicted = expit(np.clip(counts @ coefficients.T @ rows.T, -30, 30))
        value = (share * divergence(preference, predicted)).sum() + RIDGE * (entries**2).sum()
        slope = rows.T @ (share * (predicted - preference)).T @ counts
        return float(value), slope.ravel() + 2 * RIDGE * entries

    found = minimize(objective, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    coefficients = found.x.reshape(shape)
    return lambda others: expit(_counts(others) @ coefficients.T @ rows.T)


def _counts(pipelines: Pipelines) -> np.ndarray:
    """f64[pipelines, 2 features + 1], over all stages, whatever their order."""
    return np.einsum("ps,psf->pf", pipelines.share, pipelines.described)
