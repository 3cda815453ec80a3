"""Pictures of worlds: from cells to RGB, and sheets of training and probe levels."""

import functools
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from envs.abilities import Drawn
from envs.base import Probe, World
from envs.batching import batch

if TYPE_CHECKING:
    from PIL.Image import Image

FLOOR, WALL, LINE = (245, 243, 238), (70, 74, 82), (214, 210, 202)
AGENT, COIN, RIGHT_END = (20, 20, 24), (230, 159, 0), (222, 236, 228)
TRASH, CAN, BUTTON, BIN, SIGN = (118, 90, 60), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233)
GLASS, LIGHT, CARPET = (150, 190, 210), (240, 228, 66), (226, 214, 232)
ALLOWED, FORBIDDEN = (92, 184, 92), (150, 20, 40)
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
COLUMNS, TRAINING = 6, 12
"""Of a sheet: levels side by side, and training levels in all."""
NARROWEST, WIDEST = 120, 480
"""Pixels of a level on a sheet; a smaller picture is enlarged, a larger one thinned, by whole numbers."""
GAP, TITLE, LETTER = 8, 20, 8
"""Pixels on a sheet between levels, of a title's line, and of a letter, about."""
EDGE, TEXT, NARROW = 10, 14, 7.4
"""Pixels of a legend: between names, of a letter's height, and of its width, about."""


def room(height: int, width: int) -> np.ndarray:
    """u8[height * CELL, width * CELL, 3], an empty floor with grid lines."""
    image = np.full((height * CELL, width * CELL, 3), FLOOR, np.uint8)
    image[::CELL] = image[:, ::CELL] = LINE
    image[-1] = image[:, -1] = LINE
    return image


def fill(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int]) -> None:
    """Paints one cell, in place, inside its lines."""
    image[row * CELL + 1 : (row + 1) * CELL, column * CELL + 1 : (column + 1) * CELL] = colour


def disc(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int], radius: float = 0.36) -> None:
    """Paints a disc, in place, in the middle of a cell; the radius is in cells."""
    y, x = np.mgrid[0:CELL, 0:CELL] - (CELL - 1) / 2
    inside = y**2 + x**2 <= (radius * CELL) ** 2
    image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL][inside] = colour


def agent(image: np.ndarray, row: int, column: int) -> None:
    """Paints the agent, in place: a small disc with a pale rim, which leaves visible what it stands on."""
    disc(image, row, column, FLOOR, radius=0.25)
    disc(image, row, column, AGENT, radius=0.21)


def square(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int], side: float = 0.6) -> None:
    """Paints a square, in place, in the middle of a cell; the side is in cells."""
    inset = round(CELL * (1 - side) / 2)
    top, left, size = row * CELL + inset, column * CELL + inset, CELL - 2 * inset + 1
    image[top : top + size, left : left + size] = colour


def shape(image: np.ndarray, row: int, column: int, colour: tuple[int, int, int], name: str) -> None:
    """Paints a shape by its name, in place, in the middle of a cell."""
    y, x = (np.mgrid[0:CELL, 0:CELL] - (CELL - 1) / 2) / CELL
    inside = {
        "square": np.maximum(abs(x), abs(y)) <= 0.32,
        "disc": x**2 + y**2 <= 0.35**2,
        "triangle": (abs(x) <= (y + 0.34) / 1.8) & (y <= 0.32),
        "diamond": abs(x) + abs(y) <= 0.4,
        "cross": (np.minimum(abs(x), abs(y)) <= 0.12) & (np.maximum(abs(x), abs(y)) <= 0.36),
        "ring": abs(np.hypot(x, y) - 0.28) <= 0.1,
    }[name]
    image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL][inside] = colour


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


def rim(image: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Paints the edge of a whole picture, in place."""
    image[:3] = image[-3:] = image[:, :3] = image[:, -3:] = colour


def centre(image: np.ndarray) -> tuple[float, float] | None:
    """x and y of the middle of what is drawn in the agent's colour; None where nothing is."""
    y, x = np.nonzero((image == AGENT).all(axis=-1))
    return (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2) if len(x) else None


def sheet(world: World, values: dict[str, Any] | None = None, note: str = "") -> "Image":
    """Levels of a world as one picture: its legend, training levels, and then a titled row for each probe.

    Args:
      values: traced `env.*` keys of the training levels; what is not named keeps its default.
      note: what to add to the title of the training levels.
    Returns:
      an RGB image; equal arguments give equal pixels.
    Raises:
      ValueError: the world has no picture, or a value does not fit.
    """
    from PIL import Image

    if not world.offers(Drawn):
        raise ValueError(f"{world.name} has no picture")
    params = world.params_of(values or {})
    titles, counts, shown = [f"training ({note})" if note else "training"], [TRAINING], []
    for probe in world.probes():
        titles.append(_title(probe))
        counts.append(min(COLUMNS, probe.distinct))
        places = np.arange(counts[-1]) * probe.distinct // counts[-1]
        shown.append(jax.tree.map(lambda leaf, places=places: np.asarray(leaf)[places], probe.levels))
    sampled = batch(world.sample_level, jax.random.split(jax.random.key(0), TRAINING), _repeated(params, TRAINING))
    levels = jax.tree.map(lambda *leaves: np.concatenate(leaves), sampled, *shown)
    begin = functools.partial(world.reset_to_level, jax.random.key(0))
    states = batch(begin, levels, _repeated(params, sum(counts)))
    drawn: Any = world
    pictures = [fitted(drawn.render(jax.tree.map(lambda leaf, i=i: leaf[i], states))) for i in range(sum(counts))]
    ends = np.cumsum(counts)
    wide = GAP + COLUMNS * (pictures[0].shape[1] + GAP)
    rows = [np.asarray(legend(drawn.legend, wide))]
    rows += [_row(title, pictures[end - n : end]) for title, end, n in zip(titles, ends, counts, strict=True)]
    return Image.fromarray(np.concatenate(rows))


def legend(colours: Mapping[str, tuple[int, int, int]], wide: int) -> "Image":
    """The name of each colour beside it, on as many lines as they take; `wide` is in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    line, x, y, placed = TEXT + 5, EDGE, GAP // 2, []
    for name in colours:
        length = round(TEXT + 2 + NARROW * len(name) + 2 * EDGE)
        if x > EDGE and x + length > wide:
            x, y = EDGE, y + line
        placed.append((name, x, y))
        x += length
    image = Image.new("RGB", (wide, y + line if placed else 0), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(TEXT)
    for name, x, y in placed:
        draw.rectangle((x, y + 2, x + TEXT - 4, y + TEXT - 2), colours[name], INK)
        draw.text((x + TEXT + 2, y), name, INK, font)
    return image


def _repeated(params: Any, n: int) -> Any:
    return jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], n, axis=0), params)


def _title(probe: Probe) -> str:
    levels = f"{probe.distinct} level{'s' if probe.distinct > 1 else ''}"
    said = [probe.kind, ", ".join(probe.goals), levels, "labels" if probe.labels else ""]
    return f"probe {probe.name} ({'; '.join(filter(None, said))})"


def fitted(image: np.ndarray) -> np.ndarray:
    """u8[height, width, 3], enlarged or thinned to a width that suits a sheet."""
    width = image.shape[1]
    if width < NARROWEST:
        times = -(-NARROWEST // width)
        return image.repeat(times, axis=0).repeat(times, axis=1)
    every = -(-width // WIDEST)
    return image[::every, ::every]


def _row(title: str, pictures: list[np.ndarray]) -> np.ndarray:
    """u8[height, width, 3], pictures of one size side by side, on several lines if need be, below a title."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = pictures[0].shape[:2]
    whole = GAP + COLUMNS * (width + GAP)
    lines = textwrap.wrap(title, whole // LETTER)
    top = GAP + TITLE * len(lines)
    image = Image.new("RGB", (whole, top + -(-len(pictures) // COLUMNS) * (height + GAP)), "white")
    ImageDraw.Draw(image).text((GAP, GAP // 2), "\n".join(lines), "black", ImageFont.load_default(TITLE - 4))
    for i, picture in enumerate(pictures):
        row, column = divmod(i, COLUMNS)
        image.paste(Image.fromarray(picture), (GAP + column * (width + GAP), top + row * (height + GAP)))
    return np.asarray(image)
