"""REINFORCE (Williams 1992) on whole episodes, for one lane; docs/reinforce.md lists every detail with its source."""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.settings import Count, NonNegative
from jaxrl import on_policy, rollout
from jaxrl.advantages import returns_to_go
from jaxrl.anchors import divergence
from jaxrl.on_policy import Lesson, OnPolicy


@struct.dataclass
class Params(on_policy.PolicyGradientParams):
    """The numbers of the learner; every field is traced."""

    learning_rate: NonNegative = 1e-2
    """Step size of Adam."""


class Metrics(NamedTuple):
    """Means over the steps that taught, f32[] each."""

    loss_policy: jax.Array
    loss_value: jax.Array
    """0 without a baseline."""
    entropy: jax.Array
    taught: jax.Array
    """Share of the rollout's steps that taught: those of episodes that ended within it."""


@dataclasses.dataclass(frozen=True)
class Reinforce(OnPolicy):
    """REINFORCE. Its fields are the static settings; `Params` has the traced ones.

    Every update begins new episodes, and those that the rollout leaves unfinished teach nothing: `n_steps` must be at
    least the time limit.
    """

    n_steps: Count = 64
    """Steps in each environment between updates; at least the time limit, or long episodes never teach."""
    baseline: Literal["none", "value"] = "value"
    """What is taken off the returns: nothing, or a value head that is fitted to them."""

    Params: ClassVar[Any] = Params
    Metrics: ClassVar[Any] = Metrics
    restarts: ClassVar[bool] = True

    @property
    def has_values(self) -> bool:
        return self.baseline == "value"

    def learn(
        self, world: World, variables: Any, optimiser_state: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Metrics]:
        """One gradient step on the episodes that ended within the rollout."""
        gradients, metrics = jax.grad(self.loss, argnums=1, has_aux=True)(world, variables, lesson, params)
        return *self.descend(params, variables, optimiser_state, gradients, lesson.held), metrics

    def loss(self, world: World, variables: Any, lesson: Lesson, params: Any) -> tuple[jax.Array, Metrics]:
        """Policy-gradient loss, value loss and entropy bonus of a rollout's whole episodes.

        Williams 1992, with returns from each step on, since an action does not change what was paid before it.
        """
        steps = lesson.steps
        returns = returns_to_go(steps.reward, steps.done, params.discount)
        taught = jax.lax.cummax(steps.done.astype(jnp.float32), axis=0, reverse=True)
        mean = lambda values: jnp.sum(taught * values) / jnp.maximum(jnp.sum(taught), 1.0)  # noqa: E731
        logits, value = self.over_rollout(world, variables, lesson)
        log_probs = jax.nn.log_softmax(logits)
        known = steps.value if self.baseline == "value" else jnp.zeros_like(returns)
        loss_policy = -mean(rollout.pick(log_probs, steps.action) * (returns - known))
        loss_value = 0.5 * mean((value - returns) ** 2) if self.baseline == "value" else jnp.zeros(())
        entropy = -mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
        total = loss_policy + params.value_coef * loss_value - params.entropy_coef * entropy
        if (reference := self.reference(world, lesson)) is not None:
            total += params.kl_coef * mean(divergence(log_probs, reference))
        return total, Metrics(loss_policy, loss_value, entropy, jnp.mean(taught))
