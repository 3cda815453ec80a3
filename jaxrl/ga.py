"""A genetic algorithm without crossover (Such et al. 2017), for one lane, by evosax; details in docs/evolution.md."""

import dataclasses
import functools
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.promotion import implicit_promotion
from envs.settings import Count, NonNegative, Range
from jaxrl.evolution import Evolution, State


@struct.dataclass
class Params:
    """The numbers of the learner; every field is traced."""

    sigma: NonNegative = 0.03
    """Standard deviation of the mutation of every weight."""


@dataclasses.dataclass(frozen=True)
class GA(Evolution):
    """Genetic algorithm with truncation selection: the best members are the next parents, and the best one stays.

    The policy that is probed is the best of the last generation; where several are as good, the one that stayed.
    """

    total_steps: Annotated[int, Range(1, 800_000_000)] = 16_384_000
    n_envs: Count = 16
    parents: Count = 8
    """Members that have offspring: the best of a generation."""

    Params: ClassVar[Any] = Params

    def __post_init__(self):
        super().__post_init__()
        if self.parents > self.population:
            raise ValueError(
                f"learner.parents: {self.parents} of a population of {self.population}; at most all of them"
            )

    def begin(self, world: World, key: jax.Array, params: Any) -> Any:
        algorithm = _algorithm(self, world)
        keys = jax.random.split(key, self.population)
        # Not a vmap: batched orthogonal initialisation dead-locks XLA's CPU thread pool.
        founders = jax.lax.map(lambda key: self.random_policy(world, key), keys)
        with implicit_promotion():
            return algorithm.init(key, founders, jnp.zeros(self.population), algorithm.default_params)

    def members(self, world: World, key: jax.Array, state: State, params: Any) -> tuple[Any, Any]:
        algorithm = _algorithm(self, world)
        before = state.algorithm.replace(std=jnp.float32(params.sigma))
        founders = algorithm.get_population(before)
        with implicit_promotion():
            offspring, after = algorithm.ask(key, before, algorithm.default_params)
        bred = jax.tree.map(lambda leaf, best: leaf.at[0].set(best), offspring, state.policy)
        return jax.tree.map(lambda old, new: jnp.where(state.update == 0, old, new), founders, bred), after

    def select(self, world: World, key: jax.Array, members: Any, fitness: jax.Array, state: Any, params: Any) -> Any:
        algorithm = _algorithm(self, world)
        with implicit_promotion():
            return algorithm.tell(key, members, -fitness, state, algorithm.default_params)[0]

    def chosen(self, world: World, state: Any) -> Any:
        return _algorithm(self, world).get_best_solution(state)


@functools.lru_cache(maxsize=16)
def _algorithm(learner: GA, world: World) -> Any:
    """evosax's simple genetic algorithm; it breeds from a share of the population."""
    from evosax.algorithms import SimpleGA  # takes a tenth of a second, which other learners need not wait

    with jax.ensure_compile_time_eval():  # its constants, also where a program that uses them is being traced
        shapes = jax.eval_shape(lambda key: learner.random_policy(world, key), jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        algorithm = SimpleGA(learner.population, zeros, metrics_fn=lambda *_: {})
    algorithm.elite_ratio = (learner.parents + 0.5) / learner.population  # evosax rounds the product down
    return algorithm
