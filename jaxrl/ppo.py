"""Proximal policy optimisation (Schulman et al. 2017) for one lane; docs/ppo.md lists every detail with its source."""

import dataclasses
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.settings import LATER, Positive, Probability, Range
from jaxrl import on_policy, rollout
from jaxrl.anchors import divergence
from jaxrl.minibatches import Batch, Minibatches


@struct.dataclass
class Params(on_policy.PolicyGradientParams):
    """The numbers of the learner; every field is traced."""

    gae_lambda: Probability = 0.95
    """Decay of the advantage trace, lambda."""
    clip_eps: Positive = 0.2
    """How far the probability ratio may move from 1 before its gradient is cut."""
    value_clip: Annotated[float, Range(0, low_open=True), LATER] = 1.0
    """How far a value may move from the old one before its gradient is cut, in units of `clip_eps`; 1e6 for any way."""


class Metrics(NamedTuple):
    """Means over the minibatches of an update, f32[] each."""

    loss_policy: jax.Array
    loss_value: jax.Array
    entropy: jax.Array
    approx_kl: jax.Array
    clip_fraction: jax.Array


@dataclasses.dataclass(frozen=True)
class PPO(Minibatches):
    """Proximal policy optimisation. Its fields are the static settings; `Params` has the traced ones."""

    Params: ClassVar[Any] = Params
    Metrics: ClassVar[Any] = Metrics

    def __post_init__(self):
        super().__post_init__()
        if self.n_envs * self.n_steps // self.n_minibatches < 2:
            raise ValueError(
                f"learner.n_minibatches: minibatches of one transition (n_envs {self.n_envs} x n_steps {self.n_steps}) "
                "cannot be normalised; at least 2"
            )

    def loss(self, world: World, variables: Any, batch: Batch, params: Any) -> tuple[jax.Array, Metrics]:
        """The clipped surrogate objective, the value loss and the entropy bonus of one minibatch.

        Schulman et al. 2017, equations 7 and 9. Advantages are normalised within the minibatch, and the value is
        clipped too, as in the authors' implementation.
        """
        logits, value = self.over_batch(world, variables, batch)
        log_probs = jax.nn.log_softmax(logits)
        log_ratio = rollout.pick(log_probs, batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
        clipped = jnp.clip(ratio, 1 - params.clip_eps, 1 + params.clip_eps)
        loss_policy = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
        reach = params.value_clip * params.clip_eps
        near = batch.value + jnp.clip(value - batch.value, -reach, reach)
        loss_value = 0.5 * jnp.mean(jnp.maximum((value - batch.target) ** 2, (near - batch.target) ** 2))
        entropy = -jnp.mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
        moved = (jnp.abs(ratio - 1) > params.clip_eps).astype(jnp.float32)
        approx_kl, clip_fraction = jnp.mean(jnp.stack([ratio - 1 - log_ratio, moved]), axis=1)
        metrics = Metrics(loss_policy, loss_value, entropy, approx_kl, clip_fraction)
        total = loss_policy + params.value_coef * loss_value - params.entropy_coef * entropy
        if batch.reference is not None:
            total += params.kl_coef * jnp.mean(divergence(log_probs, batch.reference))
        return total, metrics
