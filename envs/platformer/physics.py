"""How things move in the platformer: a tile across in a step, a jump as a fixed arc of tiles, enemies back and forth.

Levels are those of `levels.widened`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from envs.layout import HIDDEN
from envs.platformer.levels import Level

RISES = (3, 2, 1, 0, 0, -1, -2, -3)
"""Rows by which a jump rises in each of its steps, and as the last one goes on falling.

CoinRun's jump (speed 1.5, gravity 0.2) seen every second step: 2.8, 4.8, 6.0, 6.4, 6.0, 4.8, 2.8, 0 tiles above the
ground, and a tile across for each, at its full speed of 0.5.
"""
FALLING = 5
"""The step of a jump with which one falls who has no ground any more."""
PERIOD = 8
"""Steps after which all enemies are where they were."""
ACROSS = (0, -1, 1)
"""Columns of the actions stay, left and right; the same three with a jump follow."""


class Body(NamedTuple):
    """The agent; i32[] each."""

    column: Any
    row: Any
    flight: Any
    """0 on support; in the air, the number of the next step of the jump."""


def moved(level: Level, body: Body, action: jax.Array, height: int) -> Body:
    """The agent a step later.

    A step that rises goes up, then across; any other goes across, then down. Ground, walls, slabs and the ceiling stop
    both. Crates let everything through but a fall from above.
    """
    ground, crates, slab = level.ground, level.crates, level.slab
    column, row, flight = body
    jumps = (flight == 0) & (action >= len(ACROSS))
    airborne = jumps | (flight > 0)
    rise = jnp.where(airborne, jnp.asarray(RISES)[flight], 0)

    over = slab[column]
    room = jnp.where(over > row, over, height) - 1 - row
    up = jnp.clip(rise, 0, room)
    bumped = up < rise
    row = row + up
    ahead = column + jnp.asarray(ACROSS)[action % len(ACROSS)]
    free = (row >= ground[ahead]) & (row != slab[ahead])
    column = jnp.where(free, ahead, column)
    row = row - jnp.clip(-rise, 0, row - _floor(ground, crates, slab, column, row))

    flight = jnp.where(airborne, jnp.minimum(flight + 1, len(RISES) - 1), 0)
    flight = jnp.where(bumped, FALLING, flight)
    held = row == _floor(ground, crates, slab, column, row)
    lands = held & (jnp.asarray(RISES)[flight] <= 0)
    falls = ~held & (flight == 0)
    return Body(column, row, jnp.where(lands, 0, jnp.where(falls, FALLING, flight)))


def _floor(ground: jax.Array, crates: jax.Array, slab: jax.Array, column: jax.Array, row: jax.Array) -> jax.Array:
    """i32[], the row in which a fall from this cell ends: between crates, where it begins."""
    top = ground[column] + crates[column]
    return jnp.where(slab[column] < row, jnp.maximum(jnp.minimum(top, row), slab[column] + 1), jnp.minimum(top, row))


def enemies(level: Level, time: jax.Array) -> jax.Array:
    """i32[sections], the columns of the enemies, one column further in every second step; `HIDDEN` where none is."""
    turn = 2 * jnp.maximum(level.span, 1)
    along = (time % PERIOD // 2 + level.phase) % turn
    return jnp.where(level.enemy == HIDDEN, HIDDEN, level.enemy + jnp.minimum(along, turn - along))


def touches(level: Level, column: jax.Array, row: jax.Array, walkers: jax.Array | None) -> jax.Array:
    """bool[], whether a cell holds a saw, or an enemy in one of the columns i32[sections]; None for no enemies."""
    on_ground = row == level.ground[column]
    there = level.saw[column] if walkers is None else level.saw[column] | jnp.any(walkers == column)
    return on_ground & there
