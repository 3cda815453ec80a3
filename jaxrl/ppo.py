"""Proximal policy optimisation (Schulman et al. 2017) for one lane; docs/ppo.md lists every detail with its source."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import Observation, World
from envs.settings import Count, NonNegative, Positive, Probability
from jaxrl import on_policy, rollout
from jaxrl.advantages import advantages
from jaxrl.networks import NOTHING, Context
from jaxrl.on_policy import Lesson, OnPolicy


@struct.dataclass
class Params(on_policy.Params):
    """The numbers of the learner; every field is traced."""

    gae_lambda: Probability = 0.95
    """Decay of the advantage trace, lambda."""
    clip_eps: Positive = 0.2
    """How far the probability ratio, and a value, may move from the old one before its gradient is cut."""
    entropy_coef: NonNegative = 0.01
    """Weight of the entropy bonus."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss."""


class Metrics(NamedTuple):
    """Means over the minibatches of an update, f32[] each."""

    loss_policy: jax.Array
    loss_value: jax.Array
    entropy: jax.Array
    approx_kl: jax.Array
    clip_fraction: jax.Array


class Batch(NamedTuple):
    """Leaves have a leading axis of transitions; of a recurrent policy, two axes, of environments and of steps."""

    observation: Observation
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array
    target: jax.Array
    context: Context = NOTHING
    """With the memory at the first step, if there is one."""


@dataclasses.dataclass(frozen=True)
class PPO(OnPolicy):
    """The shapes and counts of the learner; every field is static."""

    n_epochs: Count = 4
    """Passes over a rollout."""
    n_minibatches: Count = 4
    """Parts that a rollout is shuffled into in each pass; of a recurrent policy, whole sequences are shuffled."""

    Params: ClassVar[Any] = Params
    Metrics: ClassVar[Any] = Metrics

    def __post_init__(self):
        batch = self.n_envs * self.n_steps
        shape = f"n_envs {self.n_envs} x n_steps {self.n_steps}"
        if batch % self.n_minibatches:
            raise ValueError(
                f"learner.n_minibatches: {self.n_minibatches} does not divide the batch of {batch} ({shape})"
            )
        if batch // self.n_minibatches < 2:
            raise ValueError(
                f"learner.n_minibatches: minibatches of one transition ({shape}) cannot be normalised; at least 2"
            )
        super().__post_init__()

    @property
    def passes(self) -> int:
        return self.n_epochs

    def check(self, world: World) -> None:
        super().check(world)
        if self._recurrent(world) and self.n_envs % self.n_minibatches:
            raise ValueError(
                f"learner.n_minibatches: {self.n_minibatches} does not divide n_envs {self.n_envs}; a policy with "
                "memory learns from whole sequences"
            )

    @property
    def learning_words(self) -> int:
        return -(-self.n_epochs // 2) * self.n_envs * self.n_steps

    def learn(
        self, world: World, variables: Any, moments: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Metrics]:
        steps, recurrent = lesson.steps, self._recurrent(world)
        size = self.n_envs if recurrent else self.n_envs * self.n_steps
        advantage = advantages(
            steps.reward, steps.terminated, steps.cut, steps.value, steps.next_value, params.discount, params.gae_lambda
        )
        batch = Batch(
            steps.observation, steps.action, steps.log_prob, steps.value, advantage, advantage + steps.value,
            steps.context,
        )  # fmt: skip
        if recurrent:
            batch = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), batch)
            batch = batch._replace(context=batch.context._replace(memory=lesson.memory))
        else:
            batch = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), batch)
        # One gather of all numbers of a transition costs a fifth of one for each of them.
        numbers = jnp.stack([batch.log_prob, batch.value, batch.advantage, batch.target], axis=1)

        def descend(carry, rows):
            variables, moments = carry
            observation, action, context = jax.tree.map(
                lambda leaf: leaf[rows], (batch.observation, batch.action, batch.context)
            )
            part = Batch(observation, action, *jnp.moveaxis(numbers[rows], 1, 0), context)
            gradients, metrics = jax.grad(self.loss, argnums=1, has_aux=True)(world, variables, part, params)
            return self.descend(params, variables, moments, gradients), metrics

        (variables, moments), metrics = jax.lax.scan(descend, (variables, moments), self._shuffles(lesson.words, size))
        return variables, moments, jax.tree.map(jnp.mean, metrics)

    def loss(self, world: World, variables: Any, batch: Batch, params: Any) -> tuple[jax.Array, Metrics]:
        """The clipped surrogate objective, the value loss and the entropy bonus of one minibatch.

        Schulman et al. 2017, equations 7 and 9. Advantages are normalised within the minibatch, and the value is
        clipped like the ratio, as in the authors' implementation.
        """
        if self._recurrent(world):
            seen = jax.tree.map(
                lambda leaf: leaf.swapaxes(0, 1), (batch.observation, batch.context._replace(memory=()))
            )
            found = self.over_time(world, variables, batch.context.memory, seen)
            logits, value = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), found)
        else:
            logits, value, _ = self.apply(world, variables, batch.observation, batch.context)
        log_probs = jax.nn.log_softmax(logits)
        log_ratio = rollout.pick(log_probs, batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
        clipped = jnp.clip(ratio, 1 - params.clip_eps, 1 + params.clip_eps)
        loss_policy = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
        near = batch.value + jnp.clip(value - batch.value, -params.clip_eps, params.clip_eps)
        loss_value = 0.5 * jnp.mean(jnp.maximum((value - batch.target) ** 2, (near - batch.target) ** 2))
        entropy = -jnp.mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
        moved = (jnp.abs(ratio - 1) > params.clip_eps).astype(jnp.float32)
        approx_kl, clip_fraction = jnp.mean(jnp.stack([ratio - 1 - log_ratio, moved]), axis=1)
        metrics = Metrics(loss_policy, loss_value, entropy, approx_kl, clip_fraction)
        return loss_policy + params.value_coef * loss_value - params.entropy_coef * entropy, metrics

    def _recurrent(self, world: World) -> bool:
        return bool(jax.tree.leaves(self.context(world, 1).memory))

    def _shuffles(self, words: jax.Array, size: int) -> jax.Array:
        """i32[epochs * minibatches, rows], a fresh order for each epoch, from half a random word a place.

        Sorting one word, 16 random bits above 16 bits of index, is ten times faster on a CPU than
        `jax.random.permutation`. Equal random bits fall back on the index, which biases the order by size / 2**16.
        """
        halves = jnp.stack([words & jnp.uint32(0xFFFF0000), words << 16])
        high = halves.reshape(-1, self.n_envs * self.n_steps)[: self.n_epochs, :size]
        order = jnp.sort(high | jnp.arange(size, dtype=jnp.uint32), axis=-1) & jnp.uint32(0xFFFF)
        return order.astype(jnp.int32).reshape(self.n_epochs * self.n_minibatches, -1)
