"""A figure of a kind, from results folders to a picture: what it needs and was not told is chosen."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.design import LANE, drawn_settings
from analysis.figures.panels import KINDS, facets, overview, varied
from analysis.figures.style import drawing, goals_of
from analysis.figures.training import curves_by_label, through_training
from analysis.folder import Place, as_place, read_manifest
from analysis.load import load, load_labels
from analysis.names import check_name
from analysis.selection import select

if TYPE_CHECKING:  # matplotlib costs half a second to import
    from matplotlib.figure import Figure

TAKES = {"overview": ["x"]} | {
    kind: [*(name for name in ("x", "by", "value") if name in inspect.signature(draw).parameters), "rows", "columns"]
    for kind, draw in KINDS.items()
}
"""What each kind may be given."""
NEEDS = {"overview": ["x"]} | {
    kind: [one.name for one in inspect.signature(draw).parameters.values() if one.default is one.empty][1:]
    for kind, draw in KINDS.items()
}
"""What each kind has to have."""
NAMED = {("overview", "x"), ("share", "x"), ("stack", "x"), ("histogram", "by")}
"""(kind, what it needs) that may have one value alone."""
DPI = 150


def figure(
    folders: str | Place | Sequence[str | Place],
    kind: str = "overview",
    x: str | None = None,
    by: str | None = None,
    rows: str | None = None,
    columns: str | None = None,
    value: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> Figure:
    """A matplotlib figure of results folders, in matplotlib's default style; a matplotlibrc is ignored.

    For example `figure("results/mine", "share", by="checkpoint", where={"env.diversity": [0, 0.1]})`.

    Args:
      folders: a results folder, or several.
      kind: overview, or any of `figures.KINDS`.
      x: the horizontal axis; None takes the first factor left. "KEY,KEY" is the one that varies in each arm.
      by: a curve, histogram or row of cells for each value of a column; of a contingency matrix, its two values.
      rows, columns: a panel for each value of a column.
      value: a goal, whose share is meant, or any column of shares; None takes the first goal that is not the intended.
      where: column → a value or values, as in `select`: only these lanes. The columns checkpoint and env_steps, here or
        in a place above, ask for the moments at which probes ran; sampled, in a contingency matrix, for greedy labels.
    Raises:
      ValueError: a mistake in what is given, or what a folder cannot show; one line.
    """
    check_name("kind", kind, TAKES)
    paths = [folders] if isinstance(folders, str | Place) else list(folders)
    asked: dict[str, Any] = {"x": x, "by": by, "rows": rows, "columns": columns, "value": value}
    given = {name: one for name, one in asked.items() if one is not None}
    for name in given:
        if name not in TAKES[kind]:
            kinds = ", ".join(one for one, names in TAKES.items() if name in names)
            raise ValueError(f"{name}: a figure of kind {kind} takes none; kinds that do: {kinds}")
    keys = [key for name, key in given.items() if name != "value"]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{key} is given twice; a column has one place in a figure")
    df = _read(kind, paths, {*keys, *(where or {})})
    _warn_if_unfinished(df, paths)
    for name, key in given.items():
        if name != "value" and "," in key:
            df = varied(df, key.split(","))
            given[name] = " or ".join(key.split(","))
    df = select(df, where or {})
    given = _completed(kind, df, given)
    with drawing():
        return overview(df, given["x"]) if kind == "overview" else facets(KINDS[kind], df, **given)


def _read(kind: str, paths: list[str | Place], keys: set[str]) -> pd.DataFrame:
    """The frame that a kind of figure is of, where these columns are wanted."""
    if kind in ("training", "gold"):
        return curves_by_label(paths)
    if kind == "contingency" and "sampled" in keys:
        if len(paths) > 1:
            raise ValueError("sampled: sampled and greedy labels are compared within one folder; give one")
        return load_labels(paths[0])
    if kind == "lines" or keys & {"checkpoint", "env_steps"}:
        if kind not in KINDS:
            raise ValueError(
                f"checkpoint: an overview shows the end of training; kinds that show it: {', '.join(KINDS)}"
            )
        return through_training(paths)
    return load(paths)


def _completed(kind: str, df: pd.DataFrame, given: dict[str, Any]) -> dict[str, Any]:
    """What was given, and what else the kind needs."""
    given, drawn = dict(given), set() if kind == "scatter" else set(drawn_settings(df))
    factors = [name for name in df.attrs["factors"] if name not in {"checkpoint", *drawn}]
    for name in NEEDS[kind]:
        if name in given:
            continue
        free = [factor for factor in factors if factor not in given.values()]
        if name == "value":
            free = goals_of(df)[:2][-1:]
        elif not free and (kind, name) in NAMED:
            free = [one for one in ("checkpoint", "world", "condition") if one in df and one not in given.values()]
        if not free:
            lacks = "the world has no goals" if name == "value" else "no factor is left for it"
            raise ValueError(f"{name}: {lacks}; name a column")
        given[name] = free[0]
    return given


def _warn_if_unfinished(df: pd.DataFrame, paths: Sequence[str | Place]) -> None:
    planned = sum(read_manifest(path).lanes for path in paths)
    lanes = len(df.drop_duplicates([name for name in LANE if name in df]))
    if lanes < planned:
        warnings.warn(f"{lanes:,} of {planned:,} lanes so far", stacklevel=3)


def save(figure: Figure, place: str | Place) -> None:
    """Writes a figure as a file of the kind that its name ends in (default: PNG), in the style of `figure`.

    Raises:
      ValueError: it cannot be drawn, or not as such a file.
      OSError: the place cannot be written.
    """
    place, content = as_place(place), io.BytesIO()
    with drawing():
        figure.savefig(content, dpi=DPI, format=place.suffix[1:] or "png")
    place.write_bytes(content.getvalue())
