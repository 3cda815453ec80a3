"""Evolution strategies (Salimans et al. 2017) for one lane, by evosax; docs/evolution.md lists every detail."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from envs import World
from envs.promotion import implicit_promotion
from envs.settings import NonNegative, Positive
from jaxrl.evolution import Evolution, State


@struct.dataclass
class Params:
    """The numbers of the learner; every field is traced."""

    learning_rate: NonNegative = 0.06
    """Adam's step size."""
    sigma: Positive = 0.1
    """Standard deviation of the noise on every weight."""


@dataclasses.dataclass(frozen=True)
class ES(Evolution):
    """Evolution strategy: ascends the expected fitness of a Gaussian; its mean is the policy that is probed."""

    Params: ClassVar[Any] = Params

    def __post_init__(self):
        super().__post_init__()
        if self.population % 2:
            raise ValueError(f"learner.population: {self.population} is odd, and noise comes in pairs of z and -z")

    def begin(self, world: World, key: jax.Array, params: Any) -> Any:
        algorithm = _algorithm(self, world)
        policy = self.random_policy(world, key)
        with implicit_promotion():
            return algorithm.init(key, policy, algorithm.default_params)

    def members(self, world: World, key: jax.Array, state: State, params: Any) -> tuple[Any, Any]:
        algorithm, before = _algorithm(self, world), state.algorithm
        numbers = before.opt_state.hyperparams | {"learning_rate": jnp.float32(params.learning_rate)}
        before = before.replace(std=jnp.float32(params.sigma), opt_state=before.opt_state._replace(hyperparams=numbers))
        with implicit_promotion():
            return algorithm.ask(key, before, algorithm.default_params)

    def select(self, world: World, key: jax.Array, members: Any, fitness: jax.Array, state: Any, params: Any) -> Any:
        algorithm = _algorithm(self, world)
        with implicit_promotion():
            return algorithm.tell(key, members, -fitness, state, algorithm.default_params)[0]

    def chosen(self, world: World, state: Any) -> Any:
        return _algorithm(self, world).get_mean(state)


@functools.lru_cache(maxsize=16)
def _algorithm(learner: ES, world: World) -> Any:
    """evosax's OpenAI-ES: pairs of opposite noise, centred ranks, ties averaged, Adam."""
    from evosax.algorithms import Open_ES  # takes a tenth of a second, which other learners need not wait

    with jax.ensure_compile_time_eval():  # its constants, also where a program that uses them is being traced
        shapes = jax.eval_shape(lambda key: learner.random_policy(world, key), jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        adam = optax.inject_hyperparams(optax.adam)(learning_rate=0.0)
        return Open_ES(learner.population, zeros, optimizer=adam, metrics_fn=lambda *_: {})
