"""Levels of the platformer: sections of ground at changing heights, what stands on them, and where the coin is."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid
from envs.base import Params as BaseParams
from envs.layout import HIDDEN
from envs.settings import Count, Probability, Range

FIRST = 5
"""The column in which the first section begins; to its left are flat ground, where the agent starts, and a wall."""
HARDEST, SECTIONS = 3, 5
"""The highest difficulty, and the most sections that it has."""
HEADROOM = 7
"""Rows above the highest ground: a jump rises by six."""
HIGH, HIGHEST = 5, 20
"""Ground from which the next section may lie lower, and from which it always does."""
LONG, DEEP = 7, 3
"""Sections longer, on ground higher than this may have a pit."""
SHORT = 3
"""Sections longer than this may have saws and enemies."""
WIDE = 4
"""Pits wider than this have a slab in the middle."""
KEPT = 8
"""One layout in so many is kept for probes."""
DRAWS, OF_LEVEL = 19, 5
"""Random numbers of a section, and of a level beside those."""


class Level(NamedTuple):
    """Columns are counted from the left, rows from the bottom; what is on the ground of column c, in row ground[c]."""

    ground: Any
    """i8[width], rows of solid ground; all of them in the two walls, one in a pit."""
    crates: Any
    """i8[width], crates piled on the ground."""
    slab: Any
    """i8[width], the row of a solid tile over a pit; `HIDDEN` where there is none."""
    saw: Any
    """bool[width], a saw on the ground."""
    enemy: Any
    """i8[sections], the first column of an enemy's walk; `HIDDEN` where there is none."""
    span: Any
    """i8[sections], columns from there to the last one of the walk, 1 or 2."""
    phase: Any
    """i8[sections], where on the walk the enemy begins."""
    start: Any
    """i32[], the agent's first column."""
    coin: Any
    """i32[], the coin's column; `HIDDEN` where there is none."""
    end: Any
    """i32[], the last column before the wall at the right end."""
    place: Any
    """i32[], the first column of a random section, where a displaced coin stands."""


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    difficulty: Annotated[int, Range(1, HARDEST)] = HARDEST
    """Each training level has a difficulty between 1 and this, all equally probable."""
    diversity: Probability = 0.0
    """Probability that a training level has its coin at the start of a random section."""
    range: Probability = 0.0
    """Other levels have their coin in this right-most share of their columns; at 0, beside the wall at their end."""
    saw: Probability = 0.2
    """Probability of a saw on a section with room for one, times the difficulty."""
    enemy: Probability = 0.1
    """Probability of an enemy on a section with room for one, times the difficulty."""
    pit: Probability = 0.85
    """Probability of a pit in a section that is long and high enough."""
    crate: Probability = 0.5
    """Probability of each of the two piles of crates that a section may have."""
    max_steps_in_episode: Count = 72
    """Time limit of an episode, in steps; 3 x width by default."""


class Section(NamedTuple):
    """One section as it is drawn."""

    there: jax.Array
    x: jax.Array
    """i32[], its first column."""
    enemy: jax.Array
    span: jax.Array
    phase: jax.Array


class Build(NamedTuple):
    """A level under construction: what the next section begins with, and the columns so far."""

    x: jax.Array
    y: jax.Array
    ground: jax.Array
    crates: jax.Array
    slab: jax.Array
    saw: jax.Array
    zone: jax.Array
    """bool[width], where an enemy walks."""


def sample(world: Any, key: jax.Array, params: Any) -> Level:
    """A training level: drawn again where it is kept for probes."""

    def again(carry):
        key, _ = carry
        key, own = jax.random.split(key)
        return key, draw(world, jax.random.uniform(own, (numbers(),)), params)

    return jax.lax.while_loop(lambda carry: is_kept(carry[1]), again, again((key, None)))[1]


def numbers() -> int:
    """How many random numbers a level takes."""
    return OF_LEVEL + SECTIONS * DRAWS


def draw(world: Any, uniform: jax.Array, params: Any) -> Level:
    """The level of uniform numbers f32[numbers()] in [0, 1), kept for probes or not.

    The same numbers give the same layout, wherever the coin is put.
    """
    every = jnp.arange(world.width)
    built, drawn = sections(world, uniform, params)
    end = built.x
    ground = jnp.where(every < end, built.ground, jnp.where(every == end, built.y, world.height))
    place = drawn.x[_below(uniform[2], jnp.sum(drawn.there, dtype=jnp.int32))]
    clear = ~built.saw & ~built.zone & (built.crates == 0) & (every > 1) & (every <= end)
    near = (end - every).astype(jnp.float32) <= params.range * (end - 1).astype(jnp.float32)
    coin = jnp.where(uniform[3] < params.diversity, place, grid.nth(clear & near, uniform[4]))
    ground, crates, slab = (leaf.astype(jnp.int8) for leaf in (ground, built.crates, built.slab))
    enemy, span, phase = (leaf.astype(jnp.int8) for leaf in (drawn.enemy, drawn.span, drawn.phase))
    return Level(ground, crates, slab, built.saw, enemy, span, phase, jnp.int32(1), coin, end, place)


def sections(world: Any, uniform: jax.Array, params: Any) -> tuple[Build, Section]:
    """What `draw` builds, section by section; leaves of the second have a leading axis [SECTIONS]."""
    every, none = jnp.arange(world.width), jnp.zeros(world.width, jnp.int32)
    difficulty = 1 + _below(uniform[0], params.difficulty)
    wanted = difficulty + _below(uniform[1], difficulty)
    longest = 2 * difficulty + 2 + (difficulty == HARDEST).astype(jnp.int32)
    flat = jnp.where(every == 0, world.height, 1)
    begun = Build(jnp.int32(FIRST), jnp.int32(1), flat, none, none + HIDDEN, none > 0, none > 0)

    def add(build, given):
        i, own = given
        return _section(world, params, difficulty, build, (i < wanted) & (build.x + longest + 2 <= world.width), own)

    return jax.lax.scan(add, begun, (jnp.arange(SECTIONS), uniform[OF_LEVEL:].reshape(SECTIONS, DRAWS)))


def _section(
    world: Any, params: Any, difficulty: jax.Array, build: Build, there: jax.Array, own: jax.Array
) -> tuple[Build, Section]:
    """A section more, where it is there; what its first and last columns hold is ground alone."""
    every, hard = jnp.arange(world.width), (difficulty == HARDEST).astype(jnp.int32)
    x, step = build.x, jnp.minimum(1 + _below(own[0], 4) + hard, 5)
    down = (build.y >= HIGHEST) | (build.y + step > world.height - HEADROOM) | ((build.y >= HIGH) & (own[1] < 0.5))
    y = jnp.where(down, jnp.maximum(build.y - step, 1), build.y + step)
    length = 3 + _below(own[2], 2 * difficulty) + hard
    inside = length - 2
    here = there & (every >= x) & (every < x + length)

    pit = (world.dangers != "none") & (length > LONG) & (y > DEEP) & (own[3] < params.pit)
    left, right = 1 + _below(own[4], 3), 1 + _below(own[5], 3)
    deep = pit & here & (every >= x + left) & (every < x + length - right)
    wide = length - left - right
    first = x + left + 1 + _below(own[6], 2) + (wide > WIDE + 1).astype(jnp.int32)
    slab = deep & (wide > WIDE) & (every >= first) & (every < first + 1 + _below(own[7], 2))

    room = ~pit & (length > SHORT)
    level = difficulty.astype(jnp.float32)
    sawn = (world.dangers != "none") & room & (own[8] < level * params.saw)
    saw = here & sawn & (every == x + 1 + _below(own[9], inside))
    walks = there & (world.dangers == "all") & room & (own[10] < level * params.enemy)
    span = jnp.minimum(inside - 1, 2)
    enemy = x + 1 + _below(own[11], inside - span)
    crates = jnp.zeros_like(build.crates)
    for where, whether, high in own[13:].reshape(2, 3):
        pile = here & ~pit & (every == x + 1 + _below(where, inside)) & (whether < params.crate) & ~saw
        crates = jnp.where(pile, 1 + _below(high, 3), crates)

    after = Build(
        jnp.where(there, x + length, x),
        jnp.where(there, y, build.y),
        jnp.where(deep, 1, jnp.where(here, y, build.ground)),
        jnp.where(here, crates, build.crates),
        jnp.where(slab, y - 1, build.slab),
        build.saw | saw | deep,
        build.zone | (walks & (every >= enemy) & (every <= enemy + span)),
    )
    phase = _below(own[12], 2 * span)
    return after, Section(there, x, *(jnp.where(walks, one, HIDDEN) for one in (enemy, span, phase)))


def _below(uniform: jax.Array, count: Any) -> jax.Array:
    """i32[], one of 0..count - 1, by a uniform number in [0, 1)."""
    count = jnp.asarray(count, jnp.int32)
    return jnp.minimum((uniform * count.astype(jnp.float32)).astype(jnp.int32), count - 1)


def widened(level: Level) -> Level:
    """The level with all numbers as i32, for arithmetic."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.int32) if leaf.dtype == jnp.int8 else leaf, level)


def is_kept(level: Level) -> jax.Array:
    """bool[], whether the layout is kept for probes: one in `KEPT` of those on which anything stands, by a hash.

    Where the agent and the coin are is no part of the layout.
    """
    parts = (level.ground, level.crates, level.slab, level.saw, level.enemy, level.span, level.phase)
    words = jnp.concatenate([part.astype(jnp.int32) for part in parts]).astype(jnp.uint32)
    odd = np.random.default_rng(0x706C).integers(0, 2**31, len(words), dtype=np.uint32) * 2 + 1
    code = jnp.sum((words + jnp.uint32(2)) * odd, dtype=jnp.uint32)
    code = (code ^ (code >> 15)) * jnp.uint32(0x2C1B3C6D)
    things = jnp.concatenate([level.crates > 0, level.saw, level.enemy != HIDDEN])
    return ((code ^ (code >> 12)) % KEPT == 0) & jnp.any(things)
