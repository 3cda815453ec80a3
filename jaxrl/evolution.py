"""Selection by breeding, for one lane: what is common to its learners; docs/evolution.md lists every detail."""

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from envs import Observation, World
from envs.settings import Count, Range
from jaxrl.learner import LaneResult, Learner
from jaxrl.networks import ACTIVATIONS, NOTHING, Context, FirstLayer, Head
from jaxrl.rollout import Tally, bits_needed, empty, first_levels, hand_out, inverse_cdf, move, supply
from jaxrl.schedules import Clock, Settings

BLOCK = 8
"""Members that play side by side on a CPU, at most: the weights of eight lanes of them stay in its cache."""


class State(NamedTuple):
    """One lane in training."""

    policy: Any
    """The parameters of the policy that is probed."""
    algorithm: Any
    """What evosax keeps, in which policies are flat vectors, and fitness is what is minimised."""
    key: jax.Array
    update: jax.Array
    """i32[], generations done."""
    clock: Clock
    diverged: jax.Array
    """bool[], whether a fitness or a parameter has ever been non-finite."""


class Metrics(NamedTuple):
    """Of a generation, f32[] each."""

    fitness_mean: jax.Array
    fitness_best: jax.Array
    fitness_spread: jax.Array
    """Standard deviation over members."""
    sigma: jax.Array
    """Standard deviation of a mutation of one weight."""
    weight_norm: jax.Array
    """Euclidean norm of the policy that the generation left."""


class Actor(nn.Module):
    """The policy of an `ActorCritic` without the critic, initialised in the same way; without hidden layers it is
    linear, and begins as a first layer does.

    __call__: Observation of i32[..., k] and f32[..., m] -> logits f32[..., actions].
    """

    num_actions: int
    cardinalities: tuple[int, ...]
    vector_size: int
    width: int
    depth: int
    activation: str

    @nn.compact
    def __call__(self, observation: Observation) -> jax.Array:
        if self.depth == 0:
            return FirstLayer(self.cardinalities, self.vector_size, self.num_actions, name="policy")(observation)
        activation = ACTIVATIONS[self.activation]
        first = FirstLayer(self.cardinalities, self.vector_size, self.width, name="actor_0")
        hidden = activation(first(observation))
        for layer in range(1, self.depth):
            initial = nn.initializers.orthogonal(math.sqrt(2))
            hidden = activation(nn.Dense(self.width, kernel_init=initial, name=f"actor_{layer}")(hidden))
        return Head(self.num_actions, 0.01, name="policy")(hidden)


@dataclasses.dataclass(frozen=True)
class Evolution(Learner):
    """A population of policies, each of which plays the same levels; one generation is one update."""

    total_steps: Annotated[int, Range(1, 800_000_000)] = 1_966_080
    """Environment steps of a lane, those of all members together; the last incomplete generation is left out."""
    population: Annotated[int, Range(2, 4096)] = 64
    """Members of a generation."""
    n_envs: Count = 4
    """Environments that each member plays side by side."""
    n_steps: Count = 128
    """Steps of a member in each of them; fewer than the time limit cut its episodes short."""
    width: Annotated[int, Range(1, 4096)] = 64
    """Units of a hidden layer."""
    depth: Annotated[int, Range(0, 16)] = 2
    """Hidden layers; with none, logits are linear in the inputs, and width and activation mean nothing."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Non-linearity of the hidden layers."""

    def __post_init__(self):
        shape = f"population {self.population} x n_envs {self.n_envs} x n_steps {self.n_steps}"
        if self.steps_per_update > 2**22:
            raise ValueError(
                f"learner.population: a generation of {self.steps_per_update} steps ({shape}) is too large; at most "
                f"{2**22}"
            )
        if self.total_steps < self.steps_per_update:
            raise ValueError(
                f"learner.total_steps: {self.total_steps} is less than one generation of {self.steps_per_update} "
                f"({shape})"
            )

    @property
    def total_updates(self) -> int:
        return self.total_steps // self.steps_per_update

    @property
    def steps_per_update(self) -> int:
        return self.population * self.n_envs * self.n_steps

    def flops(self, world: World) -> float:
        """Of the dense matrix products of every step, and 50 a weight and member for breeding."""
        inputs = world.layout.size
        widths = [inputs, *[self.width] * self.depth, world.num_actions]
        weights = sum(before * after for before, after in itertools.pairwise(widths))
        return self.steps_per_update * 2 * weights + self.population * weights * 50

    def network(self, world: World) -> Actor:
        return Actor(world.num_actions, world.cardinalities, world.vector_size, self.width, self.depth, self.activation)

    def apply(self, world: World, variables: Any, observation: Observation, context: Context = NOTHING) -> Any:
        """Nothing here values a state: the value is 0."""
        logits: Any = self.network(world).apply(variables, observation)
        return logits, jnp.zeros_like(logits[..., 0]), ()

    def random_policy(self, world: World, key: jax.Array) -> Any:
        """The parameters of an untrained policy."""
        return self.network(world).init(key, world.layout.blank())

    @abc.abstractmethod
    def begin(self, world: World, key: jax.Array, params: Any) -> Any:
        """The algorithm's state before the first generation."""

    @abc.abstractmethod
    def members(self, world: World, key: jax.Array, state: State, params: Any) -> tuple[Any, Any]:
        """The policies of the next generation, with a leading axis [population], and the algorithm's state."""

    @abc.abstractmethod
    def select(self, world: World, key: jax.Array, members: Any, fitness: jax.Array, state: Any, params: Any) -> Any:
        """The algorithm's state once the fitness f32[population] of its members is known."""

    @abc.abstractmethod
    def chosen(self, world: World, state: Any) -> Any:
        """The parameters of the policy that an algorithm's state stands for."""

    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[State, Tally]:
        clock = settings.clock()
        _, params = settings.at(0, self.total_updates, clock)
        begin_key, key = jax.random.split(key)
        algorithm = self.begin(world, begin_key, params)
        # evosax begins with weak types, which the loop would turn into strong ones.
        algorithm = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.result_type(leaf)), algorithm)
        update, diverged = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        return State(self.chosen(world, algorithm), algorithm, key, update, clock, diverged), empty(world)

    def advance(
        self, world: World, state: State, settings: Settings, updates: jax.Array
    ) -> tuple[State, Tally, Metrics]:
        """The metrics are means over the generations."""
        zero = Metrics(*[jnp.zeros(())] * len(Metrics._fields))

        def body(_, carry):
            state, tally, metrics = carry
            state, new_tally, new_metrics = self._generation(world, state, settings)
            return state, jax.tree.map(jnp.add, tally, new_tally), jax.tree.map(jnp.add, metrics, new_metrics)

        state, tally, metrics = jax.lax.fori_loop(0, updates, body, (state, empty(world), zero))
        return state, tally, jax.tree.map(lambda total: total / jnp.maximum(updates, 1).astype(jnp.float32), metrics)

    def finish(self, state: State) -> LaneResult:
        return LaneResult(state.policy, state.diverged)

    def first_layer(self, policy: Any) -> None:
        """Mutations move every weight, those of inputs that training never shows as well."""
        return None

    def _generation(self, world: World, state: State, settings: Settings) -> tuple[State, Tally, Metrics]:
        env_params, params = settings.at(state.update, self.total_updates, state.clock)
        needed = 2, 2, 2, bits_needed(world, self.n_envs, self.n_steps)
        bits = hand_out(jax.random.bits(state.key, (sum(needed),), jnp.uint32), *needed)
        key, breed_key, select_key = (jax.random.wrap_key_data(data) for data in bits[:3])
        members, algorithm = self.members(world, breed_key, state, params)
        apply = lambda policy, seen: self.apply(world, policy, seen)[0]  # noqa: E731
        fitness, tally = evaluate(world, apply, members, bits[3], env_params, self.n_envs, self.n_steps)
        algorithm = self.select(world, select_key, members, fitness, algorithm, params)
        policy = self.chosen(world, algorithm)
        norm = optax.tree.norm(policy)
        metrics = Metrics(jnp.mean(fitness), jnp.max(fitness), jnp.std(fitness), params.sigma, norm)
        finite = jnp.all(jnp.isfinite(fitness)) & jnp.isfinite(norm)
        update = state.update + 1
        seen = tally.episodes, tally.successes, tally.returns
        clock = settings.tick(state.clock, update, self.total_updates, *seen)
        return State(policy, algorithm, key, update, clock, state.diverged | ~finite), tally, metrics


def evaluate(
    world: World, apply: Callable, members: Any, bits: jax.Array, params: Any, n_envs: int, n_steps: int
) -> tuple[jax.Array, Tally]:
    """Plays `n_steps` with every member in `n_envs` environments, from fresh levels, the same for all members.

    Fitness is the mean undiscounted return of the episodes that begin early enough to end within the steps whatever
    happens, a time limit before the last step. Their number is a stopping time, so that by Wald's
    identity the expected sum of their returns is their expected number times the expected return of an episode: members
    with short episodes are not favoured. The mean over all episodes that end would favour them, since a long
    episode is more often cut off; the reward of a step would favour speed, or say nothing where every step pays alike.
    Where the steps are fewer than the time limit, fitness is the mean reward until the first end, or in all steps.

    Args:
      apply: a member's parameters and Observation[envs] -> logits f32[envs, actions].
      members: parameters with a leading axis [population].
      bits: u32[bits_needed], random; members share it, for levels, actions and the world's own chance.
      params: the world's Params.
    Returns:
      f32[population], and the tally of all that was played, in which an episode that the last step cut off has its
      events and not its return.
    """
    given = supply(world, bits, params, n_envs, n_steps)
    observe = jax.vmap(world.features, in_axes=(0, None))
    limit = jnp.minimum(getattr(params, "max_steps_in_episode", n_steps), n_steps)

    def one(policy):
        def play(carry, step):
            walk, paid, counted = carry
            time, draw, keys = step
            action = inverse_cdf(jax.nn.softmax(apply(policy, observe(walk.envs.state, params))), draw)
            in_time = time - walk.envs.episode_length + limit <= n_steps
            walk, moved = move(world, params, given, walk, action, keys)
            paid = paid + jnp.sum(jnp.where(in_time, moved.reward, 0.0))
            counted = counted + jnp.sum(moved.done & (time + 1 + limit <= n_steps), dtype=jnp.float32)
            return (walk, paid, counted), None

        carry = first_levels(world, given), jnp.zeros(()), jnp.float32(n_envs)
        (walk, paid, counted), _ = jax.lax.scan(play, carry, (jnp.arange(n_steps), given.draws, given.keys))
        return paid / counted, walk.tally

    def side_by_side(members):
        fitness, tallies = jax.vmap(one)(members)
        return fitness, jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), tallies)

    def in_blocks(members):
        population = len(jax.tree.leaves(members)[0])
        block = max(size for size in range(1, BLOCK + 1) if population % size == 0)
        blocks = jax.tree.map(lambda leaf: leaf.reshape(population // block, block, *leaf.shape[1:]), members)
        fitness, tallies = jax.lax.map(side_by_side, blocks)
        return fitness.reshape(population), jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), tallies)

    return jax.lax.platform_dependent(members, cpu=in_blocks, default=side_by_side)
