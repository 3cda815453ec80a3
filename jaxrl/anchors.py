"""What training is held to: weights that decay, to zero or to where they began, and a policy of the past."""

import dataclasses
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.settings import LATER, Range
from jaxrl.schedules import nearest


@struct.dataclass
class Decay:
    """The number of weight decay; traced."""

    weight_decay: Annotated[float, Range(0), LATER] = 0.0
    """What weights lose in a step of their distance from `decays_to`, times the learning rate; needs `decays_to`."""


@struct.dataclass
class Reference:
    """The numbers of a reference policy; traced."""

    kl_coef: Annotated[float, Range(0), LATER] = 0.0
    """Weight of the KL divergence of the policy from the reference policy; needs `kl_to_reference`."""
    reference_at: Annotated[float, Range(0, 1), LATER] = 0.0
    """Share of training at which the policy becomes the reference; before it there is none, and at 1 never."""


class Anchors(NamedTuple):
    """What a lane in training is held to; None for what it is not."""

    initial: Any = None
    """The weights with which reinforcement began."""
    reference: Any = None
    """The variables of the reference policy, and those of the policy itself until its time has come."""


@dataclasses.dataclass(frozen=True)
class Anchored:
    """The switches of a learner that can be held to something; without them nothing is kept or computed."""

    decays_to: Annotated[Literal["none", "zero", "initial"], LATER] = "none"
    """What `weight_decay` pulls all weights to: nothing, zero, or those with which reinforcement began."""
    kl_to_reference: Annotated[bool, LATER] = False
    """Whether the policy of the moment `reference_at` is kept, from which `kl_coef` makes it costly to stray."""

    def first_anchors(self, variables: Any) -> Anchors:
        """Before the first update of reinforcement."""
        return Anchors(variables if self.decays_to == "initial" else None, variables if self.kl_to_reference else None)

    def next_anchors(self, anchors: Anchors, variables: Any, update: jax.Array, params: Any) -> tuple[Anchors, Any]:
        """The anchors of an update, and its numbers: a reference whose time has not come has no weight.

        Args:
          update: i32[], updates done.
        """
        if not self.kl_to_reference:
            return anchors, params
        at = nearest(params.reference_at, self.total_updates)  # type: ignore[attr-defined]
        reference = jax.tree.map(lambda new, old: jnp.where(update <= at, new, old), variables, anchors.reference)
        kl_coef = jnp.where(update >= at, params.kl_coef, 0.0)
        return anchors._replace(reference=reference), params.replace(kl_coef=kl_coef)

    def decayed(self, direction: Any, variables: Any, anchors: Anchors, params: Any) -> Any:
        """A step's direction with weight decay beside it, decoupled from the gradient.

        Loshchilov & Hutter 2019, algorithm 2, for decay to zero; Kumar et al. 2023 for the weights of the beginning,
        whose penalty is decoupled here too.
        """
        match self.decays_to:
            case "zero":
                return jax.tree.map(lambda step, now: step + params.weight_decay * now, direction, variables)
            case "initial":
                return jax.tree.map(
                    lambda step, now, begun: step + params.weight_decay * (now - begun),
                    direction, variables, anchors.initial,
                )  # fmt: skip
        return direction

    def reference(self, world: World, lesson: Any) -> jax.Array | None:
        """f32[steps, envs, actions], logarithms of the reference policy's probabilities on what a rollout showed."""
        if not self.kl_to_reference:
            return None
        return jax.nn.log_softmax(self.over_rollout(world, lesson.held.reference, lesson)[0])  # type: ignore[attr-defined]

    def check_anchors(self, world: World) -> None:
        """Raises ValueError, in one line, where a policy cannot be compared with its reference."""
        if self.kl_to_reference and self.recurrent(world):  # type: ignore[attr-defined]
            raise ValueError("learner.kl_to_reference: expected false, as a reference policy has no memory of its own")

    def check_anchoring(self, values: dict[str, Any]) -> None:
        """Raises ValueError, in one line, where a number would do nothing."""
        if self.decays_to == "none" and values.get("learner.weight_decay", 0) > 0:
            raise ValueError("learner.weight_decay: does nothing without learner.decays_to, zero or initial")
        if not self.kl_to_reference and values.get("learner.kl_coef", 0) > 0:
            raise ValueError("learner.kl_coef: does nothing without learner.kl_to_reference = true")


def divergence(log_probs: jax.Array, reference: jax.Array) -> jax.Array:
    """f32[...], KL(policy || reference) from both's logarithms f32[..., actions] of their actions' probabilities."""
    return jnp.sum(jnp.exp(log_probs) * (log_probs - reference), axis=-1)
