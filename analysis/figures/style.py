"""What all figures share: the colours of labels, axes over factors, legends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.names import check_name
from analysis.shares import check_shares
from analysis.values import naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# Okabe and Ito 2008: told apart under every common colour blindness.
COLOURS = {"intended": "#0072B2", "mixed": "#009E73", "incapable": "#FFFFFF", "undetermined": "#C4C4C4"}
PROXIES = ("#D55E00", "#E69F00", "#F0E442")
CHANNELS = ("#CC79A7", "#56B4E9")
STYLE: dict[Any, Any] = {"text.parse_math": False}
"""Names of goals and factors are no formulas."""
MOST_VALUES = 24
"""Of a factor along an axis: more cannot be told apart."""
INK = "#333333"
LINE = {"incapable": "#606060", "undetermined": "#9A9A9A"}
"""Where a fill colour is too faint for a line."""
NOTE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": INK}
SERIES = ("o", "s", "D", "^", "v", "P", "X")
"""Markers of curves, in turn."""
MARKERS = {"intended": "o", "mixed": "D", "incapable": "X", "undetermined": "P"}


def colours(labels: Iterable[str]) -> dict[str, str]:
    """One colour a label, fixed by the label and, among proxies and channels, by its place in the world's order."""
    labels = list(labels)
    proxies = [name for name in labels if name.startswith("proxy:")]
    channels = [name for name in labels if name.startswith("channel:")]
    ranked = {name: PROXIES[place % len(PROXIES)] for place, name in enumerate(proxies)}
    ranked |= {name: CHANNELS[place % len(CHANNELS)] for place, name in enumerate(channels)}
    return {name: ranked[name] if name in ranked else COLOURS[name] for name in labels}


def goals_of(df: pd.DataFrame) -> list[str]:
    """The goals that have a share in this frame, in the world's order, the intended one first."""
    return [name.removeprefix("share.") for name in map(str, df) if name.startswith("share.")]


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's defaults and `STYLE`, whatever a matplotlibrc says; what goes wrong in drawing is one line.

    Raises:
      ValueError: whatever error came up, but for those of the operating system.
    """
    import matplotlib

    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            yield
    except OSError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if isinstance(error, ValueError):
            raise ValueError(text) from error
        raise ValueError(f"the figure cannot be drawn ({type(error).__name__}: {text[:200]})") from error


def axes_or_new(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.6, 4), layout="constrained")[1]


def label_patches(df: pd.DataFrame) -> list[Artist]:
    """Every label of the world, for a legend."""
    from matplotlib.patches import Patch

    return [Patch(label=name, **filled(name, ink)) for name, ink in colours(df["label"].cat.categories).items()]


def add_legend(figure: Any, handles: Sequence[Artist], place: str = "outside upper center") -> None:
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int(13 * figure.get_figwidth() / (longest + 6)))  # names that fit side by side
    columns = -(-len(handles) // -(-len(handles) // columns))
    figure.legend(
        handles=handles, loc=place, ncols=columns, frameon=False, fontsize=9, handlelength=1.6, columnspacing=1.4
    )


def filled(name: str, colour: str) -> dict[str, Any]:
    """How an area of this label looks: `incapable` is hatched, to differ from everything without a colour."""
    if name == "incapable":
        return {"facecolor": colour, "hatch": "/////", "edgecolor": "#8A8A8A", "linewidth": 0.5}
    return {"facecolor": colour, "edgecolor": "white", "linewidth": 0.5}


def note_above(ax: Axes, text: str) -> None:
    """Above the panel, at its right end."""
    ax.annotate(text, (1, 1), (0, 3), xycoords="axes fraction", ha="right", **NOTE)


def quiet(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.set_axisbelow(True)


def is_numeric(df: pd.DataFrame, column: str) -> bool:
    return pd.api.types.is_numeric_dtype(df[column]) and not pd.api.types.is_bool_dtype(df[column])


def only(value: str | Sequence[str]) -> str:
    """The one column that a kind of figure can show."""
    names = [value] if isinstance(value, str) else list(value)
    if len(names) != 1:
        raise ValueError(f"value: {len(names)} columns ({', '.join(names)}); this kind of figure shows one")
    return names[0]


def share_column(df: pd.DataFrame, value: str | Sequence[str]) -> str:
    return share_columns(df, only(value))[0]


def share_columns(df: pd.DataFrame, value: str | Sequence[str]) -> list[str]:
    """Columns of shares, each given by its name or, for share.GOAL, by the goal's."""
    names = [value] if isinstance(value, str) else list(value)
    goals = goals_of(df)
    if not names:
        raise ValueError("value: no column to draw")
    for name in names:
        if name not in df:
            check_name("goal or column", name, [*goals, *df.columns])
    columns = [f"share.{name}" if name in goals else name for name in names]
    for column in columns:
        check_shares(df, column)
    return columns


def places_of(df: pd.DataFrame, factor: str | None, like: pd.DataFrame | None = None) -> tuple[list[Any], np.ndarray]:
    """The values of a factor in `like`, sorted, a missing one last; and which of them each row has, int[rows].

    No factor is one value, which all rows have.
    """
    if factor is None:
        return [None], np.zeros(len(df), int)
    whole = df if like is None else like
    check_name("column", factor, whole.columns)
    levels = [value for value, _ in whole.groupby(factor, observed=True, dropna=False)]
    if len(levels) > MOST_VALUES:
        raise ValueError(f"{factor}: {len(levels)} values, too many for an axis; a scatter shows a dot a seed")
    known = [value for value in levels if not pd.isna(value)]
    codes = pd.Categorical(df[factor], categories=known).codes.astype(int)
    return levels, np.where(codes < 0, len(known), codes)


def numbers_in(levels: Sequence[Any]) -> int:
    """How many of the first levels are numbers, which a line may join."""
    known = pd.Series([value for value in levels if not pd.isna(value)])
    return len(known) if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known) else 0


def jitter(place: np.ndarray) -> np.ndarray:
    """Offsets in [-0.5, 0.5) that spread the rows of each place evenly, the same every time."""
    turn = pd.Series(place).groupby(place).cumcount().to_numpy()
    return (turn * 0.6180339887 + 0.5) % 1 - 0.5


def label_names(df: pd.DataFrame) -> list[str]:
    return list(df["label"].cat.categories) if "label" in df else []


def ink_of(df: pd.DataFrame, column: str) -> str:
    """The colour of the label of the goal that a column is about; a plain dark one where it is about none."""
    labels = label_names(df)
    for goal in goals_of(df):
        if column.endswith(f".{goal}") and labels:
            return colours(labels)[label_of_goal(labels, goal)]
    return INK


def label_of_goal(labels: Sequence[str], goal: str) -> str:
    return next((name for name in labels if name in (f"proxy:{goal}", f"channel:{goal}")), "intended")


def shades_of(inks: Sequence[str]) -> list[str]:
    """The colours, those that are alike spread from light to dark."""
    from matplotlib.colors import to_hex, to_rgb

    shades = []
    for place, ink in enumerate(inks):
        alike = inks.count(ink)
        tone = 0.0 if alike == 1 else 2 * list(inks[:place]).count(ink) / (alike - 1) - 1
        end, weight = (0.0, 0.5 * tone) if tone > 0 else (1.0, -0.45 * tone)
        red, green, blue = ((1 - weight) * part + weight * end for part in to_rgb(ink))
        shades.append(to_hex((red, green, blue)))
    return shades


def by_label(df: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame, str]]:
    """Each label, the rows that have it, and its colour; without labels all rows, in the colour of the column."""
    if "label" not in df:
        return [(column, df, ink_of(df, column))]
    return [(name, df[df["label"] == name], ink) for name, ink in colours(label_names(df)).items()]


def handles_of(axes: Iterable[Axes], df: pd.DataFrame) -> list[Any]:
    """What the panels' legends would hold, each name once; labels in their order in the world."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    order = label_names(df)
    return [found[name] for name in sorted(found, key=lambda name: order.index(name) if name in order else -1)]


def rate_axes(ax: Axes, df: pd.DataFrame, x: str) -> None:
    """Shares of seeds over the factor's values, these at 0, 1, 2, … in the order in which `rates` gives its groups."""
    factor_axis(ax, [value for value, _ in df.groupby(x, observed=True, dropna=False)], x)
    share_axis(ax)
    ax.set_ylabel("share of all seeds", fontsize=9)


def factor_axis(ax: Axes, levels: Sequence[Any], x: str, centre: float = 0) -> None:
    """The values of a factor along the horizontal axis, at `centre`, `centre` + 1, …"""
    names = list(map(naming(levels), levels))
    width = characters(ax) // len(names)
    wrapped = [fill(name, max(1, width), break_long_words=False) for name in names]
    crowded = max(len(line) for name in wrapped for line in name.split("\n")) > width
    ax.set_xticks(np.arange(len(names)) + centre, names if crowded else wrapped)
    if crowded:
        ax.tick_params(axis="x", labelrotation=40)
        for text in ax.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xlabel(x, fontsize=9)
    quiet(ax)


def characters(ax: Axes) -> int:
    """That fit side by side below or above a panel."""
    figure: Any = ax.get_figure(root=True)
    grid = ax.get_subplotspec()
    return int(13 * figure.get_figwidth() / (1 if grid is None else grid.get_gridspec().ncols))


def share_axis(ax: Axes, least: float = 0.0) -> None:
    ax.set_ylim(np.floor(10 * least) / 10, 1)
    quiet(ax)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
