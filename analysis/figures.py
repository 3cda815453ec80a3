"""Figures: functions that take a DataFrame from `load` and return Axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.rates import check_name, pooled_factors, rates

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart under every common colour blindness.
COLOURS = {"intended": "#0072B2", "mixed": "#009E73", "incapable": "#FFFFFF", "undetermined": "#C4C4C4"}
PROXIES = ("#D55E00", "#E69F00", "#F0E442")
CHANNELS = ("#CC79A7", "#56B4E9")
MOST_ROWS = 8
"""Of an overview of several factors: what a page can hold."""
INK = "#333333"
LINE = {"incapable": "#606060", "undetermined": "#9A9A9A"}
"""Where a fill colour is too faint for a line."""
NOTE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": INK}
MARKERS = {"intended": "o", "mixed": "D", "incapable": "X", "undetermined": "P"}
BINS = 20
"""Of a share histogram: bins of 0.05, so that the reliability threshold of 0.75 falls between two."""


def colours(labels: Iterable[str]) -> dict[str, str]:
    """One colour a label, fixed by the label and, among proxies and channels, by its place in the world's order."""
    labels = list(labels)
    proxies = [name for name in labels if name.startswith("proxy:")]
    channels = [name for name in labels if name.startswith("channel:")]
    ranked = {name: PROXIES[place % len(PROXIES)] for place, name in enumerate(proxies)}
    ranked |= {name: CHANNELS[place % len(CHANNELS)] for place, name in enumerate(channels)}
    return {name: ranked[name] if name in ranked else COLOURS[name] for name in labels}


def rate_curve(df: pd.DataFrame, x: str, label: str | Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """The rate of labels over all seeds against a factor, with 95% Wilson intervals.

    The values of a factor are spaced evenly, whatever their distance: 0 keeps a place beside logarithmic steps. Numbers
    are joined by lines, with the intervals as bands; names and switches, which have no order, stand apart.

    Args:
      label: the labels to draw; None draws those that some seed has, `incapable` apart, dashed, and leaves
        `undetermined` to `label_stack`.
    Raises:
      ValueError: a column or label that does not exist, with the nearest that does.
    """
    table = rates(df, x, label)
    categories = list(df["label"].cat.categories)
    drawn = set(table["label"]) if label is not None else set(df["label"]) - {"undetermined"}
    labels = [name for name in categories if name in drawn]
    standalone, ax = ax is None, _axes(ax)
    colour = colours(categories)
    ordered = pd.api.types.is_numeric_dtype(df[x]) and not pd.api.types.is_bool_dtype(df[x])
    for number, name in enumerate(labels):
        rows = table[table["label"] == name]
        place = np.arange(len(rows)) + (0 if ordered else 0.6 * ((number + 0.5) / len(labels) - 0.5))
        apart = name in ("incapable", "undetermined")
        ink = LINE.get(name, colour[name])
        if ordered:
            ax.fill_between(place, rows["low"], rows["high"], color=ink, alpha=0.1 if apart else 0.16, linewidth=0)
        else:
            ax.vlines(place, rows["low"], rows["high"], color=ink, linewidth=1.4, linestyle="--" if apart else "-")
        ax.plot(
            place,
            rows["rate"],
            color=ink,
            marker=MARKERS.get(name, "s"),
            markersize=5,
            markerfacecolor="white" if apart else ink,
            linestyle="" if not ordered else (0, (4, 2)) if apart else "-",
            linewidth=1.2 if apart else 1.8,
            label=name,
            clip_on=False,
            zorder=2.5 if apart else 3,
        )
    _factor_axis(ax, df, x)
    if standalone:
        _legend(ax.get_figure(), ax.get_lines())
    return ax


def label_stack(df: pd.DataFrame, x: str, ax: Axes | None = None) -> Axes:
    """The share of seeds with each label, stacked to 1, against a factor; the number of seeds stands above the bars.

    Raises ValueError where the column does not exist, with the nearest that does.
    """
    table = rates(df, x)
    labels = list(df["label"].cat.categories)
    standalone, ax = ax is None, _axes(ax)
    colour = colours(labels)
    seeds = table.loc[table["label"] == labels[0], "n"].to_numpy()
    bottom = np.zeros(len(seeds))
    for name in labels:
        height = table.loc[table["label"] == name, "rate"].to_numpy()
        if height.any():
            ax.bar(np.arange(len(height)), height, bottom=bottom, width=0.82, label=name, **_fill(name, colour[name]))
        bottom += height
    if len(set(seeds)) == 1:
        ax.annotate(f"{seeds[0]} seeds each", (len(seeds) - 0.59, 1), (0, 3), ha="right", **NOTE)
    else:
        for place, n in enumerate(seeds):
            ax.annotate(f"{'n = ' if place == 0 else ''}{n}", (place, 1), (0, 3), ha="center", **NOTE)
    _factor_axis(ax, df, x)
    if standalone:
        _legend(ax.get_figure(), _patches(df))
    return ax


def share_histogram(df: pd.DataFrame, goal: str, by: str, ax: Axes | None = None) -> Axes:
    """How seeds spread over the share of label-probe episodes in which `goal` was reached first: one row a condition.

    Each row is a histogram over seeds, coloured by label. A bin's height is the square root of its seeds, relative to
    the row's tallest bin, so that a single seed shows. Seeds that reached no goal in any episode have no share; the
    right margin counts them.

    Raises:
      ValueError: a goal or column that does not exist, with the nearest that does.
    """
    column = f"share.{goal}"
    check_name("column", by, df.columns)
    check_name("goal", goal, _goals(df))
    labels = list(df["label"].cat.categories)
    standalone, ax = ax is None, _axes(ax)
    colour = colours(labels)
    edges = np.linspace(0, 1, BINS + 1)
    groups = list(df.groupby(by, observed=True, dropna=False))
    for row, (_, seeds) in enumerate(groups):
        known = seeds.dropna(subset=column)
        counts = np.stack([np.histogram(known.loc[known["label"] == name, column], edges)[0] for name in labels])
        total = counts.sum(axis=0)
        unit = 0.88 * np.sqrt(total / max(1, total.max())) / np.maximum(total, 1)
        bottom = np.full(BINS, float(row))
        ax.axhline(row, color="#B0B0B0", linewidth=0.6, zorder=1)
        for name, count in zip(labels, counts, strict=True):
            some = count > 0
            if some.any():
                look: dict[str, Any] = {"align": "edge", "zorder": 2} | _fill(name, colour[name])
                ax.bar(edges[:-1][some], (count * unit)[some], 1 / BINS, bottom[some], **look)
            bottom += count * unit
        without = len(seeds) - len(known)
        if without:
            ax.annotate(f"+{without} no goal", (1, row), (5, 2), xycoords=("axes fraction", "data"), **NOTE)
    ax.set_yticks(range(len(groups)), [fill(_tick(value), 14) for value, _ in groups])
    ax.set_ylim(-0.08, len(groups))
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_xlabel(f"share of decided episodes, {goal} first", fontsize=9)
    ax.set_ylabel(by, fontsize=9)
    ax.annotate("height: √seeds", (1, 1), (0, 3), xycoords="axes fraction", ha="right", **NOTE)
    _quiet(ax)
    ax.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    if standalone:
        _legend(ax.get_figure(), _patches(df))
    return ax


def overview(df: pd.DataFrame, x: str) -> Figure:
    """Rates with intervals, all labels stacked, and the spread over seeds: every seed accounted for.

    Where other factors vary too, each combination of them is a row of its own: conditions are not pooled.

    Args:
      df: as from `load`, of a world with goals; the histogram shows the first goal that is not the intended one.
      x: the factor.
    Raises:
      ValueError: as `rate_curve`; no goal to show; or more than `MOST_ROWS` rows.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    goals = _goals(df)
    if not goals:
        raise ValueError("no goals to draw: the lanes are of worlds without goals")
    check_name("column", x, df.columns)
    others = pooled_factors(df, [x])
    rows = [part for _, part in df.groupby(others, dropna=False)] if others else [df]
    if len(rows) > MOST_ROWS:
        raise ValueError(f"{len(rows)} combinations of {', '.join(others)} to draw; select at most {MOST_ROWS} of them")
    figure = plt.figure(figsize=(11, 3.9 * len(rows) + 0.3), layout=ConstrainedLayoutEngine(w_pad=0.12))
    titles = ("Rate of each label, 95% intervals", "Every seed, by label", "Spread over seeds")
    for part, place in zip(rows, figure.subfigures(len(rows), 1, squeeze=False)[:, 0], strict=True):
        if others:
            place.suptitle(", ".join(f"{key} = {part[key].iloc[0]}" for key in others), x=0.01, ha="left", fontsize=10)
        curve, stack, spread = place.subplots(1, 3, width_ratios=[1.1, 1, 1.05])
        rate_curve(part, x, ax=curve)
        label_stack(part, x, ax=stack)
        share_histogram(part, goals[min(1, len(goals) - 1)], x, ax=spread)
        for letter, ax, title in zip("abc", (curve, stack, spread), titles, strict=True):
            ax.set_title(rf"$\bf{{{letter}}}$   {title}", loc="left", fontsize=10, pad=16)
    _legend(figure, _patches(df), "outside lower center")
    return figure


def _goals(df: pd.DataFrame) -> list[str]:
    return [name.removeprefix("share.") for name in df.columns if name.startswith("share.")]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.6, 4), layout="constrained")[1]


def _patches(df: pd.DataFrame) -> list[Artist]:
    """Every label of the world, for a legend."""
    from matplotlib.patches import Patch

    return [Patch(label=name, **_fill(name, ink)) for name, ink in colours(df["label"].cat.categories).items()]


def _legend(figure: Any, handles: Sequence[Artist], place: str = "outside upper center") -> None:
    columns = len(handles) if figure.get_figwidth() > 8 else 3
    figure.legend(
        handles=handles, loc=place, ncols=columns, frameon=False, fontsize=9, handlelength=1.6, columnspacing=1.4
    )


def _fill(name: str, colour: str) -> dict[str, Any]:
    """How an area of this label looks: `incapable` is hatched, to differ from everything without a colour."""
    if name == "incapable":
        return {"facecolor": colour, "hatch": "/////", "edgecolor": "#8A8A8A", "linewidth": 0.5}
    return {"facecolor": colour, "edgecolor": "white", "linewidth": 0.5}


def _quiet(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.set_axisbelow(True)


def _tick(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _factor_axis(ax: Axes, df: pd.DataFrame, x: str) -> None:
    """Shares of seeds over the factor's values, these at 0, 1, 2, … in the order in which `rates` gives its groups."""
    names = [_tick(value) for value, _ in df.groupby(x, observed=True, dropna=False)]
    width = 48 // len(names)  # characters that fit side by side below a panel
    wrapped = [fill(name, max(1, width), break_long_words=False) for name in names]
    crowded = max(len(line) for name in wrapped for line in name.split("\n")) > width
    ax.set_xticks(range(len(names)), names if crowded else wrapped)
    if crowded:
        ax.tick_params(axis="x", labelrotation=40)
        for text in ax.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylim(0, 1)
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel("share of all seeds", fontsize=9)
    _quiet(ax)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
