"""All stages at once: latent policy gradients of the sum of the stages' objectives, in which order is lost."""

from analysis.prediction import latent_policy_gradient
from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipelines

TURNS = 12
"""Of each stage."""


def fit(pipelines: Pipelines, measured: Measured):  # type: ignore[no-untyped-def]
    model = latent_policy_gradient.fit(summed(pipelines), measured, count=1)
    return lambda others: model(summed(others), count=1)


def summed(pipelines: Pipelines) -> Pipelines:
    """The stages in turns, again and again, each turn so short that their order makes no difference."""
    turns = [tuple(stage._replace(share=stage.share / TURNS) for stage in one.stages) * TURNS for one in pipelines]
    return pipelines.restaged(turns)
