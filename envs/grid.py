"""Rooms on a grid, whose cells are numbered row by row: moves, mirror images, placement and shortest paths."""

import jax
import jax.numpy as jnp
import numpy as np

from envs.base import HIDDEN

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)
"""Row and column steps of the actions up, down, left, right."""
MOVE_NAMES = ("up", "down", "left", "right")


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


def nth(mask: jax.Array, draw: jax.Array) -> jax.Array:
    """i32[], one of the places that are set in bool[n], by a uniform number f32[] in [0, 1)."""
    count = jnp.cumsum(mask)
    wanted = jnp.minimum((draw * count[-1]).astype(jnp.int32), count[-1] - 1)
    return jnp.argmax(count > wanted).astype(jnp.int32)


def distances(walls: np.ndarray) -> np.ndarray:
    """Shortest paths between all cells of a room.

    Args:
      walls: bool[height, width].
    Returns:
      i32[height * width, height * width], steps from the first cell to the second; -1 where there is no path.
    """
    height, width = walls.shape
    cells = height * width
    free = ~walls.ravel()
    adjacent = np.zeros((cells, cells), bool)
    for row in range(height):
        for column in range(width):
            for down, right in MOVES:
                to_row, to_column = row + down, column + right
                if 0 <= to_row < height and 0 <= to_column < width:
                    adjacent[row * width + column, to_row * width + to_column] = True
    adjacent &= free[:, None] & free[None, :]
    steps = np.where(np.eye(cells, dtype=bool) & free[:, None], 0, -1).astype(np.int32)
    reached = steps == 0
    for step in range(1, cells):
        front = (reached @ adjacent) & ~reached
        if not front.any():
            break
        steps[front] = step
        reached |= front
    return steps
