"""Prioritised level replay: levels on which the policy does worse than could be done are played again."""

import dataclasses
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from envs import Solved, World
from envs.settings import Positive, Probability, Range
from jaxrl.curricula import level_buffer, regret
from jaxrl.curricula.curriculum import Curriculum, Experience
from jaxrl.curricula.level_buffer import Buffer
from jaxrl.learner import Learner


@struct.dataclass
class Params:
    """The numbers of the curriculum; every field is traced."""

    replay_prob: Probability = 0.5
    """Probability that an update, once the buffer is filled enough, replays levels of it; at 0 this is domain
    randomisation with one level an update in each environment."""
    temperature: Positive = 1.0
    """A level is drawn in proportion to the rank of its score to the power -1 / temperature."""
    staleness_coef: Probability = 0.3
    """Probability that a draw goes by the time since levels were last played instead."""
    min_fill: Probability = 0.5
    """Share of the buffer that is filled before anything is replayed."""


class State(NamedTuple):
    """One lane's."""

    buffer: Buffer
    levels: Any
    """Those chosen last, leaves [envs, ...]."""
    replays: jax.Array
    """bool[], whether they were replayed ones."""
    learns: jax.Array
    """bool[], whether the learner learns from them."""
    updates: jax.Array
    """i32[], updates done: the time."""
    replayed: jax.Array
    """i32[], those with replayed levels."""
    distinct: jax.Array
    """i32[], levels that were replayed, each counted once an update."""
    learnt: jax.Array
    """i32[2], levels that were learnt from, one an environment and update, and those that tell the goals apart."""


@dataclasses.dataclass(frozen=True)
class PLR(Curriculum):
    """Prioritised level replay (Jiang et al. 2021a); docs/curricula.md lists every detail with its source.

    Each environment is on one level for a whole update and begins it anew. An update plays either new levels or
    replayed ones in all of its environments; either are scored, and those that score high are kept.
    """

    buffer_size: Annotated[int, Range(2, 65_536)] = 512
    """Levels that are kept; at least as many as environments."""
    score: regret.Score = "max-latest"
    """What estimates the regret of the policy on a level."""

    version: ClassVar[int] = 2
    Params: ClassVar[Any] = Params
    restarts: ClassVar[bool] = True
    learns_from_new: ClassVar[bool] = True
    """Whether the learner learns from levels that are not replayed."""

    @property
    def needs_values(self) -> bool:
        return self.score in regret.OF_VALUES

    def check(self, world: World, learner: Learner) -> None:
        n_envs = getattr(learner, "n_envs", 1)
        if self.buffer_size < n_envs:
            raise ValueError(
                f"curriculum.buffer_size: {self.buffer_size} is less than learner.n_envs {n_envs}; an update may put "
                "in as many levels"
            )
        if self.score == "exact" and not world.offers(Solved):
            raise ValueError(
                f"curriculum.score: {world.name} has no exact optimal returns; expected max-latest, max-mc or pvl"
            )

    def init(self, world: World, key: jax.Array, env_params: Any, params: Any, n_envs: int) -> State:
        level = jax.eval_shape(world.sample_level, key, env_params)
        levels = jax.tree.map(lambda leaf: jnp.zeros((n_envs, *leaf.shape), leaf.dtype), level)
        no, zero = jnp.zeros((), bool), jnp.zeros((), jnp.int32)
        buffer = level_buffer.empty(level, self.buffer_size)
        return State(buffer, levels, no, no, zero, zero, zero, jnp.zeros(2, jnp.int32))

    def levels(
        self, world: World, state: State, key: jax.Array, env_params: Any, params: Any, n_envs: int
    ) -> tuple[State, Any, jax.Array]:
        kind_key, new_key, replay_key = jax.random.split(key, 3)
        buffer = state.buffer
        enough = jnp.sum(buffer.full).astype(jnp.float32) >= jnp.maximum(params.min_fill * self.buffer_size, 1.0)
        replays = enough & (jax.random.uniform(kind_key) < params.replay_prob)
        new = jax.vmap(world.sample_level, in_axes=(0, None))(jax.random.split(new_key, n_envs), env_params)
        place = level_buffer.draw(replay_key, buffer, state.updates, params.temperature, params.staleness_coef, n_envs)
        chosen = jax.tree.map(lambda kept, new: jnp.where(replays, kept[place], new), buffer.levels, new)
        learns = replays | self.learns_from_new
        state = state._replace(levels=chosen, replays=replays, learns=learns)
        return state, jax.tree.map(lambda leaf: leaf[None], chosen), learns

    def update(self, world: World, state: State, experience: Experience, env_params: Any, params: Any) -> State:
        buffer, levels, now = state.buffer, state.levels, state.updates + 1
        found = regret.returns(experience)
        place = level_buffer.find(buffer, levels)
        same = level_buffer.equal_places(place, self.buffer_size)
        before = buffer.best.at[place].get(mode="fill", fill_value=-jnp.inf)
        best = jnp.maximum(before, jnp.max(jnp.where(same, found.highest[None], -jnp.inf), axis=1))
        score = regret.score(self.score, world, levels, best, found, experience, env_params)
        score = jnp.sum(jnp.where(same, score[None], 0.0), axis=1) / jnp.sum(same, axis=1).astype(jnp.float32)
        repeats = jnp.any(jnp.tril(same, -1), axis=1)
        apart = jax.vmap(world.displaced)(levels)
        counts = jnp.stack([len(apart), jnp.sum(apart, dtype=jnp.int32)])
        return state._replace(
            buffer=level_buffer.put(buffer, place, levels, score, best, now),
            updates=now,
            replayed=state.replayed + state.replays.astype(jnp.int32),
            distinct=state.distinct + jnp.where(state.replays, jnp.sum(~repeats, dtype=jnp.int32), 0),
            learnt=state.learnt + jnp.where(state.learns, counts, 0),
        )

    def outcomes(self, world: World, state: State) -> dict[str, jax.Array]:
        """Columns `levels.*`, f32[] each; NaN for a mean over nothing.

        replayed: the share of updates that replayed levels.
        distinct: of the levels of such an update, one an environment, the share that no earlier environment is on.
        learnt_apart: of the levels learnt from, one an environment and update, the share that tell the goals apart.
        kept, kept_apart, score: levels in the buffer, the share of them that tell goals apart, and their mean score.
        """
        full, n_envs = state.buffer.full, len(jax.tree.leaves(state.levels)[0])
        kept = jnp.sum(full, dtype=jnp.float32)
        apart = jnp.sum(full & jax.vmap(world.displaced)(state.buffer.levels), dtype=jnp.float32)
        return {
            "levels.replayed": state.replayed / state.updates,
            "levels.distinct": state.distinct / (state.replayed * n_envs),
            "levels.learnt_apart": state.learnt[1] / state.learnt[0],
            "levels.kept": kept,
            "levels.kept_apart": apart / kept,
            "levels.score": jnp.sum(jnp.where(full, state.buffer.score, 0.0)) / kept,
        }


class RobustPLR(PLR):
    """Robust prioritised level replay (Jiang et al. 2021b): new levels are scored, and learnt from when replayed."""

    learns_from_new: ClassVar[bool] = False
