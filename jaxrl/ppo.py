"""Proximal policy optimisation (Schulman et al. 2017) for one lane; docs/ppo.md lists every detail with its source."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from envs import Observation, World
from envs.settings import Count, NonNegative, Positive, Probability, Range
from jaxrl import rollout
from jaxrl.advantages import advantages
from jaxrl.learner import Finished, Learner
from jaxrl.networks import ActorCritic
from jaxrl.schedules import Clock, Settings


@struct.dataclass
class Params:
    """The numbers of the learner; every field is traced."""

    learning_rate: NonNegative = 1e-3
    """Adam's step size."""
    discount: Probability = 0.97
    """Discount factor, gamma."""
    gae_lambda: Probability = 0.95
    """Decay of the advantage trace, lambda."""
    clip_eps: Positive = 0.2
    """How far the probability ratio, and a value, may move from the old one before its gradient is cut."""
    entropy_coef: NonNegative = 0.01
    """Weight of the entropy bonus."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss."""
    max_grad_norm: Positive = 0.5
    """Global norm to which gradients are clipped."""
    reset_optimiser_at: Probability = 1.0
    """Share of training at which Adam's moments start anew; 1 for never."""


class State(NamedTuple):
    """One lane in training."""

    variables: Any
    """The network's parameters."""
    optimiser: Any
    envs: rollout.Envs
    key: jax.Array
    update: jax.Array
    """i32[], updates done."""
    clock: Clock
    diverged: jax.Array
    """bool[], whether a loss or a parameter has ever been non-finite."""


class Metrics(NamedTuple):
    """Means over the minibatches of an update, f32[] each."""

    loss_policy: jax.Array
    loss_value: jax.Array
    entropy: jax.Array
    approx_kl: jax.Array
    clip_fraction: jax.Array


class Batch(NamedTuple):
    """Leaves have a leading axis of transitions."""

    observation: Observation
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array
    target: jax.Array


@dataclasses.dataclass(frozen=True)
class PPO(Learner):
    """The shapes and counts of the learner; every field is static."""

    total_steps: Annotated[int, Range(1, 800_000_000)] = 102_400
    """Environment steps of a lane; the last incomplete rollout is left out."""
    n_envs: Count = 32
    """Environments played side by side."""
    n_steps: Count = 32
    """Steps in each environment between updates."""
    n_epochs: Count = 4
    """Passes over a rollout."""
    n_minibatches: Count = 4
    """Parts that a rollout is shuffled into in each pass."""
    width: Annotated[int, Range(1, 4096)] = 64
    """Units of a hidden layer."""
    depth: Annotated[int, Range(1, 16)] = 2
    """Hidden layers."""
    towers: Literal["shared", "separate"] = "shared"
    """Whether policy and value share their hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Non-linearity of the hidden layers."""

    Params: ClassVar[Any] = Params

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
        if batch > 2**16:
            raise ValueError(f"learner.n_steps: a batch of {batch} ({shape}) is too large; at most {2**16}")
        if self.total_steps < batch:
            raise ValueError(f"learner.total_steps: {self.total_steps} is less than one batch of {batch} ({shape})")

    @property
    def total_updates(self) -> int:
        return self.total_steps // (self.n_envs * self.n_steps)

    @property
    def steps_per_update(self) -> int:
        return self.n_envs * self.n_steps

    def operations(self, world: World) -> float:
        """Of the dense matrix products alone; the first layer counts as the dense product that it stands for.

        A forward pass is two operations a weight, a gradient step three times that; each transition is chosen once and
        learnt from `n_epochs` times.
        """
        inputs = sum(world.cardinalities) + world.vector_size
        tower = inputs * self.width + (self.depth - 1) * self.width**2
        weights = tower * (1 if self.towers == "shared" else 2) + self.width * (world.num_actions + 1)
        return self.steps_per_update * 2 * weights * (1 + 3 * self.n_epochs)

    def network(self, world: World) -> ActorCritic:
        return ActorCritic(
            world.num_actions,
            world.cardinalities,
            world.vector_size,
            self.width,
            self.depth,
            self.towers,
            self.activation,
        )

    def apply(self, world: World, variables: Any, observation: Observation) -> tuple[Any, Any]:
        logits, value, _ = self.network(world).apply(variables, (), observation, None, None, None)  # type: ignore[misc]
        return logits, value

    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[State, rollout.Tally]:
        clock = settings.clock()
        env_params, params = settings.at(jnp.zeros(()), clock)
        network_key, env_key, key = jax.random.split(key, 3)
        envs, tally = rollout.begin(world, env_key, env_params, self.n_envs)
        observation = jax.tree.map(
            lambda leaf: leaf[0], jax.vmap(world.features, in_axes=(0, None))(envs.state, env_params)
        )
        variables = self.network(world).init(network_key, (), observation, None, None, None)
        optimiser = _optimiser(params).init(variables)
        return State(variables, optimiser, envs, key, jnp.zeros((), jnp.int32), clock, jnp.zeros((), bool)), tally

    def advance(
        self, world: World, state: State, settings: Settings, updates: jax.Array
    ) -> tuple[State, rollout.Tally, Metrics]:
        """The metrics are means over the updates."""
        zero = jax.tree.map(jnp.zeros_like, Metrics(*[jnp.zeros(())] * 5))

        def body(_, carry):
            state, tally, metrics = carry
            state, new_tally, new_metrics = self._update(world, state, settings)
            return state, jax.tree.map(jnp.add, tally, new_tally), jax.tree.map(jnp.add, metrics, new_metrics)

        state, tally, metrics = jax.lax.fori_loop(0, updates, body, (state, rollout.empty(world), zero))
        return state, tally, jax.tree.map(lambda total: total / jnp.maximum(updates, 1), metrics)

    def finish(self, state: State) -> Finished:
        return Finished(state.variables, state.diverged)

    def first_layer(self, policy: Any) -> jax.Array:
        """Adam's direction is exactly 0 for a weight that has never had a gradient, and no weight decays."""
        return policy["params"]["tower_0" if self.towers == "shared" else "actor_0"]["kernel"]

    def _update(self, world: World, state: State, settings: Settings) -> tuple[State, rollout.Tally, Metrics]:
        env_params, params = settings.at(state.update / self.total_updates, state.clock)
        batch_size = self.n_envs * self.n_steps
        needed = 2, rollout.words_needed(world, self.n_envs, self.n_steps), -(-self.n_epochs // 2) * batch_size
        words = rollout.hand_out(jax.random.bits(state.key, (sum(needed),), jnp.uint32), *needed)
        key = jax.random.wrap_key_data(words[0])
        apply = lambda observation: self.apply(world, state.variables, observation)  # noqa: E731
        envs, steps, tally = rollout.rollout(world, apply, state.envs, words[1], env_params, self.n_steps)
        advantage = advantages(
            steps.reward, steps.terminated, steps.cut, steps.value, steps.next_value, params.discount, params.gae_lambda
        )
        batch = Batch(steps.observation, steps.action, steps.log_prob, steps.value, advantage, advantage + steps.value)
        batch = jax.tree.map(lambda leaf: leaf.reshape(batch_size, *leaf.shape[2:]), batch)
        order = self._shuffles(words[2])
        optimiser = _optimiser(params)
        anew = state.update == jnp.round(params.reset_optimiser_at * self.total_updates)
        blank = optimiser.init(state.variables)
        moments = jax.tree.map(lambda new, old: jnp.where(anew, new, old), blank, state.optimiser)

        # One gather of all numbers of a transition costs a fifth of one for each of them.
        numbers = jnp.stack([batch.log_prob, batch.value, batch.advantage, batch.target], axis=1)

        def descend(carry, rows):
            variables, moments = carry
            observation, action = jax.tree.map(lambda leaf: leaf[rows], (batch.observation, batch.action))
            part = Batch(observation, action, *jnp.moveaxis(numbers[rows], 1, 0))
            gradients, metrics = jax.grad(self.loss, argnums=1, has_aux=True)(world, variables, part, params)
            direction, moments = optimiser.update(gradients, moments)
            variables = jax.tree.map(lambda weight, step: weight - params.learning_rate * step, variables, direction)
            return (variables, moments), metrics

        (variables, moments), metrics = jax.lax.scan(descend, (state.variables, moments), order)
        metrics = jax.tree.map(jnp.mean, metrics)
        finite = jnp.isfinite(metrics.loss_policy + metrics.loss_value)
        for leaf in jax.tree.leaves(variables):
            finite &= jnp.all(jnp.isfinite(leaf))
        update = state.update + 1
        intended = [goal.role == "intended" for goal in world.goals]
        successes = jnp.sum(jnp.where(np.array(intended, bool), tally.events, 0.0))
        clock = settings.tick(state.clock, update / self.total_updates, tally.episodes, successes)
        return State(variables, moments, envs, key, update, clock, state.diverged | ~finite), tally, metrics

    def loss(self, world: World, variables: Any, batch: Batch, params: Any) -> tuple[jax.Array, Metrics]:
        """The clipped surrogate objective, the value loss and the entropy bonus of one minibatch.

        Schulman et al. 2017, equations 7 and 9. Advantages are normalised within the minibatch, and the value is
        clipped like the ratio, as in the authors' implementation.
        """
        logits, value = self.apply(world, variables, batch.observation)
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

    def _shuffles(self, words: jax.Array) -> jax.Array:
        """i32[epochs * minibatches, rows], a fresh order of the batch for each epoch, from half a random word a place.

        Sorting one word, 16 random bits above 16 bits of index, is ten times faster on a CPU than
        `jax.random.permutation`. Equal random bits fall back on the index, which biases the order by batch / 2**16.
        """
        size = self.n_envs * self.n_steps
        halves = jnp.stack([words & jnp.uint32(0xFFFF0000), words << 16])
        high = halves.reshape(-1, size)[: self.n_epochs]
        order = jnp.sort(high | jnp.arange(size, dtype=jnp.uint32), axis=-1) & jnp.uint32(0xFFFF)
        return order.astype(jnp.int32).reshape(self.n_epochs * self.n_minibatches, -1)


def _optimiser(params: Any) -> optax.GradientTransformation:
    """Clipping by global norm, then Adam's direction; the step size is applied by the caller."""
    return optax.chain(optax.clip_by_global_norm(params.max_grad_norm), optax.scale_by_adam(eps=1e-5))
