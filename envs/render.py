"""Pictures of worlds: from cells to RGB, and sheets of several levels."""

from collections.abc import Sequence

import numpy as np

FLOOR, WALL, LINE = (245, 243, 238), (70, 74, 82), (214, 210, 202)
AGENT, COIN, RIGHT_END = (0, 114, 178), (230, 159, 0), (222, 236, 228)
CELL = 24


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


def sheet(images: Sequence[np.ndarray], columns: int, gap: int = 8) -> np.ndarray:
    """Pictures of one size side by side on white, row after row; u8[..., ..., 3]."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    page = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        page[top : top + height, left : left + width] = image
    return page
