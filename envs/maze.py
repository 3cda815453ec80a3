"""Mazes of square blocks: walls at random, ways cut to what they shut off, and what all mazes share."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from envs import grid, render, split
from envs.abilities import Drawn, Editable, Priced, Solved
from envs.layout import HIDDEN, NUMBER, Feature
from envs.room import Room
from envs.settings import Range

FARTHEST = 3
"""In every level each thing is at most so many times the maze's size away from the start, in steps."""
BANK = 64
"""Levels of a probe."""
WALLS = 0.2
"""Density of the walls on probes, and in training by default."""
DRAWN = 1024
"""Layouts that are drawn at once in search of probe levels, and how often at most."""
TRIES = 64


@dataclasses.dataclass(frozen=True)
class Maze(Drawn, Priced, Editable, Solved, Room):
    """A square of cells, some of them walls; a subclass says what else stands in it.

    A level has `walls` too, bool[size * size].
    """

    size: Annotated[int, Range(5, 9)] = 7
    """Rows of the maze, and columns."""

    def __post_init__(self):
        if not 5 <= self.size <= 9:
            raise ValueError(f"env.size: {self.size}; from 5 to 9")

    @property
    def height(self) -> int:  # type: ignore[override]
        return self.size

    @property
    def width(self) -> int:  # type: ignore[override]
        return self.size

    @property
    def surroundings(self) -> Feature:
        """The feature of the walls around the agent."""
        return Feature("walls", NUMBER, size=(2 * self.size - 1) ** 2)

    def blocked(self, level: Any, row: Any, column: Any) -> jax.Array:
        return level.walls[row * self.size + column]

    def _surroundings(self, state: Any) -> jax.Array:
        """f32[(2 * size - 1)^2], the maze seen from the agent's cell: 1 for a wall or what is outside, row by row."""
        size, reach = self.size, self.size - 1
        around = jnp.pad(state.level.walls.reshape(size, size), reach, constant_values=True)
        window = jax.lax.dynamic_slice(around, (state.row, state.column), (2 * size - 1, 2 * size - 1))
        return window.ravel().astype(jnp.float32)

    def _picture(self, state: Any) -> np.ndarray:
        image = render.room(self.size, self.size)
        for wall in np.flatnonzero(np.asarray(state.level.walls)).tolist():
            render.fill(image, *divmod(wall, self.size), render.WALL)
        return image


def joined(walls: Any, start: Any, things: Any) -> Any:
    """The walls without those on start and things, and with a straight way cut to each thing that is too far away.

    Args:
      walls: bool[..., size * size].
      start: i32[...].
      things: i32[..., k], `HIDDEN` for what is not there.
    Returns:
      bool[..., size * size]; every thing is within `FARTHEST` * size steps.
    """
    xp: Any = np if isinstance(walls, np.ndarray) else jnp
    cells = xp.expand_dims(xp.arange(walls.shape[-1]), tuple(range(things.ndim)))
    size = int(np.sqrt(walls.shape[-1]))
    begin, end = xp.asarray(start)[..., None, None], things[..., None]
    walls = walls & ~((cells == begin) | (cells == end)).any(axis=-2)
    steps = grid.wave(~walls.reshape(*walls.shape[:-1], size, size), start, FARTHEST * size)
    row, column = cells // size, cells % size
    (top, left), (bottom, right) = (begin // size, begin % size), (end // size, end % size)
    along = (row == bottom) & (column >= xp.minimum(left, right)) & (column <= xp.maximum(left, right))
    up = (column == left) & (row >= xp.minimum(top, bottom)) & (row <= xp.maximum(top, bottom))
    lost = (end != HIDDEN) & (xp.take_along_axis(steps, xp.maximum(things, 0), axis=-1)[..., None] == grid.NEVER)
    return walls & ~(lost & (along | up)).any(axis=-2)


def within_reach(walls: jax.Array, start: jax.Array, things: jax.Array) -> jax.Array:
    """bool[], whether start and things, i32[k], are free and no thing is too far from the start; see `joined`."""
    size = int(np.sqrt(walls.shape[-1]))
    steps = grid.wave(~walls.reshape(size, size), start, FARTHEST * size)
    return ~walls[start] & jnp.all((things == HIDDEN) | (steps[jnp.maximum(things, 0)] < grid.NEVER))


@functools.cache
def kept(size: int) -> np.ndarray:
    """bool[cells, cells], the pairs of a start and a thing's cell that are kept for probes.

    One in eight of the pairs with the thing in a corner and one in eight of the others, by a hash that the eight
    symmetries of the square share.
    """
    cells = size * size
    start, thing = (side[~np.eye(cells, dtype=bool)] for side in np.meshgrid(*[np.arange(cells)] * 2, indexing="ij"))
    pairs = np.stack([start, thing], axis=1)
    least = np.minimum(*(_code(grid.canonical(some, size, size), cells) for some in (pairs, transposed(pairs, size))))
    in_corner = np.isin(thing, [0, size - 1, cells - size, cells - 1])
    rows = np.stack([least // cells, least % cells, np.zeros_like(least)], axis=1)
    mask = np.zeros((cells, cells), bool)
    mask[start, thing] = split.one_in(8, rows, np.where(in_corner, 0, 1))
    return mask


def _code(pairs: np.ndarray, cells: int) -> np.ndarray:
    return pairs[:, 0].astype(np.int64) * cells + pairs[:, 1]


def transposed(cells: Any, size: int) -> np.ndarray:
    """Cells i32[...] with rows and columns exchanged."""
    return np.where(cells == HIDDEN, HIDDEN, cells % size * size + cells // size).astype(np.int32)


def noise(count: int, parts: int, salt: int) -> np.ndarray:
    """f64[count, parts] in [0, 1), as random numbers that no version of NumPy changes."""
    index = np.arange(count * parts)
    rows = np.stack([np.full_like(index, salt), index // parts, index % parts], axis=1)
    return (split.mixed(rows) >> np.uint64(11)).astype(np.float64).reshape(count, parts) * 2.0**-53


def picked(masks: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """i32[n], for each row of bool[n, k] one of the places that are set, by f64[n] in [0, 1)."""
    count = masks.cumsum(axis=1)
    wanted = np.minimum((draws * count[:, -1]).astype(int), count[:, -1] - 1)
    return (count > wanted[:, None]).argmax(axis=1).astype(np.int32)


def bank(draw: Callable[[np.ndarray], tuple[Any, np.ndarray]], name: str, count: int, parts: int) -> Any:
    """The first layouts that will do.

    Args:
      draw: from f64[DRAWN, parts] in [0, 1) to layouts, a pytree with a leading axis, and to which of them will do,
        bool[DRAWN].
      name: of the probe; others draw other numbers.
    Raises:
      ValueError: there are too few, in `TRIES` draws.
    """
    found, first = [], int.from_bytes(name.encode()[:2]) * TRIES
    for salt in range(TRIES):
        levels, good = draw(noise(DRAWN, parts, first + salt))
        found.append(jax.tree.map(lambda leaf, good=good: leaf[good], levels))
        if sum(len(jax.tree.leaves(part)[0]) for part in found) >= count:
            return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *found)
    raise ValueError(f"env.size: too small a maze for the probe {name}")


def in_turn(images: list[Any]) -> Any:
    """Levels, each in one of its images: the first in the first, and so on."""
    every = np.arange(len(jax.tree.leaves(images[0])[0]))
    return jax.tree.map(lambda *leaves: np.stack(leaves)[every % len(images), every], *images)
