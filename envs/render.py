"""Pictures of worlds: from cells to RGB, and sheets of training and probe levels."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envs.base import World

FLOOR, WALL, LINE = (245, 243, 238), (70, 74, 82), (214, 210, 202)
AGENT, COIN, RIGHT_END = (0, 114, 178), (230, 159, 0), (222, 236, 228)
TRASH, CAN, BUTTON, BIN, SIGN = (118, 90, 60), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233)
GLASS, LIGHT, CARPET = (150, 190, 210), (240, 228, 66), (226, 214, 232)
RIGHT, PLAIN, INK = (230, 159, 0), (205, 205, 200), (40, 42, 48)
CELL = 24
MARKS = (
    np.array(
        [
            [list(line) for line in glyph.split()]
            for glyph in (
                "..###.. .#####. ##...## ##...## ##...## .#####. ..###..",
                "##...## ###.### .#####. ..###.. .#####. ###.### ##...##",
                "...#... ..###.. ..###.. .#####. .#####. ####### #######",
                "####### ####### ....... ....... ....... ####### #######",
            )
        ]
    )
    == "#"
)
"""Ring, cross, triangle and two bars; bool[4, 7, 7]."""


def room(height: int, width: int) -> np.ndarray:
    """u8[height * CELL, width * CELL, 3], an empty floor with grid lines."""
    image = np.full((height * CELL, width * CELL, 3), FLOOR, np.uint8)
    image[::CELL] = image[:, ::CELL] = LINE
    image[-1] = image[:, -1] = LINE
    return image


def fill(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int]) -> None:
    """Paints one cell, in place, inside its lines."""
    image[row * CELL + 1 : (row + 1) * CELL, column * CELL + 1 : (column + 1) * CELL] = colour


def disc(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int], radius: float = 0.32) -> None:
    """Paints a disc, in place, in the middle of a cell; the radius is in cells."""
    y, x = np.mgrid[0:CELL, 0:CELL] - (CELL - 1) / 2
    inside = y**2 + x**2 <= (radius * CELL) ** 2
    image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL][inside] = colour


def square(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int], side: float = 0.6) -> None:
    """Paints a square, in place, in the middle of a cell; the side is in cells."""
    inset = round(CELL * (1 - side) / 2)
    top, left, size = row * CELL + inset, column * CELL + inset, CELL - 2 * inset + 1
    image[top : top + size, left : left + size] = colour


def mark(image: np.ndarray, row: int, column: int, which: int) -> None:
    """Paints one of `MARKS`, in place, in its own quarter of a cell."""
    (down, right), size = divmod(which, 2), MARKS.shape[1]
    inset = CELL // 2 - size - 1
    top, left = (CELL * at + inset + (size + 2) * side for at, side in ((row, down), (column, right)))
    image[top : top + size, left : left + size][MARKS[which]] = INK


def frame(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int]) -> None:
    """Paints the edge of one cell, in place, inside its lines."""
    cell = image[row * CELL + 1 : (row + 1) * CELL, column * CELL + 1 : (column + 1) * CELL]
    cell[:3] = cell[-3:] = cell[:, :3] = cell[:, -3:] = colour


def sheet(world: "World", values: dict[str, Any] | None = None, columns: int = 6) -> "Figure":
    """Levels of a world, a row for training and one for each probe, titled.

    Args:
      values: traced `env.*` keys of the training levels.
      columns: levels in each row.
    Raises:
      ValueError: the world has no picture.
    """
    from matplotlib.figure import Figure

    params = world.params_of(values or {})
    sampled = jax.vmap(world.sample_level, in_axes=(0, None))(jax.random.split(jax.random.key(0), columns), params)
    rows = [("training", sampled, columns)] + [(f"probe {p.name}", p.levels, p.distinct) for p in world.probes()]

    def image(levels: Any, place: int) -> np.ndarray:
        level = jax.tree.map(lambda leaf: np.asarray(leaf)[place], levels)
        return world.render(world.reset_to_level(jax.random.key(0), level, params))

    height, width = image(sampled, 0).shape[:2]
    scale = 2 / width
    figure = Figure(figsize=(2.15 * columns, len(rows) * (height * scale + 0.4)), dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (title, levels, count) in zip(axes, rows, strict=True):
        row[0].set_title(title, loc="left", fontsize=10)
        for place, ax in enumerate(row):
            ax.set_axis_off()
            if place < count:
                ax.imshow(
                    image(levels, place * count // columns if count > columns else place), interpolation="nearest"
                )
    return figure
