"""A trained policy at work, one step at a time, for use outside training and probing."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from envs import Observation, World
from jaxrl.learner import Learner
from jaxrl.networks import Context


@dataclasses.dataclass(frozen=True, eq=False)
class Policy:
    """A policy with its world. `act` is pure and works on one episode: jit, vmap and scan it as you like."""

    world: World
    params: Any
    """The world's `Params` on probes: those of the policy's condition, as they are when training begins."""
    learner: Learner
    weights: Any
    """The network's parameters, what `learner.apply` takes: NumPy arrays in nested dicts. The kernels of the heads
    `policy` and `value` are f32[outputs, inputs], all others f32[inputs, outputs]."""

    @property
    def carry(self) -> Context:
        """What is carried from step to step, at the beginning of an episode; of a policy without memory, no arrays."""
        return jax.tree.map(lambda leaf: leaf[0], self.learner.context(self.world, 1))

    def act(self, key: Any, seen: Any, carry: Context | None = None, reward: Any = None) -> tuple[jax.Array, Context]:
        """Chooses an action.

        Args:
          key: of one sample; None for the most probable action.
          seen: the world's state, what `world.reset` and `world.step` give as the observation (f32[layout.size]), the
            picture of `envs.gymnasium_env`, or an `envs.Observation`.
          carry: what `act` gave at the step before in the same episode; None at its beginning.
          reward: f32[], of the step before, for a policy that sees rewards (`learner.previous_reward`): the world's
            `earned(state, events, params)`, which is without shaping and approval. Of no meaning at an episode's
            beginning.
        Returns:
          action i32[], and the carry of the next step.
        Raises:
          ValueError: the policy sees rewards, and there is a carry of a later step, or one that is being traced,
            without one.
        """
        probable, context = self._looked(seen, carry, reward)
        return _chosen(key, *probable, context)

    def logits(self, seen: Any, carry: Context | None = None, reward: Any = None) -> jax.Array:
        """f32[actions], log-probabilities of the actions up to a constant; arguments as for `act`."""
        return self._looked(seen, carry, reward)[0][0]

    def _looked(self, seen: Any, carry: Context | None, reward: Any) -> tuple[Any, Context]:
        context = self.carry if carry is None else carry
        if carry is not None and context.previous_reward is not None:
            if reward is not None:
                context = context._replace(previous_reward=jnp.asarray(reward, jnp.float32))
            elif isinstance(context.first, jax.core.Tracer) or context.first is None or not context.first:
                raise ValueError("this policy sees the reward of the step before; expected `reward` beside the carry")
        return _apply(self.learner, self.world, self.weights, self.params, seen, context), context


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(learner: Learner, world: World, weights: Any, params: Any, seen: Any, context: Context) -> Any:
    """Logits f32[actions] and memory."""
    if isinstance(seen, Observation):
        observation = seen
    else:
        observation = world.layout.read(seen) if isinstance(seen, jax.Array) else world.features(seen, params)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (observation, context))
    logits, _, memory = learner.apply(world, weights, *one)
    return logits[0], jax.tree.map(lambda leaf: leaf[0], memory)


@jax.jit
def _chosen(key: Any, logits: jax.Array, memory: Any, context: Context) -> tuple[jax.Array, Context]:
    chosen = jnp.argmax(logits) if key is None else jax.random.categorical(key, logits)
    action = chosen.astype(jnp.int32)
    return action, context.after(memory, action, jnp.zeros(()), jnp.zeros((), bool))
