"""The predictors by name. One more is one more file, with a function `fit`, and one more line here."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from analysis.names import check_name
from analysis.prediction import half, last_stage, latent_policy_gradient, logistic, nearest, order_free, sequence
from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipeline, Pipelines

Model = Callable[[Pipelines], np.ndarray]
"""From pipelines to f64[pipelines, pairs], the probability of going for each pair's first thing."""
Fit = Callable[[Pipelines, Measured], Model]

PREDICTORS: dict[str, Fit] = {
    "half": half.fit,
    "last-stage": last_stage.fit,
    "order-free": order_free.fit,
    "logistic": logistic.fit,
    "nearest": nearest.fit,
    "latent-policy-gradient": latent_policy_gradient.fit,
    "sequence": sequence.fit,
}
"""Those that need nothing but what was measured; `tangent_kernel.with_kernel` makes one more from a kernel."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A predictor, and what it was fitted on and must not be judged on."""

    name: str
    model: Model
    fitted_on: Mapping[object, str]
    """The names of pipelines, by what they are."""

    def predict(self, pipelines: Pipelines) -> np.ndarray:
        """f64[pipelines, pairs]. Raises ValueError for a pipeline that it was fitted on, under whatever name."""
        for one in pipelines:
            if identity(one) in self.fitted_on:
                known = self.fitted_on[identity(one)]
                alias = "" if known == one.name else f", as {known}"
                raise ValueError(f"{self.name}: was fitted on pipeline {one.name}{alias}, and cannot be judged on it")
        return self.model(pipelines)


def fit(name: str, pipelines: Pipelines, measured: Measured, predictors: Mapping[str, Fit] = PREDICTORS) -> Fitted:
    """Raises ValueError where there is no such predictor, or nothing was measured of a pipeline."""
    check_name("predictor", name, predictors)
    if not len(pipelines):
        raise ValueError(f"{name}: no pipelines to fit to")
    return Fitted(name, predictors[name](pipelines, aligned(pipelines, measured)), known(pipelines))


def aligned(pipelines: Pipelines, measured: Measured) -> Measured:
    """What was measured of these pipelines, in their order. Raises ValueError where nothing was of one."""
    if measured.first.shape[-1] != len(pipelines.pairs):
        raise ValueError(
            f"measured: {measured.first.shape[-1]} pairs; {pipelines.colours} x {pipelines.shapes} kinds have "
            f"{len(pipelines.pairs)}"
        )
    for name in pipelines.names:
        if name not in measured.names:
            raise ValueError(f"pipeline {name}: has no measurements")
    return measured.only(np.array([measured.names.index(name) for name in pipelines.names], int))


def known(pipelines: Iterable[Pipeline]) -> dict[object, str]:
    return {identity(one): one.name for one in pipelines}


def identity(pipeline: Pipeline) -> object:
    """What a pipeline is, whatever its name and family."""
    return pipeline[2:]
