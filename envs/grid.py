"""Rooms on a grid, whose cells are numbered row by row: moves, mirror images, placement and shortest paths."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs.layout import HIDDEN

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)
"""Row and column steps of the actions up, down, left, right."""
MOVE_NAMES = ("up", "down", "left", "right")
NEVER = np.int32(1 << 20)
"""Steps to a cell that cannot be reached."""


def move(row: jax.Array, column: jax.Array, action: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """The cell that a move leads to, clipped at the edge of the room; i32[] each."""
    step = jnp.asarray(MOVES)[action]
    return jnp.clip(row + step[0], 0, height - 1), jnp.clip(column + step[1], 0, width - 1)


def mirrored(cells: np.ndarray, height: int, width: int, vertical: bool = False) -> np.ndarray:
    """Cells i32[...] with left and right, or with top and bottom, exchanged; what is absent stays so."""
    row, column = cells // width, cells % width
    row, column = (height - 1 - row, column) if vertical else (row, width - 1 - column)
    return np.where(cells == HIDDEN, HIDDEN, row * width + column).astype(np.int32)


def canonical(table: np.ndarray, height: int, width: int) -> np.ndarray:
    """Rows of cells, i32[n, k], each replaced by the least of its four mirror images, compared cell by cell."""
    across = mirrored(table, height, width)
    images = np.stack([table, across, *(mirrored(image, height, width, vertical=True) for image in (table, across))])
    code = images.astype(np.int64) @ (height * width) ** np.arange(table.shape[1])[::-1]
    return np.take_along_axis(images, code.argmin(axis=0)[None, :, None], axis=0)[0]


def images(height: int, width: int) -> tuple[np.ndarray, ...]:
    """The mirror images of a room, i32[cells] each, the cell to which each goes; in a square, rows for columns too."""
    every = np.arange(height * width, dtype=np.int32)
    across, down = mirrored(every, height, width), mirrored(every, height, width, vertical=True)
    found = every, across, down, across[down]
    if height != width:
        return found
    turned = every.reshape(height, width).T.ravel()
    return (*found, *(image[turned] for image in found))


def layouts(start: np.ndarray, things: np.ndarray, images: Sequence[np.ndarray], walls: Any = None) -> np.ndarray:
    """i64[n], a number for each level, equal where a mirror image has the same cells taken, whatever by.

    Args:
      start: i32[n].
      things: i32[n, k], cells; `HIDDEN` for what is not there.
      images: as of the function `images`; each its own inverse, or among the others.
      walls: bool[n, cells].
    """
    least: list[bytes] = [b"\xff"] * len(start)
    for image in images:
        there = np.sort(np.where(things == HIDDEN, HIDDEN, image[things]), axis=1)
        sent = np.empty((len(start), 0)) if walls is None else walls[:, np.argsort(image)]
        rows = np.column_stack([image[start], there, sent]).astype(np.int16)
        least = [min(one.tobytes(), other) for one, other in zip(rows, least, strict=True)]
    return np.unique(np.array(least, dtype=object), return_inverse=True)[1].ravel()


def distinct(table: np.ndarray, images: Sequence[np.ndarray]) -> np.ndarray:
    """Those rows of a table (start, things, ...) that are the first of their layout, in their order."""
    _, first = np.unique(layouts(table[:, 0], table[:, 1:], images), return_index=True)
    return table[np.sort(first)]


def nth(mask: jax.Array, draw: jax.Array) -> jax.Array:
    """i32[], one of the places that are set in bool[n], by a uniform number f32[] in [0, 1)."""
    count = jnp.cumsum(mask)
    wanted = jnp.minimum((draw * count[-1].astype(jnp.float32)).astype(jnp.int32), count[-1] - 1)
    return jnp.argmax(count > wanted).astype(jnp.int32)


def wave(free: Any, source: Any, most: int | None = None) -> Any:
    """Steps from one cell to every other, NumPy in and out or traced.

    Args:
      free: bool[..., height, width], the cells that can be entered.
      source: i32[...], where the wave begins, be it free or not; `HIDDEN` for nowhere.
      most: how many steps to follow it; None for all.
    Returns:
      i32[..., height * width], `NEVER` where there is no way.
    """
    xp: Any = np if isinstance(free, np.ndarray) else jnp
    cells = free.shape[-2] * free.shape[-1]
    source = xp.asarray(source)[..., None]
    begun = (xp.expand_dims(xp.arange(cells), tuple(range(source.ndim - 1))) == source).reshape(free.shape)

    def goes_on(carry):
        step, front, _ = carry
        return front.any() if most is None else front.any() & (step < most)

    def spread(carry):
        step, front, steps = carry
        front = _beside(front, xp) & free & (steps == NEVER)
        return step + 1, front, xp.where(front, step + 1, steps)

    carry = (xp.int32(0), begun, xp.where(begun, xp.int32(0), NEVER))
    if xp is jnp:
        carry = jax.lax.while_loop(goes_on, spread, carry)
    else:
        while goes_on(carry):
            carry = spread(carry)
    return carry[2].reshape(*free.shape[:-2], cells)


def _beside(cells: Any, xp: Any) -> Any:
    """bool[..., height, width], where a neighbour is set."""
    wide = xp.pad(cells, [(0, 0)] * (cells.ndim - 2) + [(1, 1), (1, 1)])
    rows, columns = wide[..., 1:-1], wide[..., 1:-1, :]
    return rows[..., :-2, :] | rows[..., 2:, :] | columns[..., :-2] | columns[..., 2:]


def distances(walls: np.ndarray) -> np.ndarray:
    """Shortest paths between all cells of a room, by a wave from each.

    Args:
      walls: bool[height, width].
    Returns:
      i32[height * width, height * width], steps from the first cell to the second; -1 where there is no path.
    """
    free = ~walls.ravel()
    steps = wave(np.broadcast_to(~walls, (len(free), *walls.shape)), np.arange(len(free)))
    return np.where((steps < NEVER) & free[:, None], steps, -1)
