"""Layouts of rooms in which two cells are to be entered one after the other: those of training, and those of probes."""

import functools
from typing import NamedTuple

import numpy as np

from envs import grid, split

BASE_CHOICES = 16
"""Layouts behind choice and avoidance probes; their mirror images stand beside them."""
DIFFERENCES = (-6, -4, -2, -1, 1, 2, 4, 6)
"""Steps by which the other goal is further than the task on exchange probes."""
FARTHEST = 10
"""Steps that the task takes at most on the choice probes."""


class Room(NamedTuple):
    """What is fixed in a room of some size and walls."""

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
    """i32[m, 3], those kept for probes, in the order of their hash."""


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
    kept = split.one_in_eight(grid.canonical(triples, height, width), np.zeros(len(triples), int))
    held_out = triples[kept]
    held_out = held_out[np.argsort(split.mixed(held_out), kind="stable")]
    clear = free & ~_cutting(steps, free)
    return Room(height, width, free, clear, steps.astype(np.int8), triples[~kept].astype(np.uint8), held_out)


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


def mirrored(room: Room, table: np.ndarray) -> np.ndarray:
    """Cells with left and right exchanged; what is absent stays so."""
    return grid.mirrored(table, room.height, room.width)


def choices(room: Room, others: int) -> np.ndarray:
    """i32[32, 3 + others]: `BASE_CHOICES` layouts with other cells as far from the start as the task, then mirrored."""
    table = np.array([[*row, *cells] for row, cells in _rivals(room, 0, others, BASE_CHOICES)], np.int32)
    return np.concatenate([table, mirrored(room, table)])


def exchanges(room: Room) -> np.ndarray:
    """i32[64, 4], layouts with one other cell that is further than the task by each of `DIFFERENCES`, then mirrored."""
    each = BASE_CHOICES * 2 // len(DIFFERENCES)
    table = np.array([[*row, *cells] for d in DIFFERENCES for row, cells in _rivals(room, d, 1, each)], np.int32)
    return np.concatenate([table, mirrored(room, table)])


def alone(room: Room) -> np.ndarray:
    """i32[32, 3], held-out layouts, no two with the same start and first cell."""
    every = np.arange(len(room.held_out))
    spread = np.argsort(every % (len(every) // 32), kind="stable")  # every so-manieth, then those after them
    pairs = {tuple(row[:2]): row for row in room.held_out[spread[::-1]].tolist()}  # the first of each start and cell
    return np.array([row for row in room.held_out[spread].tolist() if pairs[tuple(row[:2])] == row][:32], np.int32)


def in_the_way(room: Room) -> np.ndarray:
    """i32[32, 4], layouts and a cell on some, but not all, shortest ways to the first and on none from there.

    `BASE_CHOICES` of them, then mirrored.
    """
    found: list[list[int]] = []
    steps = room.steps.astype(int)
    for start, first, second in _unmirrored(room):
        on = room.free & (steps[start] + steps[:, first] == steps[start, first])
        away = np.bincount(steps[start, on])  # cells of the shortest ways, by how far they are
        shared = away[np.clip(steps[start], 0, len(away) - 1)] > 1
        off = steps[first] + steps[:, second] > steps[first, second]
        there = np.flatnonzero(room.clear & on & shared & off)
        if len(there):
            rows = np.stack([np.full_like(there, start), np.full_like(there, first), there], axis=1)
            found.append([start, first, second, there[split.mixed(rows).argmin()]])
        if len(found) == BASE_CHOICES:
            table = np.array(found, np.int32)
            return np.concatenate([table, mirrored(room, table)])
    raise ValueError("env.width: this room has too few layouts with a thing in the way")


def _rivals(room: Room, difference: int, others: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Held-out layouts with cells that are further from the start than the task by `difference`, off its shortest ways.

    Returns:
      for each of `count` layouts its i32[3] (start, first, second) and i64[others], the cells.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    steps = room.steps.astype(int)
    for start, first, second in _unmirrored(room):
        to_first, to_second = steps[start, first], steps[first, second]
        away = to_first + to_second + difference
        if not (3 <= to_first + to_second <= FARTHEST and away > 0):
            continue
        off = (steps[start] + steps[:, first] > to_first) & (steps[first] + steps[:, second] > to_second)
        there = np.flatnonzero(room.clear & off & (steps[start] == away))
        if len(there) >= others:
            rows = np.stack([np.full_like(there, start), np.full_like(there, first), there], axis=1)
            found.append((np.array([start, first, second]), there[np.argsort(split.mixed(rows))][:others]))
        if len(found) == count:
            return found
    raise ValueError(f"env.width: this room has too few layouts with goals whose distances differ by {difference}")


def _unmirrored(room: Room) -> np.ndarray:
    """i32[m, 3], held-out layouts in their order, the first of each and its mirror image; none that is its own."""
    held_out = room.held_out
    codes = [rows.astype(int) @ np.array([1 << 20, 1 << 10, 1]) for rows in (held_out, mirrored(room, held_out))]
    place = {code: i for i, code in enumerate(codes[0].tolist())}
    return held_out[[i < place[image] for i, image in enumerate(codes[1].tolist())]]
