"""What was measured of the training pipeline that is most like the one asked about."""

import numpy as np

from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipelines


def fit(pipelines: Pipelines, measured: Measured):  # type: ignore[no-untyped-def]
    known, preference = _described(pipelines), measured.preference

    def predict(others: Pipelines) -> np.ndarray:
        """The nearest by the squared distance, summed over stages; the mean of those that are equally near."""
        asked = _described(others)
        longest = max(known.shape[1], asked.shape[1])
        one, other = (_padded(stages, longest) for stages in (asked, known))
        distance = ((one[:, None] - other[None]) ** 2).sum(axis=-1)
        near = np.isclose(distance, distance.min(axis=1, keepdims=True)).astype(float)
        return near @ preference / near.sum(axis=1, keepdims=True)

    return predict


def _described(pipelines: Pipelines) -> np.ndarray:
    """f64[pipelines, stages, features], the last stage first, so that the ends of pipelines are compared."""
    stages = pipelines.share[..., None] * pipelines.described
    order = np.array([[*range(len(one.stages))][::-1] for one in pipelines], dtype=object)
    found = np.zeros_like(stages)
    for place, places in enumerate(order):
        found[place, : len(places)] = stages[place, list(places)]
    return found


def _padded(stages: np.ndarray, longest: int) -> np.ndarray:
    return np.pad(stages, ((0, 0), (0, longest - stages.shape[1]), (0, 0))).reshape(len(stages), -1)
