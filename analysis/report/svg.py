"""Figures of matplotlib as SVG inside a page, with tooltips."""

import io
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from analysis.figures.style import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.3, 3.3)
"""Inches of a panel: as wide as a phone, so that its text is as large there as that of the page."""
POINTS = 72
"""In an inch: the unit of an SVG of matplotlib's."""
MOST_DOTS = 1200
"""Of a panel, as vectors; more become one picture."""
REACH = 7.0
"""Points around a spot within which its tooltip shows."""
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "font.size": 8, "font.sans-serif": ["DejaVu Sans"]}


class Tip(NamedTuple):
    """The tooltip of a spot of a panel, or of a rectangle; places are in data."""

    x: float
    y: float
    text: str
    width: float = 0.0
    height: float = 0.0


def panel(name: str, draw: "Callable[[Axes], Iterable[Tip]]", legend: bool = False) -> Markup:
    """One `<svg>` with what `draw` draws on the Axes that it is given.

    Args:
      name: makes the ids of this figure differ from those of the page's others; the same name gives the same ids.
      draw: returns the tooltips.
      legend: whether to draw the names of the curves above the panel.
    Raises:
      ValueError: as `draw`.
    """
    import matplotlib
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

    with drawing(), matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=SIZE, layout="constrained")
        ax = figure.add_subplot()
        tips = list(draw(ax))
        dots = [one for one in ax.collections if isinstance(one, PathCollection)]
        if sum(len(np.atleast_2d(np.asarray(one.get_offsets()))) for one in dots) > MOST_DOTS:
            for one in dots:
                one.set_rasterized(True)
        handles, names = ax.get_legend_handles_labels()
        if legend and len(handles) > 1:
            columns = max(1, int(60 / (max(map(len, names)) + 6)))
            figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False, handlelength=1.4)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        spots = [_spot(ax, one) for one in tips]
    return Markup(_as_part(out.getvalue()).replace("</svg>", "".join(spots) + "</svg>"))


def _spot(ax: "Axes", tip: Tip) -> str:
    """A transparent rectangle with a tooltip."""
    size = ax.figure.bbox.size
    left, low = ax.transData.transform((tip.x, tip.y)) / size
    right, high = ax.transData.transform((tip.x + tip.width, tip.y + tip.height)) / size
    wide, tall = (POINTS * inches for inches in SIZE)
    reach = 0.0 if tip.width else REACH
    place = (left * wide - reach, (1 - high) * tall - reach, (right - left) * wide, (high - low) * tall)
    x, y, width, height = place[0], place[1], place[2] + 2 * reach, place[3] + 2 * reach
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {box} fill="transparent"><title>{escape(tip.text)}</title></rect>'


def _as_part(text: str) -> str:
    """The `<svg>` element of a file of matplotlib's, as a part of a page: no metadata, style sheet or idle ids."""
    head, _, body = text[text.index("<svg") :].partition(">")
    box = re.findall(r'viewBox="[^"]*"', head)[0]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.S)
    used = set(re.findall(r"#([\w.-]+)", body))

    def tag(found: "re.Match[str]") -> str:
        text = re.sub(r' id="([^"]*)"', lambda one: one[0] if one[1] in used else "", found[0])
        return re.sub(r"\s+", " ", re.sub(r"(\d\.\d\d)\d+", r"\1", text))

    body = re.sub(r"<[^>]*>", tag, body)  # and no text between tags
    links = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {links} {box} role="img">{body}'
