"""Layouts of rooms with things in them: those of training, and those in which things are rivals, equally far."""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from envs import grid, split
from envs.base import EPISODES, HeldOut

MOST = 1024
"""Layouts among which those of a probe are sought."""
MOST_FEATURES = 5
"""Things that may have to stand at one distance."""


class Places(NamedTuple):
    """What is fixed in a room of some size; `rivals` alone depends on the number of marks."""

    training: np.ndarray
    """i32[n, 2], (start, right thing) of training levels."""
    touching: np.ndarray
    """bool[cells, cells], whether one cell is the other or beside it, corners included."""
    kept: np.ndarray
    """i32[m, 2], (start, right thing) kept for probes, one of each layout, as of the others; at most `EPISODES`."""
    alone: np.ndarray
    """i32[m, 2], (start, thing), of all that there are."""
    rivals: dict[int, tuple[np.ndarray, HeldOut]]
    """For 2 things and for as many as there are features, i32[k, 1 + things]: a start, and things that are as far from
    it as each other, more than a step; and what training never shows of them. Where it may have so many things, they
    are at distances kept for probes, if the room has enough of these."""
    kept_rivals: np.ndarray
    """i32[k, 3], 2 things likewise, at distances kept for probes, however few there are."""


def walls(height: int, width: int, wall: str = "open") -> np.ndarray:
    """bool[height, width]: none, or of a `maze` the cells of odd row and odd column.

    Ways around each of these are left, so that no thing cuts the maze apart, and each mirror image is the maze itself.
    """
    row, column = np.indices((height, width))
    return (row % 2 == 1) & (column % 2 == 1) & (wall == "maze")


@functools.cache
def places(height: int, width: int, features: int, things: int, wall: str = "open") -> Places:
    """Layouts of a room of some size, in which so many features are told apart, and training has so many things."""
    steps = grid.distances(walls(height, width, wall))
    cells = np.arange(height * width)
    start, thing = (side.ravel() for side in np.meshgrid(cells, cells, indexing="ij"))
    start, thing = start[steps.ravel() > 0], thing[steps.ravel() > 0]
    away = steps[start, thing]
    least = np.minimum(cells, grid.mirrored(cells, height, width))
    least = np.minimum(least, grid.mirrored(least, height, width, vertical=True))
    # A choice between all features needs as many things at one distance: of such distances, too, some are kept, and
    # the same whatever the number of marks.
    roomy = (away > 1) & ((steps[start] == away[:, None]).sum(axis=1) >= MOST_FEATURES)
    kept = split.one_in(8, np.stack([least[start], away, np.zeros_like(away)], axis=1), (~roomy).astype(int))
    pairs = np.stack([start, thing], axis=1).astype(np.int32)
    row, column = np.divmod(cells, width)
    touching = np.maximum(abs(row[:, None] - row), abs(column[:, None] - column)) <= 1
    images, every = grid.images(height, width), np.ones(len(away), bool)

    def equally_far(count: int, there: np.ndarray) -> np.ndarray:
        rings = np.unique(np.stack([start, away], axis=1)[there & (away > 1)], axis=0)
        rows = [
            (begin, *others)
            for begin, far in rings.tolist()
            for others in itertools.combinations(np.flatnonzero(steps[begin] == far).tolist(), count)
        ]
        return _some(np.array(rows, np.int32), images)

    rivals: dict[int, tuple[np.ndarray, HeldOut]] = {}
    for count in {2, features}:
        offers: list[tuple[HeldOut, np.ndarray]] = [("observations", every)]
        if count == features <= things:
            offers = [("levels", kept), ("nothing", every)]
        for held_out, there in offers:
            rivals[count] = equally_far(count, there), held_out
            if len(rivals[count][0]) == EPISODES:
                break
    alone = _some(pairs[kept], images), _some(pairs, images)
    return Places(pairs[~kept], touching, *alone, rivals, equally_far(2, kept))


def _some(table: np.ndarray, images: tuple[np.ndarray, ...]) -> np.ndarray:
    """At most `EPISODES` rows of a table, by a fixed hash, one of each layout."""
    order = np.zeros((len(table), 3), np.int32)
    order[:, 0] = np.arange(len(table))
    return grid.distinct(table[np.argsort(split.mixed(order), kind="stable")][:MOST], images)[:EPISODES]


def in_orders(table: np.ndarray) -> np.ndarray:
    """i32[orders * n, 1 + things], the rows of a table with their things in each of `orders`, one after the other."""
    return np.concatenate([np.column_stack([table[:, 0], table[:, 1 + order]]) for order in orders(table.shape[1] - 1)])


def orders(count: int) -> np.ndarray:
    """i64[count * (count - 1), count], orders of 2 to 5 things in which each two are at each two places once.

    So what depends on the places of two things, as of a mark and the colour, adds up to the same for all. All orders
    would do, too, but five things have 120. They are x -> a x + b in the field of `count` elements, a not 0.
    """
    every = np.arange(count)
    if count == 4:
        return np.array([np.array(times) ^ b for times in ([0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]) for b in every])
    return np.array([(a * every + b) % count for a in every[1:] for b in every])
