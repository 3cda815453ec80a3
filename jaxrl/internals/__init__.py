"""Looks inside trained policies: what their layers hold, and what changes when a layer is changed."""

from typing import Any

from jaxrl.internals.attribution import Attribution
from jaxrl.internals.deployment import Deployment
from jaxrl.internals.difference import Difference
from jaxrl.internals.lanes import Lanes, untrained
from jaxrl.internals.langevin import Chain
from jaxrl.internals.layers import layers_of, through
from jaxrl.internals.learning_coefficient import LearningCoefficient
from jaxrl.internals.linear_probes import LinearProbes
from jaxrl.internals.summaries import Summaries

METHODS: dict[str, Any] = {
    "difference": Difference,
    "attribution": Attribution,
    "linear-probes": LinearProbes,
    "summaries": Summaries,
    "deployment": Deployment,
    "learning-coefficient": LearningCoefficient,
}
"""By name; each is made of a world, a learner, layers and a chunk, and gives the columns of a table for `Lanes`."""

__all__ = [
    "METHODS",
    "Attribution",
    "Chain",
    "Deployment",
    "Difference",
    "Lanes",
    "LearningCoefficient",
    "LinearProbes",
    "Summaries",
    "layers_of",
    "through",
    "untrained",
]
