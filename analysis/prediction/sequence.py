"""A gated recurrent unit that reads stage after stage and gives each kind of thing a score.

Cho et al. 2014 (arXiv 1406.1078), equations 5 to 8. It knows nothing of goals, and has more parameters than the others
together; its gradients are written out, so that it needs numpy alone.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from analysis.prediction.measured import Measured, divergence
from analysis.prediction.pipelines import Pipelines

HIDDEN = 16
"""Units."""
RIDGE = 1e-4
"""Times the squared weights."""
ITERATIONS = 200
START = 0.3
"""Standard deviation of the first weights, over the root of what flows into a unit."""


class Weights(NamedTuple):
    """Rows are inputs, the hidden units before and a constant, in this order."""

    update: np.ndarray
    reset: np.ndarray
    new: np.ndarray
    """f64[inputs + hidden + 1, hidden] each."""
    out: np.ndarray
    """f64[hidden, kinds]."""


def fit(pipelines: Pipelines, measured: Measured):  # type: ignore[no-untyped-def]
    """The likelihood of the measured preferences is ascended, with a penalty on large weights."""
    random, inputs = np.random.default_rng(0), _inputs(pipelines)
    into = inputs.shape[-1] + HIDDEN + 1
    shapes = [*[(into, HIDDEN)] * 3, (HIDDEN, pipelines.kinds)]
    first = np.concatenate([START / np.sqrt(rows) * random.standard_normal(rows * columns) for rows, columns in shapes])

    def objective(entries: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = loss(pipelines, measured, inputs, _parts(entries, shapes))
        flat = np.concatenate([slope.ravel() for slope in slopes])
        return value + RIDGE * float(entries @ entries), flat + 2 * RIDGE * entries

    options = {"maxiter": ITERATIONS}
    found = _parts(minimize(objective, first, jac=True, method="L-BFGS-B", options=options).x, shapes)
    return lambda others: expit(_margins(others, _read(found, _inputs(others))[0] @ found.out))


def loss(pipelines: Pipelines, measured: Measured, inputs: np.ndarray, weights: Weights) -> tuple[float, Weights]:
    """The mean divergence from what was measured, f64[], and its derivative by the weights."""
    hidden, tape = _read(weights, inputs)
    predicted = expit(np.clip(_margins(pipelines, hidden @ weights.out), -30, 30))
    share = measured.weights / len(pipelines)
    by_margin = share * (predicted - measured.preference)
    by_score = np.zeros((len(pipelines), pipelines.kinds))
    for kind in range(pipelines.kinds):
        first, second = (pipelines.pairs == kind).T
        by_score[:, kind] = by_margin[:, first].sum(axis=1) - by_margin[:, second].sum(axis=1)
    value = float((share * divergence(measured.preference, predicted)).sum())
    return value, _back(weights, tape, by_score @ weights.out.T)._replace(out=hidden.T @ by_score)


def _margins(pipelines: Pipelines, score: np.ndarray) -> np.ndarray:
    first, second = pipelines.pairs.T
    return score[:, first] - score[:, second]


def _inputs(pipelines: Pipelines) -> np.ndarray:
    """f64[pipelines, stages, inputs]: what a stage was, in short, and how long it was; 0 where there is none."""
    return np.concatenate([pipelines.described, pipelines.share[..., None]], axis=-1)


def _parts(entries: np.ndarray, shapes: list[tuple[int, int]]) -> Weights:
    ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
    return Weights(*(part.reshape(shape) for part, shape in zip(np.split(entries, ends), shapes, strict=True)))


def _read(weights: Weights, inputs: np.ndarray) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """f64[pipelines, hidden] after the last stage, and what led there."""
    hidden, one = np.zeros((len(inputs), HIDDEN)), np.ones((len(inputs), 1))
    tape = []
    for stage in inputs.transpose(1, 0, 2):
        there = (stage[:, -1:] > 0).astype(float)
        seen = np.concatenate([stage, hidden, one], axis=1)
        update, reset = there * expit(seen @ weights.update), expit(seen @ weights.reset)
        again = np.concatenate([stage, reset * hidden, one], axis=1)
        new = np.tanh(again @ weights.new)
        tape.append((hidden, there, seen, update, reset, again, new))
        hidden = hidden + update * (new - hidden)
    return hidden, tape


def _back(weights: Weights, tape: list[tuple[Any, ...]], by_hidden: np.ndarray) -> Weights:
    by_update, by_reset, by_new = (np.zeros_like(part) for part in weights[:3])
    old = slice(-HIDDEN - 1, -1)
    for hidden, there, seen, update, reset, again, new in reversed(tape):
        into_new = by_hidden * update * (1 - new**2)
        by_again = (into_new @ weights.new.T)[:, old]
        into_update = by_hidden * (new - hidden) * update * (1 - update) * there
        into_reset = by_again * hidden * reset * (1 - reset)
        by_new += again.T @ into_new
        by_update += seen.T @ into_update
        by_reset += seen.T @ into_reset
        by_seen = into_update @ weights.update.T + into_reset @ weights.reset.T
        by_hidden = by_hidden * (1 - update) + by_again * reset + by_seen[:, old]
    return Weights(by_update, by_reset, by_new, np.zeros_like(weights.out))
