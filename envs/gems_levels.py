"""Mazes of 5 x 5 cells: a random spanning tree over nine of them, and a way out of each dead end."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from envs import grid, split
from envs.maze import bank, picked

SIDE = 5
START = 20
"""The lower left corner."""
ROOMS = np.array([row * SIDE + column for row in (0, 2, 4) for column in (0, 2, 4)], np.int32)
"""The cells of the tree that are never walls."""
DOORS = np.array([cell for cell in range(SIDE * SIDE) if (cell // SIDE + cell % SIDE) % 2], np.int32)
"""The cells between two rooms, each of which is a wall or a way."""
ENDS = np.array(
    [
        [i for i, room in enumerate(ROOMS) if abs(room // 5 - door // 5) + abs(room % 5 - door % 5) == 1]
        for door in DOORS
    ]
)
"""i32[12, 2], the rooms that a door joins, by their places in `ROOMS`."""
BESIDE = np.array([[room in ends for ends in ENDS.tolist()] for room in range(len(ROOMS))])
"""bool[9, 12], the doors of a room."""
DRAWS = len(DOORS) + len(ROOMS)
"""Numbers that a maze takes."""


class Table(NamedTuple):
    """Levels of probes."""

    walls: np.ndarray
    """bool[n, 25]."""
    cells: np.ndarray
    """i32[n, k], cells of things."""


def maze(draws: Any) -> tuple[Any, Any]:
    """A maze, bool[..., 25] each, walls and tree, from numbers in [0, 1): NumPy's f[..., DRAWS], or traced f[DRAWS].

    Doors are tried in a random order, and opened where they join what was apart; afterwards each room with one open
    door gets another one, of those that were shut. The cells of the tree are the rooms and the doors opened first.
    """
    xp: Any = np if isinstance(draws, np.ndarray) else jnp
    order = xp.argsort(draws[..., : len(DOORS)], axis=-1)
    first, second = ENDS.T
    part = xp.broadcast_to(xp.arange(len(ROOMS)), (*draws.shape[:-1], len(ROOMS)))
    opened = xp.zeros((*draws.shape[:-1], len(DOORS)), bool)
    for turn in range(len(DOORS)):
        door = order[..., turn : turn + 1]
        one = xp.take_along_axis(part, xp.asarray(first)[door], axis=-1)
        other = xp.take_along_axis(part, xp.asarray(second)[door], axis=-1)
        opened = opened | ((xp.arange(len(DOORS)) == door) & (one != other))
        part = xp.where(part == other, one, part)
    around = opened[..., None, :] & BESIDE
    dead = around.sum(axis=-1) == 1
    shut = BESIDE & ~opened[..., None, :]
    count = shut.cumsum(axis=-1)
    wanted = xp.minimum((draws[..., len(DOORS) :] * count[..., -1].astype(draws.dtype)).astype(int), count[..., -1] - 1)
    freed = shut & (count - 1 == wanted[..., None]) & dead[..., None]
    return ~_cells(opened | freed.any(axis=-2), xp), _cells(opened, xp)


def _cells(open_doors: Any, xp: Any) -> Any:
    """bool[..., 25], rooms and open doors, from bool[..., 12]."""
    doors = np.arange(SIDE * SIDE)[:, None] == DOORS
    return (open_doors[..., None, :] & doors).any(axis=-1) | np.isin(np.arange(SIDE * SIDE), ROOMS)


@functools.cache
def every() -> np.ndarray:
    """bool[11, 25], the walls of all mazes: doors in the border are open, and two or more of the four others."""
    inner = DOORS[[not {door // SIDE, door % SIDE} & {0, SIDE - 1} for door in DOORS]]
    walls = np.repeat(~_cells(np.ones((1, len(DOORS)), bool), np), 1 << len(inner), axis=0)
    walls[:, inner] = (np.arange(1 << len(inner))[:, None] >> np.arange(len(inner))) & 1
    return walls[walls[:, inner].sum(axis=1) <= 2]


def _number(walls: Any, xp: Any) -> Any:
    """i32[...], the number of a maze, whose bits are its open doors."""
    return (~walls[..., DOORS]).astype(xp.int32) @ xp.asarray(1 << np.arange(len(DOORS)), dtype=xp.int32)


@functools.cache
def _kept() -> np.ndarray:
    """bool[4096, 25], by the number of the maze: cells where training never has a thing.

    One in four, by a hash that a maze and its image in the diagonal through the start share.
    """
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    image = (SIDE - 1 - column) * SIDE + SIDE - 1 - row
    walls, cell = (side.ravel() for side in np.meshgrid(np.arange(len(every())), np.arange(SIDE * SIDE), indexing="ij"))
    numbers = _number(every(), np)[walls], _number(every()[:, image], np)[walls]
    free = ~every()[walls, cell] & (cell != START)
    least = np.minimum(*(number * SIDE**2 + where for number, where in zip(numbers, (cell, image[cell]), strict=True)))
    table = np.stack([least // SIDE**2, least % SIDE**2, np.zeros_like(least)], axis=1)[free]
    found = np.zeros((1 << len(DOORS), SIDE * SIDE), bool)
    found[numbers[0][free], cell[free]] = split.one_in(4, table, np.zeros(len(table), int))
    return found


def kept(walls: Any) -> Any:
    """bool[..., 25], the cells of a maze that are kept for probes, NumPy in and out or traced."""
    xp: Any = np if isinstance(walls, np.ndarray) else jnp
    return xp.asarray(_kept())[_number(walls, xp)]


def alone(count: int) -> Table:
    """Mazes with a cell that may hold a thing; no two are of one layout."""
    maze, cell = np.nonzero(~every() & (np.arange(SIDE * SIDE) != START))
    order = np.argsort(split.mixed(np.stack([maze, cell, np.zeros_like(cell)], axis=1)))
    return _distinct(Table(every()[maze[order]], cell[order, None].astype(np.int32)), count)


def kept_alone() -> Table:
    """Every maze with each cell that is kept."""
    maze, cell = np.nonzero(kept(every()))
    return Table(every()[maze], cell[:, None].astype(np.int32))


@functools.cache
def rivals(count: int) -> Table:
    """Mazes with two cells as many steps from the start, two or more; no two are of one layout."""

    def draw(draws: np.ndarray) -> tuple[Table, np.ndarray]:
        walls, tree = maze(draws[:, :DRAWS])
        steps, each = grid.wave(~walls.reshape(-1, SIDE, SIDE), np.full(len(walls), START)), np.arange(len(walls))
        good = tree & (steps >= 2)
        first = picked(good, draws[:, DRAWS])
        good &= (steps == steps[each, first][:, None]) & (np.arange(SIDE * SIDE) != first[:, None])
        return Table(walls, np.stack([first, picked(good, draws[:, DRAWS + 1])], axis=1)), good.any(axis=1)

    found = bank(draw, "rivals", 8 * count, DRAWS + 2)
    return _distinct(found, count)


def _distinct(table: Table, count: int) -> Table:
    """The first of each layout, so many of them."""
    layout = grid.layouts(np.full(len(table.walls), START), table.cells, grid.images(SIDE, SIDE), table.walls)
    first = np.sort(np.unique(layout, return_index=True)[1])[:count]
    assert len(first) == count
    return Table(table.walls[first], table.cells[first])
