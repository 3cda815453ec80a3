"""ACCEL: levels that have been replayed are edited, and what scores high of that is replayed in turn."""

from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from envs import Editable, World
from envs.settings import Probability, Range
from jaxrl.curricula import plr
from jaxrl.learner import Learner


@struct.dataclass
class Params(plr.Params):
    """The numbers of the curriculum; every field is traced."""

    n_edits: Annotated[int, Range(1, 1000)] = 12
    """Edits that make a new level of a replayed one."""
    keep_kind: Probability = 1.0
    """Probability that an edit leaves the level telling the goals apart, or not, as it did; others draw that anew."""


class ACCEL(plr.RobustPLR):
    """Robust prioritised level replay with edits (Parker-Holder et al. 2022).

    After each update that replays levels comes one that plays edits of them, which is not learnt from.
    """

    Params: ClassVar[Any] = Params

    def check(self, world: World, learner: Learner) -> None:
        super().check(world, learner)
        if not world.offers(Editable):
            raise ValueError(f"curriculum.name: {world.name} has no edits; expected plr or robust-plr")

    def levels(
        self, world: World, state: plr.State, key: jax.Array, env_params: Any, params: Any, n_envs: int
    ) -> tuple[plr.State, Any, jax.Array]:
        key, edit_key = jax.random.split(key)
        able: Any = world
        edits, parents = state.replays, state.levels
        state, others, learns = super().levels(world, state, key, env_params, params, n_envs)

        def edit(i, levels):
            keys = jax.random.split(jax.random.fold_in(edit_key, i), n_envs + 1)
            keep = jax.random.bernoulli(keys[0], params.keep_kind, (n_envs,))
            return jax.vmap(able.edit_level, in_axes=(0, 0, None, 0))(keys[1:], levels, env_params, keep)

        edited = jax.lax.fori_loop(0, jnp.where(edits, params.n_edits, 0), edit, parents)
        edited = jax.tree.map(lambda leaf: leaf[None], edited)
        levels = jax.tree.map(lambda child, other: jnp.where(edits, child, other), edited, others)
        learns &= ~edits
        chosen = jax.tree.map(lambda leaf: leaf[0], levels)
        return state._replace(levels=chosen, replays=state.replays & ~edits, learns=learns), levels, learns
