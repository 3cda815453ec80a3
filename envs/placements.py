"""Layouts of rooms in which two cells are to be entered one after the other: those of training, and those of probes."""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from envs import grid, split

LAYOUTS, FEWEST = 64, 16
"""Of a probe: so many, or in a small room as many as there are, but never fewer than `FEWEST`."""
DIFFERENCES = (-6, -4, -2, -1, 1, 2, 4, 6)
"""Steps by which the other goal is further than the task on exchange probes."""
FARTHEST = 10
"""Steps that the task takes at most on the choice probes."""


class Room(NamedTuple):
    """Tables of a room that depend only on its size and walls."""

    height: int
    width: int
    free: np.ndarray
    """bool[cells], not a wall."""
    clear: np.ndarray
    """bool[cells], where other things may stand: no two such cells cut the room apart when blocked."""
    steps: np.ndarray
    """i8[cells, cells], shortest paths; -1 where a wall is."""
    training: np.ndarray
    """u8[n, 3], (start, first, second) of training levels."""
    held_out: np.ndarray
    """i32[m, 3], those kept for probes, one of each layout, in the order of their hash."""
    images: tuple[np.ndarray, ...]
    """Its mirror images, see `grid.images`."""


@functools.cache
def room(height: int, width: int, wall: str = "open") -> Room:
    """A room that is open, or has a `fixed` wall through its middle column with a gap in the middle row."""
    walls = np.zeros((height, width), bool)
    if wall == "fixed":
        walls[:, width // 2] = True
        walls[height // 2, width // 2] = False
    free = ~walls.ravel()
    steps = grid.distances(walls)
    cells = np.flatnonzero(free)
    triples = np.stack(np.meshgrid(cells, cells, cells, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
    start, first, second = triples.T
    triples = triples[(start != first) & (first != second) & (start != second)]
    kept = _kept_pairs(height, width, free)[triples[:, 1], triples[:, 2]]
    images, held_out = grid.images(height, width), triples[kept]
    held_out = grid.distinct(held_out[np.argsort(split.mixed(held_out), kind="stable")], images)
    clear = free & ~_cutting(steps, free)
    return Room(height, width, free, clear, steps.astype(np.int8), triples[~kept].astype(np.uint8), held_out, images)


def _kept_pairs(height: int, width: int, free: np.ndarray) -> np.ndarray:
    """bool[cells, cells], the pairs (first, second) that are kept for probes, wherever the agent is: one in eight.

    So training shows nothing that is seen on such a pair before the first cell has been entered.
    """
    mask = free[:, None] & free & ~np.eye(len(free), dtype=bool)
    first, second = np.nonzero(mask)
    pairs = np.stack([first, second, second], axis=1).astype(np.int32)  # `split` hashes three columns
    mask[first, second] = split.one_in(8, grid.canonical(pairs, height, width), np.zeros(len(pairs), int))
    return mask


def _cutting(steps: np.ndarray, free: np.ndarray) -> np.ndarray:
    """bool[cells], whether a free cell cuts the room apart when blocked, alone or together with one that does not."""
    cells = np.flatnonzero(free)
    alone = _apart(steps, free, np.stack([cells, cells], axis=1))
    rest = cells[~alone]
    pairs = np.array([(one, other) for one in rest for other in rest if one < other])
    cutting = np.zeros(len(free), bool)
    cutting[cells[alone]] = True
    cutting[pairs[_apart(steps, free, pairs)].ravel()] = True
    return cutting


def _apart(steps: np.ndarray, free: np.ndarray, blocked: np.ndarray) -> np.ndarray:
    """bool[n], whether free cells are cut off from each other when those in i64[n, 2] are blocked."""
    passable = np.repeat(free[None], len(blocked), axis=0)
    passable[np.arange(len(blocked))[:, None], blocked] = False
    reached = np.zeros_like(passable)
    reached[np.arange(len(blocked)), passable.argmax(axis=1)] = True
    while True:
        wider = passable & (reached | ((reached.astype(np.float32) @ (steps == 1)) > 0))
        if np.array_equal(wider, reached):
            return (reached != passable).any(axis=1)
        reached = wider


def choices(room: Room, others: int) -> np.ndarray:
    """i32[n, 3 + others]: layouts with other cells as far from the start as the task."""
    return _some(room, _rivals(room, 0, others), "with goals at one distance")


def exchanges(room: Room) -> np.ndarray:
    """i32[n, 4], layouts with one other cell that is further than the task by each of `DIFFERENCES`, equally often."""
    each = LAYOUTS // len(DIFFERENCES)
    rows = (itertools.islice(_rivals(room, difference, 1), 2 * each) for difference in DIFFERENCES)
    table = grid.distinct(np.array([row for some in rows for row in some], np.int32), room.images)
    start, first, second, other = table.T
    steps = room.steps.astype(int)
    further = steps[start, other] - steps[start, first] - steps[first, second]
    places = [np.flatnonzero(further == difference)[:each] for difference in DIFFERENCES]
    fewest = min(map(len, places))
    if fewest * len(DIFFERENCES) < FEWEST:
        raise ValueError("env.width: this room has too few layouts with goals at different distances")
    return table[np.concatenate([some[:fewest] for some in places])]


def alone(room: Room) -> np.ndarray:
    """i32[n, 3], held-out layouts, which differ in the start and the first cell alone, too."""
    rows = room.held_out
    _, first = np.unique(grid.layouts(rows[:, 0], rows[:, 1:2], room.images), return_index=True)
    return rows[np.sort(first)][:LAYOUTS]


def in_the_way(room: Room) -> np.ndarray:
    """i32[n, 4], layouts and a cell on some, but not all, shortest ways to the first and on none from there."""
    return _some(room, _passed(room), "with a thing in the way")


def _passed(room: Room) -> Iterator[list[int]]:
    steps = room.steps.astype(int)
    for start, first, second in room.held_out:
        on = room.free & (steps[start] + steps[:, first] == steps[start, first])
        away = np.bincount(steps[start, on])  # cells of the shortest ways, by how far they are
        shared = away[np.clip(steps[start], 0, len(away) - 1)] > 1
        off = steps[first] + steps[:, second] > steps[first, second]
        there = np.flatnonzero(room.clear & on & shared & off)
        if len(there):
            rows = np.stack([np.full_like(there, start), np.full_like(there, first), there], axis=1)
            yield [start, first, second, there[split.mixed(rows).argmin()]]


def _rivals(room: Room, difference: int, others: int) -> Iterator[list[int]]:
    """Held-out layouts with other cells that are further from the start than the task by `difference`, off its ways."""
    steps = room.steps.astype(int)
    for start, first, second in room.held_out:
        to_first, to_second = steps[start, first], steps[first, second]
        away = to_first + to_second + difference
        if not (3 <= to_first + to_second <= FARTHEST and away > 0):
            continue
        off = (steps[start] + steps[:, first] > to_first) & (steps[first] + steps[:, second] > to_second)
        there = np.flatnonzero(room.clear & off & (steps[start] == away))
        if len(there) >= others:
            rows = np.stack([np.full_like(there, start), np.full_like(there, first), there], axis=1)
            yield [start, first, second, *there[np.argsort(split.mixed(rows))][:others]]


def _some(room: Room, rows: Iterator[list[int]], what: str) -> np.ndarray:
    """i32[n, k], the first rows that are layouts of their own."""
    table = grid.distinct(np.array(list(itertools.islice(rows, 2 * LAYOUTS)), np.int32), room.images)[:LAYOUTS]
    if len(table) < FEWEST:
        raise ValueError(f"env.width: this room has too few layouts {what}")
    return table
