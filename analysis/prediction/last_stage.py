"""The last stage alone: latent policy gradients, fitted and asked as if nothing had come before it."""

from analysis.prediction import latent_policy_gradient
from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipelines


def fit(pipelines: Pipelines, measured: Measured):  # type: ignore[no-untyped-def]
    model = latent_policy_gradient.fit(_cut(pipelines), measured)
    return lambda others: model(_cut(others))


def _cut(pipelines: Pipelines) -> Pipelines:
    return pipelines.restaged([one.stages[-1:] for one in pipelines])
