"""Over-optimisation: true worth and a learnt model's pay, against how far the policy has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.figures.style import add_legend, axes_or_new, handles_of, note_above, places_of, quiet
from analysis.over_optimisation import over_optimisation
from analysis.values import naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes


def gold_curve(
    df: pd.DataFrame, by: str | None = None, ax: Axes | None = None, like: pd.DataFrame | None = None
) -> Axes:
    """Gold return with its 95% interval over seeds, and proxy return dashed, against the root of the KL divergence.

    Args:
      df: as from `curves_by_label`, of lanes that learn their reward.
      by: a curve for each value of a column.
    Raises:
      ValueError: as `over_optimisation`.
    """
    table = over_optimisation(df, [] if by is None else [by])
    levels, place = places_of(table, by, df if like is None else like)
    name = naming(levels)
    standalone, ax = ax is None, axes_or_new(ax)
    for i, value in enumerate(levels):
        rows = table[place == i]
        if rows.empty:
            continue
        label = "gold" if by is None else f"{by} = {name(value)}"
        ax.fill_between(rows["root_kl"], rows["low"], rows["high"], color=f"C{i}", alpha=0.16, linewidth=0)
        ax.plot(rows["root_kl"], rows["gold"], color=f"C{i}", linewidth=1.6, label=label)
        ax.plot(rows["root_kl"], rows["proxy"], color=f"C{i}", linewidth=1, linestyle="--")
    quiet(ax)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    ax.set_xlabel("√KL (nats an episode)", fontsize=9)
    ax.set_ylabel("return of an episode", fontsize=9)
    note_above(ax, "gold with 95% interval; dashed: proxy")
    if standalone:
        add_legend(ax.get_figure(), handles_of([ax], df))
    return ax
