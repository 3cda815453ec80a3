"""What happened on the way: through checkpoints, and along the curves of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyarrow.compute import field

from analysis.design import DESIGN, warn_of_pooling
from analysis.figures.style import (
    LINE,
    NOTE,
    add_legend,
    axes_or_new,
    by_label,
    goals_of,
    handles_of,
    is_numeric,
    jitter,
    note_above,
    only,
    quiet,
    share_axis,
    share_column,
)
from analysis.folder import Place
from analysis.load import load, load_curves, load_labels, load_probes
from analysis.names import check_name
from analysis.results import LANE, time_of

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes

SPREAD = (0.1, 0.9)
"""Quantiles over seeds between which a band lies."""
LINES = 1000
"""Of one label, that are drawn: more would fill the panel with one colour."""


def training_curve(
    df: pd.DataFrame,
    value: str | Sequence[str] = "return_mean",
    ax: Axes | None = None,
    like: pd.DataFrame | None = None,
) -> Axes:
    """A column of the training curves by the label that the seeds end with: means, and bands of quantiles, over seeds.

    A line is the mean of the seeds with a label, its band goes from their 10% to their 90% quantile, and the panel says
    how many seeds these are. Seeds without a number at a point, as no episode ended there, are left out of
    that point.

    Args:
      df: as from `curves_by_label`.
      value: a column of numbers, such as return_mean or entropy.
    Raises:
      ValueError: the column does not exist, with the nearest that does, or holds no numbers.
    """
    column = only(value)
    check_name("column", column, df.columns)
    if not is_numeric(df, column):
        raise ValueError(f"{column}: not numbers, so no curve can be drawn")
    time = time_of(df)
    warn_of_pooling(df, [time])
    standalone, ax = ax is None, axes_or_new(ax)
    counts: list[tuple[str, str]] = []
    for name, seeds, colour in by_label(df, column):
        if seeds.empty:
            continue
        ink = LINE.get(name, colour)
        points = seeds.groupby(time)[column]
        low, high = (points.quantile(share) for share in SPREAD)
        ax.fill_between(low.index, low, high, color=ink, alpha=0.16, linewidth=0)
        mean = points.mean()
        ax.plot(mean.index, mean, color=ink, linewidth=1.6, linestyle="--" if name in LINE else "-", label=name)
        n = len(seeds.drop_duplicates([one for one in ("master_seed", *LANE) if one in seeds]))
        counts.append((f"{n} {name}", ink))
    for line, (text, ink) in enumerate(reversed(counts)):
        below: dict[str, Any] = NOTE | {"color": ink, "ha": "right", "xycoords": "axes fraction"}
        ax.annotate(text, (1, 0), (-3, 4 + 10 * line), **below)
    quiet(ax)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    ax.margins(x=0.02)
    ax.set_xlabel(time, fontsize=9)
    ax.set_ylabel(f"{column}, by label", fontsize=9)
    note_above(ax, "mean, 10% to 90% of seeds")
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def seed_lines(
    df: pd.DataFrame,
    value: str | Sequence[str],
    x: str = "checkpoint",
    ax: Axes | None = None,
    like: pd.DataFrame | None = None,
) -> Axes:
    """A share through training, a line a seed, coloured by the label that the seed ends with; the mean in black.

    Of more than 1,000 seeds of a label, as many are drawn, at even distances; the mean is of all.

    Args:
      df: as from `through_training`.
      value: a goal, whose share is meant, or any column of shares.
      x: checkpoint (share of training) or env_steps.
    Raises:
      ValueError: a goal or column that does not exist, with the nearest that does, or is no share.
    """
    column = share_column(df, value)
    check_name("column", x, df.columns)
    warn_of_pooling(df, [x, "checkpoint"])
    lane = [one for one in ("master_seed", *LANE) if one in df]
    final = df.reset_index(drop=True)
    final["label"] = final.sort_values("checkpoint").groupby(lane, observed=True)["label"].transform("last")
    standalone, ax = ax is None, axes_or_new(ax)
    for name, seeds, colour in by_label(final, column):
        named: dict[str, Any] = {"label": name}
        place = seeds.groupby(lane, observed=True).ngroup()
        count = place.max() + 1 if len(place) else 0
        drawn = np.unique(np.linspace(0, count - 1, min(count, LINES)).astype(int))
        # Lines that would lie on each other, as many do at 0 and at 1, are spread over a hundredth.
        shift = jitter(np.zeros(count, int)) * 0.02
        for one, seed in seeds[place.isin(drawn)].sort_values(x).groupby(place):
            look: dict[str, Any] = {"color": LINE.get(name, colour), "linewidth": 0.8, "alpha": 0.6, "clip_on": False}
            ax.plot(seed[x], seed[column].astype(float) + shift[one], **look, **named)
            named = {}
    mean = df.groupby(x)[column].mean()
    ax.plot(mean.index, mean, color="black", linewidth=2.2, marker="o", markersize=4, label="mean over seeds", zorder=4)
    share_axis(ax)
    ax.set_ylim(-0.015, 1.015)
    ax.set_xlabel(x if x != "checkpoint" else "checkpoint (share of training)", fontsize=9)
    ax.set_ylabel(column, fontsize=9)
    n = len(df.drop_duplicates(lane))
    without = df[df[column].isna()].drop_duplicates(lane)
    note_above(ax, f"{n} seeds" + (f", {len(without)} at some time without a share" if len(without) else ""))
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax


def curves_by_label(directory: str | Place | Sequence[str | Place]) -> pd.DataFrame:
    """One row a lane × point of its training curve, as `load_curves`, with the label that the lane ends with.

    Args:
      directory: a results folder, or several.
    Raises:
      ValueError: as `load`.
    """
    paths = [directory] if isinstance(directory, str | Place) else list(directory)
    lanes, parts, keys = load(directory), [], [*LANE, "master_seed"]
    for path in paths:
        own = lanes if len(paths) == 1 else lanes.merge(load(path)[keys], on=keys)
        curves = load_curves(path)
        rest = [name for name in lanes.attrs["factors"] if name not in curves]
        parts.append(curves.merge(own[[*keys, "label", *rest]], on=LANE))
    df = pd.concat(parts, ignore_index=True)
    df["label"] = df["label"].astype(str).astype(lanes["label"].dtype)
    df.attrs["factors"] = lanes.attrs["factors"]
    return df


def through_training(directory: str | Place | Sequence[str | Place]) -> pd.DataFrame:
    """One row a lane × checkpoint: its shares on the label probe then, so that the training budget can be a factor.

    A checkpoint is a moment of one run: where a schedule moves a setting, it is not the end of a shorter run.

    Args:
      directory: a results folder, or several.
    Returns:
      The factors; condition, seed, master_seed; checkpoint (share of training), update and, where `load` has it,
      env_steps (trained for until then); share.GOAL, undecided and outcome.CLASS of sampled actions on the label probe,
      as in `load`; label, by the rule of `load`, then; and `load`'s columns planner.*, keys and adaptive.
      `df.attrs["factors"]` has the factors and checkpoint.
    Raises:
      ValueError: as `load`.
    """
    lanes = load(directory)
    whole = lanes.attrs["factors"]
    keys = [*LANE, "master_seed"]
    paths = [directory] if isinstance(directory, str | Place) else list(directory)
    parts = []
    for path in paths:
        rows = load_probes(path, filter=field("labels") & field("sampled") & (field("actor") == "trained"))
        shown = [*LANE, "checkpoint", "update", *(f"share.{goal}" for goal in goals_of(rows)), "undecided"]
        shown += [name for name in map(str, rows) if name.startswith("outcome.")]
        own = lanes if len(paths) == 1 else load(path)
        labels = load_labels(path)
        labels = labels[labels["sampled"]][[*LANE, "checkpoint", "label"]]
        rows = rows[[name for name in shown if name in rows]].merge(labels, on=[*LANE, "checkpoint"])
        parts.append(rows.merge(own[keys], on=LANE))
    kept = [name for name in ("updates", "env_steps", *DESIGN) if name in lanes]
    kept += [name for name in map(str, lanes) if name.startswith("planner.")]
    df = lanes[[*whole, *keys, *kept]].merge(pd.concat(parts), on=keys)
    if "env_steps" in df:
        df["env_steps"] = (df["env_steps"] / df["updates"].clip(lower=1) * df["update"]).round().astype("int64")
    df = df.drop(columns="updates", errors="ignore").sort_values([*whole, *keys, "checkpoint"], ignore_index=True)
    df["label"] = df["label"].astype(str).astype(lanes["label"].dtype)
    df.attrs["factors"] = [*whole, "checkpoint"]
    return df
