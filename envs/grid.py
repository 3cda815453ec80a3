"""Rooms on a grid: the four moves, walls and shortest paths."""

import jax
import jax.numpy as jnp
import numpy as np

MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)
"""Row and column steps of the actions up, down, left, right."""
MOVE_NAMES = ("up", "down", "left", "right")


def move(row: jax.Array, column: jax.Array, action: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """The cell that a move leads to, clipped at the edge of the room; i32[] each."""
    step = jnp.asarray(MOVES)[action]
    return jnp.clip(row + step[0], 0, height - 1), jnp.clip(column + step[1], 0, width - 1)


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
