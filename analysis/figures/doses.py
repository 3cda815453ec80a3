"""The rate of a label against a dose, with its tipping dose."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from analysis.design import warn_of_pooling
from analysis.figures.style import (
    LINE,
    SERIES,
    axes_or_new,
    characters,
    colours,
    goals_of,
    is_numeric,
    label_names,
    label_of_goal,
    only,
    places_of,
    shades_of,
    share_axis,
)
from analysis.isotonic import isotonic
from analysis.names import check_name
from analysis.rates import rates
from analysis.tipping import tipping_dose
from analysis.values import naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes

MOST_TICKS = 8
"""Doses that are written along a logarithmic axis; of more, powers of ten."""


def dose_curve(
    df: pd.DataFrame,
    x: str,
    value: str | Sequence[str],
    by: str | None = None,
    ax: Axes | None = None,
    like: pd.DataFrame | None = None,
) -> Axes:
    """The rate of a label against a dose, its isotonic fit, and the tipping dose at which the rate crosses one half.

    Rates have 95% Clopper-Pearson intervals over seeds. The tipping dose (alpha_50) is that of
    `analysis.tipping_dose`: on a logarithmic axis, where the positive doses span a decade or more, of these alone, with
    doses of 0 beside the axis; else of all. The bar at one half is its 95% interval, and the line is the isotonic fit
    from which it is read. Where the crossing is not enclosed the legend has the note in place of the tipping dose, and
    no fit is drawn.

    Args:
      x: the dose, a column of numbers.
      value: a label, or the goal whose label is meant.
      by: a factor, whose every value makes a curve.
      like: the frame whose values of `x` and `by` set the axis and the shades (default: `df`).
    Raises:
      ValueError: as `tipping_dose`.
    """
    label = _label_of(df, value)
    whole = df if like is None else like
    check_name("column", x, whole.columns)
    if not is_numeric(whole, x):
        raise ValueError(f"{x}: not numbers; a dose is a number")
    groups, group = places_of(df, by, like)
    warn_of_pooling(df, [x] if by is None else [x, by])
    axis = _axis_of(whole[x])
    ax = axes_or_new(ax)
    shades = shades_of([colours(label_names(df))[label]] * len(groups))
    for number, shade in enumerate(shades):
        seeds = df[group == number]
        if len(seeds):
            who = "" if by is None else f"{by} = {naming(groups)(groups[number])}: "
            _draw(ax, seeds, x, label, axis, who, LINE.get(label, shade), SERIES[number % len(SERIES)])
    if axis.log:
        _logarithmic(ax, axis, whole[x])
    share_axis(ax)
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(f"share of all seeds: {label}", fontsize=9)
    # Above the panel: notes are long, and intervals leave no corner free.
    ax.legend(frameon=False, fontsize=7.5, loc="lower left", bbox_to_anchor=(-0.02, 1), handlelength=1.4)
    return ax


class _Axis(NamedTuple):
    """Along which doses stand: its left end, where doses of 0 stand if it is logarithmic, and where doses end."""

    log: bool
    left: float
    nothing: float
    low: float
    high: float


def _axis_of(doses: pd.Series) -> _Axis:
    positive = doses[doses > 0]
    log = bool(doses.min() >= 0 and positive.max() >= 10 * positive.min())
    low, high = float(positive.min() if log else doses.min()), float(doses.max())
    if not log:
        return _Axis(False, low, low, low, high)
    span = high / low
    return _Axis(True, low / span**0.16, low / span**0.12, low / span**0.06, high * span**0.06)


def _label_of(df: pd.DataFrame, value: str | Sequence[str]) -> str:
    """The label that a name or a goal's name means."""
    name, labels, goals = only(value), label_names(df), goals_of(df)
    check_name("label or goal", name, [*labels, *goals])
    return label_of_goal(labels, name) if name in goals else name


def _draw(ax: Axes, seeds: pd.DataFrame, x: str, label: str, axis: _Axis, who: str, colour: str, marker: str) -> None:
    """One curve: rates, and as much of the fit as can be relied on."""
    fitted = seeds[seeds[x] > 0] if axis.log else seeds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pooling: a warning was given for the whole figure
        table = rates(seeds, x, label)
        found = None
        if fitted[x].nunique() > 1:
            found = tipping_dose(fitted, x, label, scale="log" if axis.log else "linear").iloc[0]
    at = table[x].where(table[x] > 0, axis.nothing) if axis.log else table[x]
    ax.vlines(at, table["low"], table["high"], color=colour, linewidth=1.2, zorder=3)
    ax.plot(at, table["rate"], marker, color=colour, markersize=5, clip_on=False, zorder=4)
    if found is None:
        said = "no α₅₀: one dose alone"
    elif found["note"]:
        said = f"no α₅₀: {found['note'].partition(': ')[2]}"
    else:
        said = _draw_fit(ax, table[table[x] > 0] if axis.log else table, x, found, colour)
    ax.plot([], [], marker=marker, color=colour, markersize=5, label=fill(who + said, max(20, characters(ax) - 6)))


def _draw_fit(ax: Axes, table: pd.DataFrame, x: str, found: pd.Series, colour: str) -> str:
    """The isotonic fit and the interval of its tipping dose, which is returned as text."""
    tip, least, most = (float(found[name]) for name in ("dose", "low", "high"))
    rate = table["rate"].to_numpy()
    fit = isotonic(rate, table["n"].to_numpy(), increasing=bool(rate[-1] > rate[0]))
    ax.plot(table[x], fit, color=colour, linewidth=1.6, zorder=2)
    ax.hlines(0.5, least, most, color=colour, linewidth=5, alpha=0.35, zorder=2)
    ax.vlines(tip, 0, 0.5, color=colour, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
    return f"α₅₀ = {tip:.2g} [{least:.2g}, {most:.2g}]"


def _logarithmic(ax: Axes, axis: _Axis, doses: pd.Series) -> None:
    """A logarithmic axis with the doses, or powers of ten, as its ticks, and a place for 0."""
    ax.set_xscale("log")
    ax.set_xlim(axis.left, axis.high)
    ticks = sorted({float(one) for one in doses[doses > 0]})
    if len(ticks) > MOST_TICKS:
        ticks = [10.0**n for n in range(-9, 10) if axis.low <= 10.0**n <= axis.high]
    zero = [axis.nothing] if (doses == 0).any() else []
    ax.set_xticks([*zero, *ticks], [*(["0"] if zero else []), *map(naming(ticks), ticks)])
    ax.minorticks_off()
