"""Figures: functions that take a DataFrame from `load` and return Axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.load import LANE, load, load_probes
from analysis.rates import check_name, pooled_factors, rates, warn_of_pooling
from analysis.shares import check_shares, shares
from folders import Place

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart under every common colour blindness.
COLOURS = {"intended": "#0072B2", "mixed": "#009E73", "incapable": "#FFFFFF", "undetermined": "#C4C4C4"}
PROXIES = ("#D55E00", "#E69F00", "#F0E442")
CHANNELS = ("#CC79A7", "#56B4E9")
MOST_ROWS, MOST_COLUMNS = 8, 5
"""Of panels: what a page can hold."""
MOST_VALUES = 24
"""Of a factor along an axis: more cannot be told apart."""
INK = "#333333"
LINE = {"incapable": "#606060", "undetermined": "#9A9A9A"}
"""Where a fill colour is too faint for a line."""
NOTE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "color": INK}
MARKERS = {"intended": "o", "mixed": "D", "incapable": "X", "undetermined": "P"}
SERIES = ("o", "s", "D", "^", "v", "P", "X")
"""Markers of curves, in turn."""
PLANNER: dict[str, Any] = {"color": "#707070", "linewidth": 1.0, "linestyle": (0, (4, 2.5))}
BELOW = -0.07
"""Where a scatter puts seeds without a share."""
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


def goals_of(df: pd.DataFrame) -> list[str]:
    """The goals that have a share in this frame, in the world's order, the intended one first."""
    return [name.removeprefix("share.") for name in map(str, df) if name.startswith("share.")]


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
    _rate_axes(ax, df, x)
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
    _rate_axes(ax, df, x)
    if standalone:
        _legend(ax.get_figure(), _patches(df))
    return ax


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
    columns = _columns(df, value)
    levels, place = _places(df, by, like)
    warn_of_pooling(df, [by] if by else [])
    rows = [(level, column) for level in range(len(levels)) for column in columns]
    standalone, ax = ax is None, _axes(ax)
    edges = np.linspace(0, 1, BINS + 1)
    for row, (level, column) in enumerate(rows):
        seeds = df[place == level]
        known = seeds.dropna(subset=column)
        looks = _by_label(known, column)
        counts = np.stack([np.histogram(part[column], edges)[0] for _, part, _ in looks])
        total = counts.sum(axis=0)
        unit = 0.88 * np.sqrt(total / max(1, total.max())) / np.maximum(total, 1)
        bottom = np.full(BINS, float(row))
        ax.axhline(row, color="#B0B0B0", linewidth=0.6, zorder=1)
        for (name, _, colour), count in zip(looks, counts, strict=True):
            some = count > 0
            if some.any():
                look: dict[str, Any] = {"align": "edge", "zorder": 2, "label": name} | _fill(name, colour)
                ax.bar(edges[:-1][some], (count * unit)[some], 1 / BINS, bottom[some], **look)
            bottom += count * unit
        without = len(seeds) - len(known)
        if without:
            ax.annotate(f"+{without} no goal", (1, row), (5, 2), xycoords=("axes fraction", "data"), **NOTE)
    names = ["" if by is None else _tick(levels[level]) for level, _ in rows]
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
    _note(ax, "height: √seeds")
    _quiet(ax)
    ax.grid(axis="x", color="#E6E6E6", linewidth=0.6)
    ax.tick_params(axis="y", length=0)
    if standalone:
        _legend(ax.get_figure(), _handles([ax], df))
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
    columns = _columns(df, value)
    levels, place = _places(df, x, like)
    groups, group = _places(df, by, like)
    series = [(column, number) for column in columns for number in range(len(groups))]
    names = [
        ", ".join([column] * (len(columns) > 1 or by is None) + [f"{by} = {_tick(groups[number])}"] * (by is not None))
        for column, number in series
    ]
    inks = _shades([_ink(df, column) for column, _ in series])
    coded = df.assign(**{x: place} | ({by: group} if by is not None else {}))
    keys = [x] if by is None else [x, by]
    tables = {column: shares(coded, column, keys) for column in columns}
    standalone, ax = ax is None, _axes(ax)
    numbers = _numbers(levels)
    slot = 0.78 / len(series)
    optima = []
    for turn, ((column, number), name, ink) in enumerate(zip(series, names, inks, strict=True)):
        table = tables[column]
        table = table[table[by] == number] if by is not None else table
        table = table.set_index(x).reindex(range(len(levels)))
        centre = np.arange(len(levels)) + slot * (turn - (len(series) - 1) / 2)
        seeds = df[group == number]
        ax.scatter(
            (centre[place[group == number]] + _jitter(place[group == number]) * slot * 0.8),
            seeds[column].astype(float),
            s=7,
            color=ink,
            alpha=0.28,
            linewidth=0,
            zorder=2,
            clip_on=False,
        )
        ax.vlines(centre, table["low"], table["high"], color=ink, linewidth=1.4, zorder=3, clip_on=False)
        ax.plot(
            centre,
            table["mean"],
            color=ink,
            marker=SERIES[turn % len(SERIES)],
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            linewidth=1.3,
            linestyle="",
            label=name,
            clip_on=False,
            zorder=4,
        )
        if numbers > 1:
            ax.plot(centre[:numbers], table["mean"][:numbers], color=ink, linewidth=1.2, alpha=0.75, zorder=3)
        if f"planner.{column}" in df:
            optimum = (
                seeds[f"planner.{column}"].groupby(place[group == number]).agg(lambda part: part.mean(skipna=False))
            )
            optima.append((column, optimum.reindex(range(len(levels))).to_numpy(float), ink))
    _planned(ax, df, optima)
    if without := max(int(table["without"].sum()) for table in tables.values()):
        _note(ax, f"{without} of {len(df)} without a share")
    _factor_axis(ax, levels, x)
    _share_axis(ax, min(0.0, float(df[columns].astype(float).min().min())))
    ax.set_ylabel(f"{columns[0]}, mean over seeds" if len(columns) == 1 else "mean over seeds", fontsize=9)
    if standalone and len(series) + len(optima) > 1:
        _legend(ax.get_figure(), _handles([ax], df))
    return ax


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

    column = _column(df, value)
    (across, column_of), (up, row_of) = _places(df, x, like), _places(df, by, like)
    table = shares(df.assign(**{x: column_of, by: row_of}), column, [by, x])
    standalone, ax = ax is None, _axes(ax)
    ink = _ink(df, column)
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
    _note(ax, each + (f", {without} of {len(df)} without a share" if without else ""))
    _factor_axis(ax, across, x, centre=0.5)
    ax.set_xlim(0, len(across))
    ax.set_ylim(0, len(up))
    ax.set_yticks(np.arange(len(up)) + 0.5, [fill(_tick(level), 14) for level in up])
    ax.set_ylabel(by, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if standalone:
        _legend(ax.get_figure(), _handles([ax], df))
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
    if not _is_numeric(df, x):
        raise ValueError(f"{x}: not numbers; a curve or a histogram shows shares over names")
    whole = df if like is None else like
    column = next(iter([value] if isinstance(value, str) else value), "")
    other = column in whole and _is_numeric(whole, column) and not whole[column].dropna().between(0, 1).all()
    column = column if other else _column(df, value)
    standalone, ax = ax is None, _axes(ax)
    for name, seeds, colour in _by_label(df, column):
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
        _quiet(ax)
    else:
        _share_axis(ax)
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
        _legend(ax.get_figure(), _handles([ax], df))
    return ax


def facets(
    draw: Callable[..., Axes], df: pd.DataFrame, rows: str | None = None, columns: str | None = None, **named: Any
) -> Figure:
    """Small multiples: a panel for each value of one factor, or for each pair of two, on shared axes with one legend.

    For example `facets(share_curve, df, rows="arm", columns="reward.button", x="env.button_live", value="button")`.

    Args:
      draw: share_curve, phase_diagram, seed_scatter or share_histogram; `named` are its arguments.
      rows, columns: factors; without either the figure has one panel. Columns without rows go on in a next line.
    Raises:
      ValueError: as `draw`; or a factor with more values than a page holds.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    (down, row_of), (across, column_of) = _places(df, rows), _places(df, columns)
    wide, high = len(across), len(down)
    if rows is None and wide > MOST_COLUMNS:
        high = -(-wide // MOST_COLUMNS)
        wide = -(-wide // high)
    for name, count, most in ((rows, high, MOST_ROWS), (columns, wide, MOST_COLUMNS)):
        if count > most:
            raise ValueError(f"{name}: {count} values, a panel each; select at most {most} of them")
    size = (5.6, 4) if wide == high == 1 else (min(9, 1.2 + 3.4 * wide), 1.1 + 2.1 * high)
    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05)
    figure, axes = plt.subplots(high, wide, figsize=size, sharex=True, sharey=True, squeeze=False, layout=layout)
    for panel, ax in enumerate(axes.flat):
        row, column = divmod(panel, wide) if rows is not None else (0, panel)
        if column >= len(across):
            ax.set_visible(False)
            continue
        part = df[(row_of == row) & (column_of == column)]
        if len(part):
            draw(part, **named, ax=ax, like=df)
        else:
            ax.annotate("no seeds", (0.5, 0.5), (0, 0), xycoords="axes fraction", ha="center", **NOTE)
        ax.label_outer()
        if panel + wide >= len(across) * len(down):  # nothing is drawn below it
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(named.get("x", ax.get_xlabel()), fontsize=9)
        if columns is not None and row == 0:
            ax.set_title(f"{columns} = {_tick(across[column])}", fontsize=9, pad=15)
        if rows is not None and column == wide - 1:
            head: dict[str, Any] = NOTE | {"fontsize": 9, "rotation": 270, "va": "center"}
            ax.annotate(f"{rows} = {_tick(down[row])}", (1, 0.5), (8, 0), xycoords="axes fraction", **head)
    handles = _handles(axes.flat, df)
    if len(handles) > 1 or draw is not share_curve:
        _legend(figure, handles)
    return figure


KINDS: dict[str, Callable[..., Axes]] = {
    "share": share_curve,
    "phase": phase_diagram,
    "scatter": seed_scatter,
    "histogram": share_histogram,
}
"""What `facets` draws, by the names that the command line gives them."""


def varied(df: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The frame with one more column, "KEY or KEY", in place of factors of which each arm varies another.

    Where one arm varies env.button_live and the next env.bin_live, this puts both on one axis. A row has the value of
    the key that varies in its arm; of the first key where none does.

    Raises ValueError where a column does not exist, with the nearest that does, or an arm varies several of the keys.
    """
    for key in ("arm", *keys):
        check_name("column", key, df.columns)
    merged = df[keys[0]].astype(object)
    for arm, rows in df.groupby("arm", observed=True, dropna=False):
        own = [key for key in keys if rows[key].nunique(dropna=False) > 1]
        if len(own) > 1:
            raise ValueError(f"arm {arm} varies {' and '.join(own)}; one axis can show one of them")
        merged[rows.index] = rows[(own or list(keys))[0]]
    name = " or ".join(keys)
    df = df.assign(**{name: merged.infer_objects()})
    df.attrs["factors"] = [*(factor for factor in df.attrs.get("factors", ()) if factor not in keys), name]
    return df


def through_training(directory: str | Place | Sequence[str | Place]) -> pd.DataFrame:
    """One row a lane × checkpoint: its shares on the label probe then, so that the training budget can be a factor.

    A checkpoint is a moment of one run: where a schedule moves a setting, it is not the end of a shorter run.

    Args:
      directory: a results folder, or several.
    Returns:
      The factors; condition, seed, master_seed; checkpoint (share of training), update and, where `load` has it,
      env_steps (trained for until then); share.GOAL and undecided of sampled actions on the label probe, as in `load`;
      and `load`'s columns planner.*. No label: those of `load` belong to the end of training. `df.attrs["factors"]` has
      the factors and checkpoint.
    Raises:
      ValueError: as `load`.
    """
    lanes = load(directory)
    whole = lanes.attrs["factors"]
    keys = [*LANE, "master_seed"]
    paths = [directory] if isinstance(directory, str | Place) else list(directory)
    parts = []
    for path in paths:
        rows = load_probes(path)
        rows = rows[rows["labels"] & rows["sampled"] & (rows["actor"] == "trained")]
        shown = [*LANE, "checkpoint", "update", *(f"share.{goal}" for goal in goals_of(rows)), "undecided"]
        own = lanes if len(paths) == 1 else load(path)
        parts.append(rows[[name for name in shown if name in rows]].merge(own[keys], on=LANE))
    kept = [name for name in ("updates", "env_steps") if name in lanes]
    kept += [name for name in map(str, lanes) if name.startswith("planner.")]
    df = lanes[[*whole, *keys, *kept]].merge(pd.concat(parts), on=keys)
    if "env_steps" in df:
        df["env_steps"] = (df["env_steps"] / df["updates"].clip(lower=1) * df["update"]).round().astype("int64")
    df = df.drop(columns="updates", errors="ignore").sort_values([*whole, *keys, "checkpoint"], ignore_index=True)
    df.attrs |= {"factors": [*whole, "checkpoint"], "labels": list(lanes["label"].cat.categories)}
    return df


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

    goals = goals_of(df)
    if not goals:
        raise ValueError("no goals to draw: the lanes are of worlds without goals")
    check_name("column", x, df.columns)
    others = pooled_factors(df, [x])
    rows = [part for _, part in df.groupby(others, dropna=False)] if others else [df]
    if len(rows) > MOST_ROWS:
        many = f"{len(rows)} combinations of {', '.join(others)} are too many rows"
        raise ValueError(f"{many}; select at most {MOST_ROWS} of them (--where), or draw shares (--kind share)")
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
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int(13 * figure.get_figwidth() / (longest + 6)))  # names that fit side by side
    columns = -(-len(handles) // -(-len(handles) // columns))
    figure.legend(
        handles=handles, loc=place, ncols=columns, frameon=False, fontsize=9, handlelength=1.6, columnspacing=1.4
    )


def _fill(name: str, colour: str) -> dict[str, Any]:
    """How an area of this label looks: `incapable` is hatched, to differ from everything without a colour."""
    if name == "incapable":
        return {"facecolor": colour, "hatch": "/////", "edgecolor": "#8A8A8A", "linewidth": 0.5}
    return {"facecolor": colour, "edgecolor": "white", "linewidth": 0.5}


def _note(ax: Axes, text: str) -> None:
    """Above the panel, at its right end."""
    ax.annotate(text, (1, 1), (0, 3), xycoords="axes fraction", ha="right", **NOTE)


def _quiet(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.set_axisbelow(True)


def _tick(value: Any) -> str:
    return "none" if pd.isna(value) else f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_numeric(df: pd.DataFrame, column: str) -> bool:
    return pd.api.types.is_numeric_dtype(df[column]) and not pd.api.types.is_bool_dtype(df[column])


def _column(df: pd.DataFrame, value: str | Sequence[str]) -> str:
    columns = _columns(df, value)
    if len(columns) > 1:
        raise ValueError(f"{len(columns)} shares to draw ({', '.join(columns)}); this kind of figure shows one")
    return columns[0]


def _columns(df: pd.DataFrame, value: str | Sequence[str]) -> list[str]:
    """Columns of shares, each given by its name or, for share.GOAL, by the goal's."""
    names = [value] if isinstance(value, str) else list(value)
    goals = goals_of(df)
    for name in names:
        if name not in df:
            check_name("goal or column", name, [*goals, *df.columns])
    columns = [f"share.{name}" if name in goals else name for name in names]
    for column in columns:
        check_shares(df, column)
    return columns


def _places(df: pd.DataFrame, factor: str | None, like: pd.DataFrame | None = None) -> tuple[list[Any], np.ndarray]:
    """The values of a factor in `like`, sorted, a missing one last; and which of them each row has, int[rows].

    No factor is one value, which all rows have.
    """
    if factor is None:
        return [None], np.zeros(len(df), int)
    whole = df if like is None else like
    check_name("column", factor, whole.columns)
    levels = [value for value, _ in whole.groupby(factor, observed=True, dropna=False)]
    if len(levels) > MOST_VALUES:
        raise ValueError(
            f"{factor}: {len(levels)} values, more than an axis can tell apart; a scatter shows a dot a seed"
        )
    known = [value for value in levels if not pd.isna(value)]
    codes = pd.Categorical(df[factor], categories=known).codes.astype(int)
    return levels, np.where(codes < 0, len(known), codes)


def _numbers(levels: Sequence[Any]) -> int:
    """How many of the first levels are numbers, which a line may join."""
    known = pd.Series([value for value in levels if not pd.isna(value)])
    return len(known) if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known) else 0


def _jitter(place: np.ndarray) -> np.ndarray:
    """Offsets in [-0.5, 0.5) that spread the rows of each place evenly, the same every time."""
    turn = pd.Series(place).groupby(place).cumcount().to_numpy()
    return (turn * 0.6180339887 + 0.5) % 1 - 0.5


def _labels(df: pd.DataFrame) -> list[str]:
    return list(df["label"].cat.categories) if "label" in df else list(df.attrs.get("labels", ()))


def _ink(df: pd.DataFrame, column: str) -> str:
    """The colour of the label of the goal that a column is about; a plain dark one where it is about none."""
    labels = _labels(df)
    for goal in goals_of(df):
        if column.endswith(f".{goal}") and labels:
            own = [name for name in labels if name in (f"proxy:{goal}", f"channel:{goal}")]
            return colours(labels)[own[0] if own else "intended"]
    return INK


def _shades(inks: Sequence[str]) -> list[str]:
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


def _by_label(df: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame, str]]:
    """Each label, the rows that have it, and its colour; without labels all rows, in the colour of the column."""
    if "label" not in df:
        return [(column, df, _ink(df, column))]
    return [(name, df[df["label"] == name], ink) for name, ink in colours(_labels(df)).items()]


def _planned(ax: Axes, df: pd.DataFrame, optima: Sequence[tuple[str, np.ndarray, str]]) -> None:
    """Steps at the planner's shares (column, f64[places], ink of its curve), gaps where it has none; each step once."""
    steps: dict[tuple[str, bytes], tuple[np.ndarray, list[str]]] = {}
    for column, optimum, ink in optima:
        if not np.isnan(optimum).all():
            steps.setdefault((column, optimum.tobytes()), (optimum, []))[1].append(ink)
    for (column, _), (optimum, inks) in steps.items():
        ink = PLANNER["color"] if len(steps) == 1 else inks[0] if len(inks) == 1 else _ink(df, column)
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


def _handles(axes: Iterable[Axes], df: pd.DataFrame) -> list[Any]:
    """What the panels' legends would hold, each name once; labels in their order in the world."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    order = _labels(df)
    return [found[name] for name in sorted(found, key=lambda name: order.index(name) if name in order else -1)]


def _rate_axes(ax: Axes, df: pd.DataFrame, x: str) -> None:
    """Shares of seeds over the factor's values, these at 0, 1, 2, … in the order in which `rates` gives its groups."""
    _factor_axis(ax, [value for value, _ in df.groupby(x, observed=True, dropna=False)], x)
    _share_axis(ax)
    ax.set_ylabel("share of all seeds", fontsize=9)


def _factor_axis(ax: Axes, levels: Sequence[Any], x: str, centre: float = 0) -> None:
    """The values of a factor along the horizontal axis, at `centre`, `centre` + 1, …"""
    names = [_tick(value) for value in levels]
    figure: Any = ax.get_figure(root=True)
    grid = ax.get_subplotspec()
    panel = figure.get_figwidth() / (1 if grid is None else grid.get_gridspec().ncols)
    width = int(13 * panel) // len(names)  # characters that fit side by side below a panel
    wrapped = [fill(name, max(1, width), break_long_words=False) for name in names]
    crowded = max(len(line) for name in wrapped for line in name.split("\n")) > width
    ax.set_xticks(np.arange(len(names)) + centre, names if crowded else wrapped)
    if crowded:
        ax.tick_params(axis="x", labelrotation=40)
        for text in ax.get_xticklabels():
            text.set(horizontalalignment="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xlabel(x, fontsize=9)
    _quiet(ax)


def _share_axis(ax: Axes, least: float = 0.0) -> None:
    ax.set_ylim(np.floor(10 * least) / 10, 1)
    _quiet(ax)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
