"""The panels of a report: which figures a sweep's factors ask for, with their tooltips."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from pyarrow.compute import field

from analysis import figures
from analysis.figures.style import MOST_VALUES
from analysis.folder import Place
from analysis.load import load_probes
from analysis.rates import rates
from analysis.report.svg import Tip, panel
from analysis.results import LANE
from analysis.values import condition_names, naming

COMBINATIONS = 3
"""Of the factors that no axis shows, that panels are drawn for."""
CURVES = 4
"""Through training; more values of a factor become a phase diagram."""
MOST_GOALS = 2
"""Shown through training."""


def panels(folder: Place, df: pd.DataFrame, goals: Sequence[str], rival: str, by: Sequence[str]) -> dict[str, Any]:
    """Rows of panels, one for each combination of the factors that no axis shows.

    Args:
      df: as from `load`.
      goals: those of the world, the intended one first.
      rival: the goal whose shares are spread.
      by: the factors, each constant within a condition.
    Returns:
      x (the factor on the axis), others (the other factors), combinations (of them, all), and rows: name, and panels
      (title, svg, why there is none).
    """
    counts = {factor: df[factor].nunique(dropna=False) for factor in by}
    fit = [factor for factor in by if counts[factor] <= MOST_VALUES]
    numbers = [factor for factor in fit if pd.api.types.is_numeric_dtype(df[factor])]
    x = max(numbers or fit, key=lambda factor: counts[factor], default="world")
    others = [factor for factor in by if factor != x]
    name_of = condition_names(df, others)
    parts = [(name_of(key), rows) for key, rows in df.groupby(others, dropna=False)] if others else [("", df)]
    # The intended share of two is one less the other.
    shown = [rival] if len(goals) == 2 else list(dict.fromkeys((goals[0], rival, *goals[1:])))[:MOST_GOALS]
    through = _through_training(folder, df)
    rows: list[dict[str, Any]] = []
    for number, (name, part) in enumerate(parts[:COMBINATIONS]):
        part.attrs["factors"] = [x]
        drawn = _at_the_end(f"f{number}", part, x, goals, rival)
        if through is not None:
            moments = through.merge(part[LANE], on=LANE)
            moments.attrs["factors"] = [factor for factor in (x, "checkpoint") if factor in moments]
            drawn += [_of_moments(f"f{number}m{place}", moments, x, goal) for place, goal in enumerate(shown)]
        rows.append({"name": name, "panels": drawn})
    return {"x": x, "others": others, "combinations": len(parts), "rows": rows}


def _panel(name: str, title: str, draw: Callable[[Any], Sequence[Tip]], legend: bool = False) -> dict[str, Any]:
    svg, why = "", ""
    try:
        svg = panel(name, draw, legend)
    except ValueError as error:
        why = str(error)
    return {"title": title, "svg": svg, "why": why}


def _at_the_end(name: str, df: pd.DataFrame, x: str, goals: Sequence[str], value: str) -> list[dict[str, Any]]:
    def spread(ax: Any) -> Sequence[Tip]:
        figures.share_histogram(df, value, x, ax=ax)
        return ()

    def means(ax: Any) -> Sequence[Tip]:
        figures.share_curve(df, x, list(goals), ax=ax)
        return ()

    return [
        _panel(f"{name}a", "Rate of each label, 95% intervals", lambda ax: _rates(ax, df, x)),
        _panel(f"{name}b", "Every seed, by label", lambda ax: _stack(ax, df, x)),
        _panel(f"{name}c", f"Spread over seeds: share of {value}", spread),
        _panel(f"{name}d", "Mean share of each goal, a dot a seed", means, legend=True),
    ]


def _of_moments(name: str, moments: pd.DataFrame, x: str, goal: str) -> dict[str, Any]:
    values = moments[x].nunique(dropna=False) if x in moments else 1

    def curves(ax: Any) -> Sequence[Tip]:
        figures.share_curve(moments, "checkpoint", goal, x if x in moments else None, ax=ax)
        return ()

    def phases(ax: Any) -> Sequence[Tip]:
        figures.phase_diagram(moments, "checkpoint", x, goal, ax=ax)
        return ()

    title = f"Through training: mean share of {goal}"
    if values <= CURVES:
        return _panel(name, title, curves, legend=True)
    return _panel(name, title, phases)


def _through_training(folder: Place, df: pd.DataFrame) -> pd.DataFrame | None:
    """The label probe's shares at every checkpoint, one row a lane x checkpoint; None where there is one alone."""
    on_labelling = field("labels") & field("sampled") & (field("actor") == "trained")
    rows = load_probes(folder, filter=on_labelling)
    if rows["checkpoint"].nunique() < 2:
        return None
    planner = [one for one in map(str, df) if one.startswith("planner.share.")]
    return rows.merge(df[[*LANE, *planner]], on=LANE)


def _rates(ax: Any, df: pd.DataFrame, x: str) -> list[Tip]:
    figures.rate_curve(df, x, ax=ax)
    places = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    tips, text_of = [], naming(df[x])
    for label, rows in rates(df, x).groupby("label", observed=True):
        for place, one in zip(places.get(label, ()), rows.to_dict("records"), strict=False):
            interval = f"{one['rate']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"
            text = f"{x} = {text_of(one[x])}, {label}: {interval}, {one['count']:,} of {one['n']:,} seeds"
            tips.append(Tip(float(place), one["rate"], text))
    return tips


def _stack(ax: Any, df: pd.DataFrame, x: str) -> list[Tip]:
    figures.label_stack(df, x, ax=ax)
    table = rates(df, x)
    tips, text_of = [], naming(df[x])
    for bars in ax.containers:
        rows = table[table["label"] == bars.get_label()].to_dict("records")
        for bar, one in zip(bars, rows, strict=True):
            text = f"{x} = {text_of(one[x])}, {one['label']}: {one['count']:,} of {one['n']:,} seeds"
            if one["count"]:
                tips.append(Tip(bar.get_x(), bar.get_y(), text, bar.get_width(), bar.get_height()))
    return tips
