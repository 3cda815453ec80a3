"""Our reconstruction of latent policy gradients: a weight for each feature ascends the objective of stage after stage.

Brown and Young (2026, arXiv 2605.23565) predict preferences by latent variables that evolve by simulated gradient
ascent on a stage's objective, with a learnt saliency matrix and a Boltzmann choice. We have read their abstract alone;
the equations are ours. A kind of thing has the score w.x, with x its one-hot colour and shape, and a is chosen over b
with probability sigmoid(w.(x_a - x_b)). From w = 0, dw/dt = S grad J(w), where J is the expected probability of going
for what pays in the stage, and S a positive semi-definite matrix over features, all that is fitted. A temperature would
do the same as a factor of S.
"""

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from analysis.prediction.flow import STEPS, ascend, margins, pull_back
from analysis.prediction.measured import Measured, divergence
from analysis.prediction.pipelines import Pipelines

SPEEDS = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Multiples of the identity; the fit begins at the best of them."""
RIDGE = 1e-5
"""Times the squared distance of S's factor from where the fit begins, which decides what no pipeline does."""
ITERATIONS = 60
FIT_STEPS = 12
"""Steps a stage while S is fitted, half of those with which it then predicts."""


@dataclasses.dataclass(frozen=True)
class Model:
    factor: np.ndarray
    """f64[features, features], lower triangular: S is its product with its transpose."""

    @property
    def saliency(self) -> np.ndarray:
        return self.factor @ self.factor.T

    def __call__(self, pipelines: Pipelines, count: int = STEPS) -> np.ndarray:
        """f64[pipelines, pairs], the probability of each pair's first thing; `count` steps a stage."""
        features = latent(pipelines) @ self.factor
        return expit(margins(pipelines, features, ascend(pipelines, features, count=count)[0]))


def latent(pipelines: Pipelines) -> np.ndarray:
    """f64[salience, rows, features], differences of features as inputs are scaled."""
    scale = np.repeat(pipelines.salience, [pipelines.colours, pipelines.shapes], axis=1)
    return pipelines.differences * scale[:, None]


def fit(pipelines: Pipelines, measured: Measured, count: int = FIT_STEPS) -> Model:
    """Fits S to the measured preferences; `count` steps a stage."""
    features = latent(pipelines)
    size = features.shape[-1]
    lower = np.tril_indices(size)
    begin = [np.sqrt(speed) * np.eye(size) for speed in SPEEDS]
    losses = [loss(pipelines, measured, features, factor, count)[0] for factor in begin]
    first = begin[int(np.argmin(losses))]

    def objective(entries: np.ndarray) -> tuple[float, np.ndarray]:
        factor = np.zeros((size, size))
        factor[lower] = entries
        value, slope = loss(pipelines, measured, features, factor, count)
        away = factor - first
        return value + RIDGE * float((away**2).sum()), (slope + 2 * RIDGE * away)[lower]

    found = minimize(objective, first[lower], jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    factor = np.zeros((size, size))
    factor[lower] = found.x
    return Model(factor)


def loss(
    pipelines: Pipelines, measured: Measured, features: np.ndarray, factor: np.ndarray, count: int = STEPS
) -> tuple[float, np.ndarray]:
    """The mean divergence from what was measured, f64[], and its derivative by the factor."""
    seen = features @ factor
    weights, passes = ascend(pipelines, seen, count=count)
    margin = np.clip(margins(pipelines, seen, weights), -30, 30)
    predicted, share = expit(margin), measured.weights / len(pipelines)
    value = float((share * divergence(measured.preference, predicted)).sum())
    by_margin = share * (predicted - measured.preference)
    pairs, probed = by_margin.shape[1], pipelines.salience_of[:, -1]
    by_weights, by_seen = np.zeros_like(weights), np.zeros_like(seen)
    for salience in np.unique(probed):
        here = probed == salience
        by_weights[here] = by_margin[here] @ seen[salience, :pairs]
        by_seen[salience, :pairs] = by_margin[here].T @ weights[here]
    by_seen += pull_back(pipelines, seen, passes, by_weights, count)
    return value, np.einsum("srf,srg->fg", features, by_seen)
