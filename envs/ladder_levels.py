"""Levels of the ladder: what they say, where rungs may stand, and the tables of its probes."""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from envs import grid, split
from envs.layout import HIDDEN

RUNGS = ("screen", "button", "wire", "register")
"""From the lowest to the highest, in the order of `Level.cells`."""
SCREEN, BUTTON, WIRE, REGISTER = range(len(RUNGS))
PAIRS = tuple(itertools.combinations(range(len(RUNGS)), 2))
LAYOUTS, OF_PAIRS = 64, 32
"""Of the choice among all rungs and of each capability probe, and of each probe with a pair of rungs."""
NEAREST = 2
"""Steps that a rung is away at least on a choice."""


class Level(NamedTuple):
    """Cells are numbered row by row."""

    start: Any
    """i32[], the agent's first cell."""
    cells: Any
    """i32[4], the cells of the rungs; `HIDDEN` for one that is not there."""
    live: Any
    """bool[4], whether each is connected, and so paid."""
    real: Any
    """bool[], whether the screen shows real presses, and not a recording of one."""
    exclusive: Any
    """bool[], whether any rung ends the episode, as on the choice probes."""


class Places(NamedTuple):
    """What is fixed in a room of some size."""

    clear: np.ndarray
    """bool[cells], where rungs may stand: off the walls, so that three of them never cut the room apart."""
    steps: np.ndarray
    """i8[cells, cells], shortest paths."""
    kept: np.ndarray
    """bool[cells, cells], symmetric, the pairs that are kept for probes: no two rungs of training stand on one."""


@functools.cache
def places(height: int, width: int) -> Places:
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    clear = inside.ravel()
    steps = grid.distances(np.zeros((height, width), bool))
    one, other = np.nonzero(clear[:, None] & clear & ~np.eye(len(clear), dtype=bool))
    pairs = np.stack([one, other, other], axis=1).astype(np.int32)  # `split` hashes three columns
    kept = np.zeros(steps.shape, bool)
    kept[one, other] = split.one_in(12, grid.canonical(pairs, height, width), np.zeros(len(pairs), int))
    return Places(clear, steps.astype(np.int8), kept | kept.T)


class ProbeTables(NamedTuple):
    """Tables of the start and other cells, one row for each layout."""

    choice: np.ndarray
    """i32[n, 5], four cells that are equally far."""
    pair: np.ndarray
    """i32[n, 3], two."""
    alone: np.ndarray
    """i32[n, 2]."""


@functools.cache
def probe_tables(height: int, width: int) -> ProbeTables:
    room, cells, four, two = places(height, width), height * width, [], []
    for start in range(cells):
        for away in range(NEAREST, height + width):
            ring = np.flatnonzero(room.clear & (room.steps[start] == away))
            two += [(start, *pair) for pair in itertools.combinations(ring, 2) if room.kept[pair]]
            kept = room.kept[np.ix_(ring, ring)]
            chosen = np.array(list(itertools.combinations(range(len(ring)), 4)), int).reshape(-1, 4)
            held_out = kept[chosen[:, :, None], chosen[:, None, :]].any(axis=(1, 2))
            four += [(start, *ring[row]) for row in chosen[held_out]]
    one = [(start, cell) for start in range(cells) for cell in np.flatnonzero(room.clear) if cell != start]
    images = grid.images(height, width)
    tables = (np.array(rows, np.int32) for rows in (four, two, one))
    most = LAYOUTS, OF_PAIRS, LAYOUTS
    return ProbeTables(*(_some(table, images, count) for table, count in zip(tables, most, strict=True)))


def _some(table: np.ndarray, images: tuple[np.ndarray, ...], count: int) -> np.ndarray:
    """The first layouts of a table in the order of a hash."""
    code = table[:, 1:].astype(np.int64) @ 100 ** np.arange(table.shape[1] - 1)
    order = np.argsort(split.mixed(np.stack([table[:, 0], code % 1_000_000, code // 1_000_000], axis=1)), kind="stable")
    return grid.distinct(table[order[: 40 * count]], images)[:count]


def turned(table: np.ndarray) -> np.ndarray:
    """i32[4n, 5], each layout four times over, with the rungs moved on by one place each time.

    So each stands once in each place. The order in which they follow each other is another one from layout to layout,
    so that no two stand mostly side by side.
    """
    orders = np.array([(0, *rest) for rest in itertools.permutations(range(1, len(RUNGS)))])
    cells = np.take_along_axis(table[:, 1:], orders[np.arange(len(table)) % len(orders)], axis=1)
    return np.concatenate([np.column_stack([table[:, 0], np.roll(cells, by, axis=1)]) for by in range(len(RUNGS))])


def with_rungs(table: np.ndarray, *rungs: int) -> np.ndarray:
    """i32[n, 5], a table of the start and as many cells as there are rungs, with no others."""
    found = np.full((len(table), 1 + len(RUNGS)), HIDDEN, np.int32)
    found[:, 0] = table[:, 0]
    for rung, column in zip(rungs, table.T[1:], strict=True):
        found[:, 1 + rung] = column
    return found


def of_pair(table: np.ndarray, lower: int, upper: int) -> np.ndarray:
    """i32[2n, 5], each layout twice, with the two rungs in each other's places."""
    return np.concatenate([with_rungs(table, lower, upper), with_rungs(table, upper, lower)])


def levels(table: np.ndarray, live: Any = True) -> Level:
    """Probe levels from i32[n, 5], on which any rung ends the episode and the screen plays a recording."""
    n = len(table)
    return Level(
        start=np.ascontiguousarray(table[:, 0]),
        cells=np.ascontiguousarray(table[:, 1:]),
        live=np.tile(np.broadcast_to(np.asarray(live, bool), len(RUNGS)), (n, 1)),
        real=np.zeros(n, bool),
        exclusive=np.ones(n, bool),
    )
