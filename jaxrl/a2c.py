"""Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016) for one lane; docs/a2c.md has details."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.settings import Count, Probability
from jaxrl import advantages, on_policy, rollout
from jaxrl.anchors import divergence
from jaxrl.on_policy import Lesson, OnPolicy


@struct.dataclass
class Params(on_policy.PolicyGradientParams):
    """The numbers of the learner; every field is traced."""

    gae_lambda: Probability = 1.0
    """Decay of the advantage trace, lambda; 1 for returns to the end of the rollout."""


class Metrics(NamedTuple):
    """Means over a rollout, f32[] each."""

    loss_policy: jax.Array
    loss_value: jax.Array
    entropy: jax.Array


@dataclasses.dataclass(frozen=True)
class A2C(OnPolicy):
    """Advantage actor-critic. Its fields are the static settings; `Params` has the traced ones."""

    n_steps: Count = 8
    """Steps in each environment between updates."""

    Params: ClassVar[Any] = Params
    Metrics: ClassVar[Any] = Metrics
    takes_approval: ClassVar[bool] = True

    def learn(
        self, world: World, variables: Any, optimiser_state: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Metrics]:
        """One gradient step on the whole rollout."""
        gradients, metrics = jax.grad(self.loss, argnums=1, has_aux=True)(world, variables, lesson, params)
        return *self.descend(params, variables, optimiser_state, gradients, lesson.held), metrics

    def loss(self, world: World, variables: Any, lesson: Lesson, params: Any) -> tuple[jax.Array, Metrics]:
        """Policy-gradient loss, value loss and entropy bonus of a rollout (Mnih et al. 2016, algorithm S3)."""
        steps = lesson.steps
        advantage = advantages.of_rollout(steps, params.discount, params.gae_lambda, lesson.horizon)
        logits, value = self.over_rollout(world, variables, lesson)
        log_probs = jax.nn.log_softmax(logits)
        loss_policy = -jnp.mean(rollout.pick(log_probs, steps.action) * advantage)
        loss_value = 0.5 * jnp.mean((value - (advantage + steps.value)) ** 2)
        entropy = -jnp.mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
        total = loss_policy + params.value_coef * loss_value - params.entropy_coef * entropy
        if (reference := self.reference(world, lesson)) is not None:
            total += params.kl_coef * jnp.mean(divergence(log_probs, reference))
        return total, Metrics(loss_policy, loss_value, entropy)
