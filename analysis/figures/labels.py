"""Labels of seeds: their rates, all of them stacked, and which label became which."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.design import is_paired, pooled_factors, warn_of_pooling
from analysis.figures.style import (
    INK,
    LINE,
    MARKERS,
    NOTE,
    add_legend,
    axes_or_new,
    colours,
    filled,
    label_names,
    label_patches,
    note_above,
    places_of,
    quiet,
    rate_axes,
)
from analysis.rates import rates
from analysis.values import naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes


def rate_curve(df: pd.DataFrame, x: str, label: str | Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """The rate of labels over all seeds against a factor, with 95% Clopper-Pearson intervals.

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
    standalone, ax = ax is None, axes_or_new(ax)
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
    rate_axes(ax, df, x)
    if standalone:
        add_legend(ax.get_figure(), ax.get_lines())
    return ax


def label_stack(df: pd.DataFrame, x: str, ax: Axes | None = None, like: pd.DataFrame | None = None) -> Axes:
    """The share of seeds with each label, stacked to 1, against a factor; the number of seeds stands above the bars.

    Args:
      like: the frame whose values of `x` set the places (default: `df`).
    Raises:
      ValueError: the column does not exist, with the nearest that does.
    """
    levels, place = places_of(df, x, like)
    warn_of_pooling(df, [x])
    labels = label_names(df)
    standalone, ax = ax is None, axes_or_new(ax)
    colour = colours(labels)
    seeds = np.bincount(place, minlength=len(levels))
    bottom = np.zeros(len(levels))
    for name in labels:
        height = np.bincount(place, df["label"] == name, len(levels)) / np.maximum(seeds, 1)
        if height.any():
            ax.bar(np.arange(len(levels)), height, bottom=bottom, width=0.82, label=name, **filled(name, colour[name]))
        bottom += height
    if len(set(seeds)) == 1:
        ax.annotate(f"{seeds[0]} seeds each", (len(seeds) - 0.59, 1), (0, 3), ha="right", **NOTE)
    else:
        for at, n in enumerate(seeds):
            ax.annotate(f"{'n = ' if at == 0 else ''}{n}", (at, 1), (0, 3), ha="center", **NOTE)
    rate_axes(ax, df if like is None else like, x)
    if standalone:
        add_legend(ax.get_figure(), label_patches(df))
    return ax


def contingency_matrix(df: pd.DataFrame, by: str, ax: Axes | None = None, like: pd.DataFrame | None = None) -> Axes:
    """Which label became which: seeds counted by their label at one value of a column and at another.

    A row of the matrix is a label at the first value, a column one at the second; a cell has the number of seeds and
    their share of all pairs. A pair is two rows of one seed that agree in all other factors; rows without a partner are
    left out, and counted above the panel.

    Args:
      df: as from `load` of a sweep with paired keys, or, for `checkpoint` and `sampled`, from `load_labels`.
      by: a column that has two values.
      like: the frame whose values of `by` are meant (default: `df`).
    Raises:
      ValueError: the column does not exist, has not two values, or no seed stands at both.
    """
    levels, place = places_of(df, by, like)
    if len(levels) != 2:
        raise ValueError(f"{by}: {len(levels)} values; a matrix shows two of them: select them (--where)")
    if not is_paired(df) and by not in ("checkpoint", "sampled"):
        warnings.warn(f"keys were not paired: seeds of one number share nothing across {by}", stacklevel=2)
    warn_of_pooling(df, [by])
    pair = [*pooled_factors(df, [by]), *(["master_seed"] if "master_seed" in df else []), "seed"]
    coded = df.assign(_place=place)
    if coded.duplicated([*pair, "_place"]).any():
        raise ValueError(f"{by}: several rows of one seed at one value; a pair has one at each")
    wide = coded.set_index([*pair, "_place"])["label"].astype(str).unstack()
    whole = wide.reindex(columns=[0, 1]).dropna()
    if whole.empty:
        raise ValueError(f"{by}: no seed stands at both of its values")
    labels = [name for name in label_names(df) if (whole == name).to_numpy().any()]
    table = pd.crosstab(whole[0], whole[1]).reindex(index=labels, columns=labels, fill_value=0).to_numpy()
    from matplotlib.patches import Rectangle

    ax = axes_or_new(ax)
    share = table / table.sum()
    ax.pcolormesh(np.sqrt(share), cmap="Greys", vmin=0, vmax=1.2, edgecolors="white", linewidth=1.5)
    for (row, column), count in np.ndenumerate(table):
        text = f"{count}\n{share[row, column]:.2f}" if count else "0"
        ink = "white" if share[row, column] > 0.45 else INK if count else "#9A9A9A"
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8, color=ink)
    for at, (name, colour) in enumerate(
        (name, ink) for name, ink in colours(label_names(df)).items() if name in labels
    ):
        look = filled(name, colour) | {"clip_on": False}
        ax.add_patch(Rectangle((-0.12, at + 0.06), 0.08, 0.88, **look))
        ax.add_patch(Rectangle((at + 0.06, -0.12), 0.88, 0.08, **look))
    left = len(df) - 2 * len(whole)
    agree = f"{len(whole)} pairs, {np.trace(share):.2f} alike"
    note_above(ax, agree + (f", {left} without a partner" if left else ""))
    ticks = np.arange(len(labels)) + 0.5
    ax.set_xticks(ticks, [fill(name.replace(":", ": "), 12) for name in labels])
    ax.set_yticks(ticks, [fill(name.replace(":", ": "), 12) for name in labels])
    ax.set_xlim(-0.12, len(labels))
    ax.set_ylim(len(labels), -0.12)
    ax.xaxis.set_ticks_position("bottom")
    before, after = (
        ("of greedy actions", "of sampled actions")
        if by == "sampled"
        else [f"at {by} = {name}" for name in map(naming(levels), levels)]
    )
    ax.set_xlabel(f"label {after}", fontsize=9)
    ax.set_ylabel(f"label {before}", fontsize=9)
    quiet(ax)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
