"""An episode as pictures: a strip of moments on one page, and a film of every step."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs import render

Colour = tuple[int, int, int]
PANELS, COLUMNS = 12, 6
"""Of a strip: moments that it shows, unless more have a mark, and how many stand side by side."""
GAP, TEXT, LETTER, EDGE = 10, 14, 7.4, 4
"""Pixels between panels, of a letter's height, of its width (about), and of the frame of a marked moment."""
LINE = TEXT + 5
LEAST = 440
"""Pixels that a page is wide at least, for its text."""


class Moment(NamedTuple):
    """What is seen after a step, or before the first."""

    picture: np.ndarray
    """u8[height, width, 3]."""
    title: str
    mark: Colour | None = None
    """The colour of a frame around it; None for a plain moment."""


def strip(moments: Sequence[Moment], caption: str, legend: Mapping[str, Colour]) -> Image.Image:
    """The first, the last, every marked and some more of the moments, side by side under a caption.

    A line joins the places where the agent was, as far as it is drawn in `render.AGENT`.

    Args:
      caption: lines of text.
      legend: names of colours.
    """
    last, shown = len(moments) - 1, {i for i, moment in enumerate(moments) if moment.mark is not None}
    even = ({round(i * last / (n - 1)) for i in range(n)} for n in range(PANELS, 1, -1))
    shown |= next((some for some in even if len(some | shown) <= PANELS), {0, last})
    been = ways(moments)
    return _page([_panel(moments[i], been[i]) for i in sorted(shown)], caption, legend, COLUMNS)


def film(moments: Sequence[Moment], caption: str, legend: Mapping[str, Colour]) -> Iterator[Image.Image]:
    """Every moment by itself, on pages of one size, with what `strip` has around its own."""
    for moment, been in zip(moments, ways(moments), strict=True):
        yield _page([_panel(moment, been)], caption, legend, 1)


def ways(moments: Sequence[Moment]) -> list[list[tuple[float, float]]]:
    """For each moment the places where the agent has been until then, in pixels of its picture."""
    found: list[list[tuple[float, float]]] = [[]]
    for moment in moments:
        here = render.centre(moment.picture)
        found.append(found[-1] if here is None else [*found[-1], here])
    return found[1:]


def drawn(moment: Moment, been: Sequence[tuple[float, float]]) -> Image.Image:
    """The picture of a moment, enlarged if it is small, with the way to it, one of `ways`."""
    picture = render.fitted(moment.picture)
    scale = picture.shape[1] / moment.picture.shape[1]
    way = [((x + 0.5) * scale, (y + 0.5) * scale) for x, y in been]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    if len(way) > 1:
        draw.line(way, render.FLOOR, width=5, joint="curve")  # to be seen on a dark ground
        draw.line(way, render.AGENT, width=3, joint="curve")
    if way:
        x, y = way[0]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), "white", render.AGENT, width=2)
    # The agent, and what it carries, stand above the line.
    here = way[-1] if way else (0, 0)
    if len(way) > 1 and here != way[0]:
        size = round(render.CELL * scale / 4)
        box = tuple(round(at + side) for side in (-size, size) for at in here)
        image.paste(Image.fromarray(picture).crop(box), box)
    return image


def _panel(moment: Moment, been: Sequence[tuple[float, float]]) -> Image.Image:
    """The same with its title and its frame."""
    image = drawn(moment, been)
    panel = Image.new("RGB", (image.width + 2 * EDGE, image.height + 2 * EDGE + LINE), "white")
    panel.paste(moment.mark or (255, 255, 255), (0, LINE, panel.width, panel.height))
    panel.paste(image, (EDGE, EDGE + LINE))
    ImageDraw.Draw(panel).text((EDGE, 0), moment.title, render.INK, ImageFont.load_default(TEXT))
    return panel


def _page(panels: list[Image.Image], caption: str, legend: Mapping[str, Colour], columns: int) -> Image.Image:
    """Panels of one size under a caption and above a legend."""
    width, height = panels[0].width + GAP, panels[0].height + GAP
    columns, lines = min(columns, len(panels)), -(-len(panels) // columns)
    wide = max(GAP + columns * width, LEAST)
    text = [part for line in caption.split("\n") for part in textwrap.wrap(line, int((wide - 2 * GAP) / LETTER))]
    top = GAP + LINE * len(text) + GAP // 2
    keys = render.legend(legend, wide)
    image = Image.new("RGB", (wide, top + lines * height + keys.height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(TEXT)
    for i, line in enumerate(text):
        draw.text((GAP, GAP + LINE * i), line, render.INK, font)
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        image.paste(panel, (GAP + column * width, top + row * height))
    image.paste(keys, (0, top + lines * height))
    return image
