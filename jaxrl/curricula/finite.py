"""Domain randomisation over a finite set of levels."""

from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from envs import World
from envs.settings import Range
from jaxrl.curricula.curriculum import Curriculum
from jaxrl.rollout import LEVELS_PER_ENV


@struct.dataclass
class Params:
    """The numbers of the curriculum; every field is traced."""

    n_levels: Annotated[int, Range(1, 2**24)] = 256
    """Training levels; each episode has one of them, all equally often."""


class Finite(Curriculum):
    """A finite set of training levels: the n-th is the world's level of the n-th key, so none is stored."""

    Params: ClassVar[Any] = Params

    def init(self, world: World, key: jax.Array, env_params: Any, params: Any, n_envs: int) -> jax.Array:
        """The key of the set."""
        return key

    def levels(
        self, world: World, state: jax.Array, key: jax.Array, env_params: Any, params: Any, n_envs: int
    ) -> tuple[jax.Array, Any, jax.Array]:
        place = jax.random.randint(key, (LEVELS_PER_ENV, n_envs), 0, params.n_levels)
        one = lambda place: world.sample_level(jax.random.fold_in(state, place), env_params)  # noqa: E731
        return state, jax.vmap(jax.vmap(one))(place), jnp.ones((), bool)
