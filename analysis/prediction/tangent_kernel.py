"""Training as it would be if the network stayed linear in its weights, with no fitted parameter but time.

Near its initial weights a network's margins are linear in them, with its tangent kernel K (Jacot, Gabriel and Hongler
2018, arXiv 1806.07572): on a stage's objective J they follow dm/dt = K dJ/dm. A margin is the mean over layouts of how
much higher the logits of moves towards a row's first thing are than those of moves towards its second.
"""

import dataclasses

import numpy as np
from scipy.special import expit

from analysis.prediction.flow import STEPS, ascend, margins
from analysis.prediction.measured import Measured, divergences
from analysis.prediction.pipelines import Pipelines

DROPPED = 1e-3
"""Share of a kernel's trace that is left out, in the directions of its smallest eigenvalues."""
TIMES = np.geomspace(0.3, 3000, 13)
"""Tried, in units in which the mean of a kernel's diagonal is 1; between them the loss is taken to be a parabola."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The tangent kernels of some initial networks, or one of infinite width."""

    salience: np.ndarray
    """f64[sets, 2], the scales of colour and shape for which it was computed."""
    matrix: np.ndarray
    """f[networks, sets, rows, sets, rows], between the rows of `Pipelines`, at each two sets of scales."""
    start: np.ndarray
    """f[networks, sets, rows], the margins of the initial networks."""

    def features(self, network: int, time: float) -> np.ndarray:
        """f64[sets, rows, features] U, with U U' = time x kernel."""
        sets, rows = self.start.shape[1:]
        matrix = self.matrix[network].reshape(sets * rows, sets * rows).astype(float)
        values, directions = np.linalg.eigh((matrix + matrix.T) / 2)
        values, directions = np.maximum(values[::-1], 0), directions[:, ::-1]
        kept = int((np.cumsum(values) < (1 - DROPPED) * values.sum()).sum()) + 1
        unit = np.sqrt(time / matrix.diagonal().mean())
        return (unit * directions[:, :kept] * np.sqrt(values[:kept])).reshape(sets, rows, kept)


@dataclasses.dataclass(frozen=True)
class Model:
    kernel: Kernel
    time: float
    """Of the whole training."""

    def of_networks(self, pipelines: Pipelines, count: int = STEPS) -> np.ndarray:
        """f64[networks, pipelines, pairs], what each would do."""
        every = range(len(self.kernel.matrix))
        return np.stack([_one(self.kernel, n, self.kernel.features(n, self.time), pipelines, count) for n in every])

    def __call__(self, pipelines: Pipelines) -> np.ndarray:
        return self.of_networks(pipelines).mean(axis=0)


def with_kernel(kernel: Kernel):  # type: ignore[no-untyped-def]
    """A predictor, as the others are, that has this kernel."""
    tried = _Tried(kernel)

    def fit(pipelines: Pipelines, measured: Measured) -> Model:
        found = tried.of(pipelines)
        losses = np.array([divergences(measured, one).mean() for one in found])
        best = int(np.clip(losses.argmin(), 1, len(TIMES) - 2))
        before, at, after = losses[best - 1 : best + 2]
        step = (before - after) / (2 * max(before - 2 * at + after, np.finfo(float).tiny))
        return Model(kernel, float(TIMES[best] * (TIMES[1] / TIMES[0]) ** np.clip(step, -1, 1)))

    return fit


class _Tried:
    """What is predicted at all times, of each pipeline once: folds of a comparison have most of theirs in common."""

    def __init__(self, kernel: Kernel):
        self.kernel, self.found = kernel, {}  # type: ignore[var-annotated]

    def of(self, pipelines: Pipelines) -> np.ndarray:
        """f64[times, pipelines, pairs]."""
        new = np.array([place for place, one in enumerate(pipelines) if one[2:] not in self.found], int)
        if len(new):
            asked, total = pipelines.only(new), np.zeros((len(TIMES), len(new), len(pipelines.pairs)))
            networks = len(self.kernel.matrix)
            for network in range(networks):
                unit = self.kernel.features(network, 1.0)
                total += [_one(self.kernel, network, np.sqrt(time) * unit, asked) / networks for time in TIMES]
            self.found |= {one[2:]: total[:, place] for place, one in enumerate(asked)}
        return np.stack([self.found[one[2:]] for one in pipelines], axis=1)


def _one(kernel: Kernel, network: int, features: np.ndarray, pipelines: Pipelines, count: int = STEPS) -> np.ndarray:
    """f64[pipelines, pairs]."""
    places = _places(kernel, pipelines)
    features, start = features[places], kernel.start[network][places]
    weights, _ = ascend(pipelines, features, start, count)
    return expit(margins(pipelines, features, weights, start))


def _places(kernel: Kernel, pipelines: Pipelines) -> list[int]:
    """Where the kernel has the scales that the pipelines have."""
    if kernel.start.shape[-1] != len(pipelines.differences):
        raise ValueError(
            f"kernel: {kernel.start.shape[-1]} rows; expected {len(pipelines.differences)}, the pairs of "
            f"{pipelines.colours} x {pipelines.shapes} kinds and the kinds alone"
        )
    places = []
    for scales in pipelines.salience:
        same = np.isclose(kernel.salience, scales).all(axis=1)
        if not same.any():
            raise ValueError(f"kernel: not computed for scales of colour {scales[0]:g} and shape {scales[1]:g}")
        places.append(int(same.argmax()))
    return places
