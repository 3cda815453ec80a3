"""Figures of several panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.design import pooled_factors
from analysis.figures.doses import dose_curve
from analysis.figures.gold import gold_curve
from analysis.figures.labels import contingency_matrix, label_stack, rate_curve
from analysis.figures.shares import phase_diagram, seed_scatter, share_curve, share_histogram
from analysis.figures.style import (
    NOTE,
    add_legend,
    goals_of,
    handles_of,
    label_patches,
    places_of,
)
from analysis.figures.training import seed_lines, training_curve
from analysis.names import check_name
from analysis.values import condition_names, naming

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS, MOST_COLUMNS = 8, 5
"""Of panels: what a page can hold."""


def facets(
    draw: Callable[..., Axes], df: pd.DataFrame, rows: str | None = None, columns: str | None = None, **named: Any
) -> Figure:
    """Small multiples: a panel for each value of one factor, or for each pair of two, on shared axes with one legend.

    For example `facets(share_curve, df, rows="arm", columns="reward.button", x="env.button_live", value="button")`.

    Args:
      draw: any of `KINDS`; `named` are its arguments.
      rows, columns: factors; without either the figure has one panel. Columns without rows go on in a next line.
    Raises:
      ValueError: as `draw`; or a factor with more values than a page holds.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    (down, row_of), (across, column_of) = places_of(df, rows), places_of(df, columns)
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
            said = [] if ax.get_legend() is None else [one.get_text() for one in ax.get_legend().get_texts()]
            lines = len("\n".join(said).splitlines())
            ax.set_title(f"{columns} = {naming(across)(across[column])}", fontsize=9, pad=15 + 12 * lines)
        if rows is not None and column == wide - 1:
            head: dict[str, Any] = NOTE | {"fontsize": 9, "rotation": 270, "va": "center"}
            ax.annotate(f"{rows} = {naming(down)(down[row])}", (1, 0.5), (8, 0), xycoords="axes fraction", **head)
    handles = handles_of([ax for ax in axes.flat if ax.get_legend() is None], df)
    if len(handles) > 1 or (handles and draw is not share_curve):
        add_legend(figure, handles)
    return figure


KINDS: dict[str, Callable[..., Axes]] = {
    "share": share_curve,
    "stack": label_stack,
    "dose": dose_curve,
    "phase": phase_diagram,
    "scatter": seed_scatter,
    "histogram": share_histogram,
    "lines": seed_lines,
    "training": training_curve,
    "gold": gold_curve,
    "contingency": contingency_matrix,
}
"""What `facets` draws, by the names that the command line gives them."""


def varied(df: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The frame with one more column, "KEY or KEY", in place of factors of which each arm varies another.

    Where one arm varies env.button_live and the next env.bin_live, this puts both on one axis. A row has the value of
    the key that varies in its arm; of the first key where none does.

    Raises ValueError where a column does not exist, with the nearest that does, or an arm varies several of the keys.
    """
    for key in keys:
        check_name("column", key, df.columns)
    if "arm" not in df:
        raise ValueError(f"{','.join(keys)}: joins settings of which each arm varies another, and there are no arms")
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
    rows = list(df.groupby(others, dropna=False)) if others else [((), df)]
    if len(rows) > MOST_ROWS:
        many = f"{len(rows)} combinations of {', '.join(others)} are too many rows"
        raise ValueError(f"{many}; select at most {MOST_ROWS} of them (--where), or draw shares (--kind share)")
    figure = plt.figure(figsize=(11, 3.9 * len(rows) + 0.3), layout=ConstrainedLayoutEngine(w_pad=0.12))
    name = condition_names(df, others)
    titles = ("Rate of each label, 95% intervals", "Every seed, by label", "Spread over seeds")
    for (key, part), place in zip(rows, figure.subfigures(len(rows), 1, squeeze=False)[:, 0], strict=True):
        if others:
            place.suptitle(name(key), x=0.01, ha="left", fontsize=10)
        curve, stack, spread = place.subplots(1, 3, width_ratios=[1.1, 1, 1.05])
        rate_curve(part, x, ax=curve)
        label_stack(part, x, ax=stack)
        share_histogram(part, goals[min(1, len(goals) - 1)], x, ax=spread)
        for letter, ax, title in zip("abc", (curve, stack, spread), titles, strict=True):
            ax.set_title(rf"$\bf{{{letter}}}$   {title}", loc="left", fontsize=10, pad=16, parse_math=True)
    add_legend(figure, label_patches(df), "outside lower center")
    return figure
