"""Shares, as a mean over seeds with its interval, or seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.design import warn_of_pooling
from analysis.figures.style import (
    INK,
    LINE,
    MARKERS,
    NOTE,
    SERIES,
    add_legend,
    axes_or_new,
    by_label,
    factor_axis,
    filled,
    goals_of,
    handles_of,
    ink_of,
    is_numeric,
    jitter,
    note_above,
    numbers_in,
    only,
    places_of,
    quiet,
    shades_of,
    share_axis,
    share_column,
    share_columns,
)
from analysis.names import check_name
from analysis.shares import shares
from analysis.values import naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes

PLANNER: dict[str, Any] = {"color": "#707070", "linewidth": 1.0, "linestyle": (0, (4, 2.5))}
BELOW = -0.07
"""Where a scatter puts seeds without a share."""
BINS = 20
"""Of a share histogram: bins of 0.05, so that the reliability threshold of 0.75 falls between two."""


def share_histogram(
    df: pd.DataFrame,
    value: str | Sequence[str],
    by: str | None,
    ax: Axes | None = None,
    like: pd.DataFrame | None = None,
) -> Axes:
    """How seeds spread over a share, such as that of label-probe episodes in which a goal was reached first.

    Each row is a histogram over the seeds of a condition, coloured by label. A bin's height is the square root of its
    seeds, relative to the row's tallest bin, so that a single seed shows. Seeds that reached no goal in any episode
    have no share; the right margin counts them.

    Args:
      value: a goal, whose share is meant, or any column of shares; several make a row each.
      by: a factor, whose every value makes a row; None makes one of all seeds.
      like: the frame whose values of `by` make the rows (default: `df`).
    Raises:
      ValueError: a goal or column that does not exist, with the nearest that does.
    """
    columns = share_columns(df, value)
    for column in columns:
        if df[column].astype(float).min() < 0:
            raise ValueError(f"{column}: some values are negative; a histogram is of shares in [0, 1]")
    levels, place = places_of(df, by, like)
    warn_of_pooling(df, [by] if by else [])
    rows = [(level, column) for level in range(len(levels)) for column in columns]
    standalone, ax = ax is None, axes_or_new(ax)
    edges = np.linspace(0, 1, BINS + 1)
    for row, (level, column) in enumerate(rows):
        seeds = df[place == level]
        known = seeds.dropna(subset=column)
        looks = by_label(known, column)
        counts = np.stack([np.histogram(part[column], edges)[0] for _, part, _ in looks])
        total = counts.sum(axis=0)
        unit = 0.88 * np.sqrt(total / max(1, total.max())) / np.maximum(total, 1)
        bottom = np.full(BINS, float(row))
        ax.axhline(row, color="#B0B0B0", linewidth=0.6, zorder=1)
        for (name, _, colour), count in zip(looks, counts, strict=True):
            some = count > 0
            if some.any():
                look: dict[str, Any] = {"align": "edge", "zorder": 2, "label": name} | filled(name, colour)
                ax.bar(edges[:-1][some], (count * unit)[some], 1 / BINS, bottom[some], **look)
            bottom += count * unit
        without = len(seeds) - len(known)
        if without:
            ax.annotate(f"+{without} no goal", (1, row), (5, 2), xycoords=("axes fraction", "data"), **NOTE)
    names = ["" if by is None else naming(levels)(levels[level]) for level, _ in rows]
    if len(columns) > 1:
        names = [
            f"{name} {column.removeprefix('share.')}".strip() for name, (_, column) in zip(names, rows, strict=True)
        ]
        ax.set_xlabel("share", fontsize=9)
    else:
        goal = columns[0].removeprefix("share.")
        ax.set_xlabel(f"share of decided episodes, {goal} first" if goal in goals_of(df) else goal, fontsize=9)
    ax.set_yticks(range(len(rows)), names if len(columns) > 1 else [fill(name, 14) for name in names])
    ax.set_ylim(-0.08, len(rows))
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.set_ylabel(by or "", fontsize=9)
    note_above(ax, "height: √seeds")
    quiet(ax)
    ax.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def share_curve(
    df: pd.DataFrame,
    x: str,
    value: str | Sequence[str],
    by: str | None = None,
    ax: Axes | None = None,
    like: pd.DataFrame | None = None,
) -> Axes:
    """The mean over seeds of a share against a factor, with 95% intervals over seeds and a faint dot for every seed.

    Values of the factor are spaced evenly, and joined where they are numbers, as in `rate_curve`; curves stand side by
    side at each. A curve has its goal's colour, and a shade of it where several have the same. Dashed, where the frame
    has `planner.share.GOAL`: the share of the optimum of the discounted payment, in grey where one line serves all
    curves, else in their colours. Seeds without a share, as nothing was decided, are counted above the panel.

    Args:
      x: a factor, on the horizontal axis.
      value: a goal, whose share is meant, or any column of shares; several make a curve each.
      by: a factor, whose every value makes a curve.
      like: the frame whose values of `x` and `by` set places and shades (default: `df`).
    Raises:
      ValueError: a goal or column that does not exist, with the nearest that does, or is no share.
    """
    columns = share_columns(df, value)
    levels, place = places_of(df, x, like)
    groups, group = places_of(df, by, like)
    series = [(column, number) for column in columns for number in range(len(groups))]
    inks = shades_of([ink_of(df, column) for column, _ in series])
    coded = df.assign(**{x: place} | ({by: group} if by is not None else {}))
    keys = [x] if by is None else [x, by]
    tables = {column: shares(coded, column, keys) for column in columns}
    standalone, ax = ax is None, axes_or_new(ax)
    slot = 0.78 / len(series)
    optima = []
    for turn, ((column, number), ink) in enumerate(zip(series, inks, strict=True)):
        table = tables[column]
        table = table[table[by] == number] if by is not None else table
        table = table.set_index(x).reindex(range(len(levels)))
        centre = np.arange(len(levels)) + slot * (turn - (len(series) - 1) / 2)
        seeds, at = df[group == number], place[group == number]
        dots: dict[str, Any] = {"s": 7, "alpha": 0.28, "linewidth": 0, "zorder": 2, "clip_on": False}
        ax.scatter(centre[at] + jitter(at) * slot * 0.8, seeds[column].astype(float), color=ink, **dots)
        of = [] if by is None else [f"{by} = {naming(groups)(groups[number])}"]
        name = ", ".join([column] * (len(columns) > 1 or by is None) + of)
        _means(ax, table, centre, numbers_in(levels), ink, SERIES[turn % len(SERIES)], name)
        if f"planner.{column}" in df:
            optimum = seeds[f"planner.{column}"].groupby(at).agg(lambda part: part.mean(skipna=False))
            optima.append((column, optimum.reindex(range(len(levels))).to_numpy(float), ink))
    _planned(ax, df, optima)
    if without := max(int(table["without"].sum()) for table in tables.values()):
        note_above(ax, f"{without} of {len(df)} without a share")
    factor_axis(ax, levels, x)
    least = df[columns].astype(float).min().min(), *(table["low"].min() for table in tables.values())
    share_axis(ax, float(np.nanmin([0.0, *least])))
    ax.set_ylabel(f"{columns[0]},\nmean over seeds" if len(columns) == 1 else "mean over seeds", fontsize=9)
    if standalone and len(series) + len(optima) > 1:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def _means(ax: Axes, table: pd.DataFrame, centre: np.ndarray, numbers: int, ink: str, marker: str, name: str) -> None:
    """Means with their intervals; those at the first `numbers` places are joined."""
    ax.vlines(centre, table["low"], table["high"], color=ink, linewidth=1.4, zorder=3, clip_on=False)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5, "clip_on": False, "zorder": 4}
    ax.plot(centre, table["mean"], marker, color=ink, markersize=4.5, label=name, **edge)
    if numbers > 1:
        ax.plot(centre[:numbers], table["mean"][:numbers], color=ink, linewidth=1.2, alpha=0.75, zorder=3)


def phase_diagram(
    df: pd.DataFrame, x: str, by: str, value: str, ax: Axes | None = None, like: pd.DataFrame | None = None
) -> Axes:
    """The mean over seeds of a share, over two factors: a cell a condition, its number in it.

    A thick line, where the frame has `planner.share.GOAL`, parts the conditions in which the optimum of the discounted
    payment goes for the goal in more than half of the episodes from the others.

    Args:
      x, by: the factors on the horizontal and on the vertical axis.
      value: a goal, whose share is meant, or any column of shares.
      like: the frame whose values of `x` and `by` set the cells (default: `df`).
    Raises:
      ValueError: as `share_curve`.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patheffects import withStroke

    column = share_column(df, value)
    (across, column_of), (up, row_of) = places_of(df, x, like), places_of(df, by, like)
    table = shares(df.assign(**{x: column_of, by: row_of}), column, [by, x])
    standalone, ax = ax is None, axes_or_new(ax)
    ink = ink_of(df, column)
    rows, columns = range(len(up)), range(len(across))
    mean = table.pivot(index=by, columns=x, values="mean").reindex(index=rows, columns=columns).to_numpy()
    tint = LinearSegmentedColormap.from_list("share", ["#F3F3F3", ink])
    ax.pcolormesh(np.ma.masked_invalid(mean), cmap=tint, vmin=0, vmax=1, edgecolors="white", linewidth=0.8)
    ax.plot([], [], "s", color=ink, label=f"{column}, mean over seeds")
    size = float(np.clip(56 / len(across), 5, 9))
    for (row, place), share in np.ndenumerate(mean):
        dark = not np.isnan(share) and np.dot(tint(share)[:3], (0.299, 0.587, 0.114)) < 0.5
        text = "–" if np.isnan(share) else f"{share:.2f}"
        ax.text(place + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color="white" if dark else INK)
    if f"planner.{column}" in df:
        planned = df[f"planner.{column}"].groupby([row_of, column_of]).agg(lambda part: part.mean(skipna=False))
        optimum = planned.unstack().reindex(index=rows, columns=columns).to_numpy(float)
        look: dict[str, Any] = {
            "path_effects": [withStroke(linewidth=3.6, foreground="white")],
            "capstyle": "projecting",
        }
        frontier = LineCollection(_frontier(optimum), colors="#111111", linewidths=1.8, zorder=3, **look)
        frontier.set_label("planner's optimum crosses 1/2")
        ax.add_collection(frontier, autolim=False)
    seeds = sorted({int(n) for n in table["n"] + table["without"]})
    each = f"{seeds[0]} seeds each" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds each"
    without = int(table["without"].sum())
    note_above(ax, each + (f", {without} of {len(df)} without a share" if without else ""))
    factor_axis(ax, across, x, centre=0.5)
    ax.set_xlim(0, len(across))
    ax.set_ylim(0, len(up))
    ax.set_yticks(np.arange(len(up)) + 0.5, [fill(name, 14) for name in map(naming(up), up)])
    ax.set_ylabel(by, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def seed_scatter(
    df: pd.DataFrame, x: str, value: str, ax: Axes | None = None, like: pd.DataFrame | None = None
) -> Axes:
    """One dot a seed, coloured by its label: a share, or another number, against one that varies from seed to seed.

    The horizontal axis is logarithmic where the numbers are positive, span more than a decade and have their median
    nearer to the middle of such an axis. Seeds without a share, as nothing was decided, stand in a strip below it;
    those without another number are left out.

    Args:
      x: a column of numbers, such as a sampled setting of the learner.
      value: a goal, whose share is meant, or any column of numbers, such as `meg.GOAL`.
      like: the frame whose numbers set the axes (default: `df`).
    Raises:
      ValueError: a goal or column that does not exist, with the nearest that does, or does not hold what is drawn.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    check_name("column", x, df.columns)
    if not is_numeric(df, x):
        raise ValueError(f"{x}: not numbers; a curve or a histogram shows shares over names")
    whole = df if like is None else like
    column = only(value)
    other = column in whole and is_numeric(whole, column) and not whole[column].dropna().between(0, 1).all()
    column = column if other else share_column(df, column)
    standalone, ax = ax is None, axes_or_new(ax)
    for name, seeds, colour in by_label(df, column):
        if len(seeds):
            ax.scatter(
                seeds[x],
                seeds[column].astype(float).fillna(np.nan if other else BELOW),
                s=20,
                marker=MARKERS.get(name, "s"),
                color=colour,
                edgecolor=LINE.get(name, "white"),
                linewidth=0.9 if name in LINE else 0.4,
                alpha=0.85,
                label=name,
                clip_on=False,
                zorder=3,
            )
    if other:
        quiet(ax)
    else:
        share_axis(ax)
    if whole[column].isna().any() and not other:
        ax.set_ylim(2 * BELOW, 1)
        ax.set_yticks([BELOW, *ax.get_yticks()[ax.get_yticks() >= 0]])
        ax.set_yticklabels(["none", *(f"{tick:g}" for tick in ax.get_yticks()[1:])])
        ax.axhline(0, color="#B0B0B0", linewidth=0.8, zorder=1)
    low, middle, high = whole[x].quantile([0, 0.5, 1])
    if 0 < 10 * low < high:
        even, log = (middle - low) / (high - low), np.log(middle / low) / np.log(high / low)
        if abs(log - 0.5) < abs(even - 0.5):
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 1000 * low else (1,)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(column, fontsize=9)
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def _planned(ax: Axes, df: pd.DataFrame, optima: Sequence[tuple[str, np.ndarray, str]]) -> None:
    """Steps at the planner's shares (column, f64[places], ink of its curve), gaps where it has none; each step once."""
    steps: dict[tuple[str, bytes], tuple[np.ndarray, list[str]]] = {}
    for column, optimum, ink in optima:
        if not np.isnan(optimum).all():
            steps.setdefault((column, optimum.tobytes()), (optimum, []))[1].append(ink)
    for (column, _), (optimum, inks) in steps.items():
        ink = PLANNER["color"] if len(steps) == 1 else inks[0] if len(inks) == 1 else ink_of(df, column)
        edges = np.repeat(np.arange(len(optimum) + 1) - 0.5, 2)[1:-1]
        ax.plot(edges, np.repeat(optimum, 2), **PLANNER | {"color": ink}, zorder=2.5, clip_on=False)
    if steps:
        ax.plot([], [], **PLANNER, label="planner's optimum")


def _frontier(optimum: np.ndarray) -> list[list[tuple[int, int]]]:
    """Edges, as pairs of points, between neighbours of f64[rows, columns] of which one alone is above 1/2."""
    above = optimum > 0.5
    known = ~np.isnan(optimum)
    apart = (above[:, 1:] != above[:, :-1]) & known[:, 1:] & known[:, :-1]
    edges = [[(column + 1, row), (column + 1, row + 1)] for row, column in np.argwhere(apart).tolist()]
    apart = (above[1:] != above[:-1]) & known[1:] & known[:-1]
    return edges + [[(column, row + 1), (column + 1, row + 1)] for row, column in np.argwhere(apart).tolist()]
