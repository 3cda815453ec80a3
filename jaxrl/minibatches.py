"""Learning from a rollout several times over, in shuffled parts."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from envs import Observation, World
from envs.settings import Count
from jaxrl import advantages
from jaxrl.networks import NOTHING, Context
from jaxrl.on_policy import Lesson, OnPolicy


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
    reference: Any = None
    """f32[..., actions], logarithms of the reference policy's probabilities, where there is one."""


@dataclasses.dataclass(frozen=True)
class Minibatches(OnPolicy):
    """A subclass says `loss`, and its `Params` have `gae_lambda`."""

    takes_approval: ClassVar[bool] = True

    n_epochs: Count = 4
    """Passes over a rollout."""
    n_minibatches: Count = 4
    """Parts that a rollout is shuffled into in each pass; of a recurrent policy, whole sequences are shuffled."""

    def __post_init__(self):
        batch = self.n_envs * self.n_steps
        shape = f"n_envs {self.n_envs} x n_steps {self.n_steps}"
        if batch % self.n_minibatches:
            raise ValueError(
                f"learner.n_minibatches: {self.n_minibatches} does not divide the batch of {batch} ({shape})"
            )
        super().__post_init__()

    @property
    def passes(self) -> int:
        return self.n_epochs

    def check(self, world: World) -> None:
        super().check(world)
        if self.recurrent(world) and self.n_envs % self.n_minibatches:
            raise ValueError(
                f"learner.n_minibatches: {self.n_minibatches} does not divide n_envs {self.n_envs}; a policy with "
                "memory learns from whole sequences"
            )

    @property
    def learning_bits(self) -> int:
        return -(-self.n_epochs // 2) * self.n_envs * self.n_steps

    def learn(
        self, world: World, variables: Any, optimiser_state: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Any]:
        steps, recurrent = lesson.steps, self.recurrent(world)
        size = self.n_envs if recurrent else self.n_envs * self.n_steps
        advantage = advantages.of_rollout(steps, params.discount, params.gae_lambda, lesson.horizon)
        batch = Batch(
            steps.observation, steps.action, steps.log_prob, steps.value, advantage, advantage + steps.value,
            steps.context, self.reference(world, lesson),
        )  # fmt: skip
        if recurrent:
            batch = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), batch)
            batch = batch._replace(context=batch.context._replace(memory=lesson.memory))
        else:
            batch = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), batch)
        # One gather of all numbers of a transition costs a fifth of one for each of them.
        numbers = jnp.stack([batch.log_prob, batch.value, batch.advantage, batch.target], axis=1)

        def descend(carry, rows):
            variables, optimiser_state = carry
            observation, action, context, reference = jax.tree.map(
                lambda leaf: leaf[rows], (batch.observation, batch.action, batch.context, batch.reference)
            )
            part = Batch(observation, action, *jnp.moveaxis(numbers[rows], 1, 0), context, reference)
            gradients, metrics = jax.grad(self.loss, argnums=1, has_aux=True)(world, variables, part, params)
            return self.descend(params, variables, optimiser_state, gradients, lesson.held), metrics

        (variables, optimiser_state), metrics = jax.lax.scan(
            descend, (variables, optimiser_state), self._shuffles(lesson.bits, size)
        )
        return variables, optimiser_state, jax.tree.map(jnp.mean, metrics)

    @abc.abstractmethod
    def loss(self, world: World, variables: Any, batch: Batch, params: Any) -> tuple[jax.Array, Any]:
        """f32[], what a minibatch is to lower, and metrics."""

    def over_batch(self, world: World, variables: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """The network's logits and values, with the leading axes of the batch."""
        if not self.recurrent(world):
            return self.forward(world, variables, batch.observation, batch.context)[:2]
        seen = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), (batch.observation, batch.context._replace(memory=())))
        found = self.over_time(world, variables, batch.context.memory, seen)
        return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), found)

    def _shuffles(self, bits: jax.Array, size: int) -> jax.Array:
        """i32[epochs * minibatches, rows], a fresh order for each epoch, from 16 random bits a place.

        Sorting one u32, 16 random bits above 16 bits of index, is ten times faster on a CPU than
        `jax.random.permutation`. Equal random bits fall back on the index, which biases the order by size / 2**16.
        """
        halves = jnp.stack([bits & jnp.uint32(0xFFFF0000), bits << 16])
        high = halves.reshape(-1, self.n_envs * self.n_steps)[: self.n_epochs, :size]
        order = jnp.sort(high | jnp.arange(size, dtype=jnp.uint32)[None, :], axis=-1) & jnp.uint32(0xFFFF)
        return order.astype(jnp.int32).reshape(self.n_epochs * self.n_minibatches, -1)
