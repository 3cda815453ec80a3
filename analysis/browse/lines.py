"""The lines that make what a page shows, to be copied into a terminal or a notebook."""

import shlex
from collections.abc import Sequence

from analysis.browse.lanes import INTERVALS, Lanes, Question
from analysis.names import check_name


def lines(folders: Sequence[str], lanes: Lanes, asked: Question, drawn: bool = True) -> dict[str, str]:
    """`chisel` (of a terminal) and `python`: the table of rates, and where a kind of figure shows it, the figure.

    Args:
      drawn: whether the figure is wanted too.
    """
    for name in asked.by:
        check_name("factor", name, lanes.factors)
    places = {name: one for name in ("x", "rows", "columns") if (one := getattr(asked, name)) is not None}
    kind = "stack"
    if asked.colour is not None:
        kind, places["by"] = "share", asked.colour
    goal = (asked.measure or "").removeprefix("share.")
    if kind == "share" and goal in lanes.goals:
        places["value"] = goal
    binned = [name for name in asked.by if lanes.factors[name].intervals]
    drawable = drawn and lanes.goals and asked.x is not None and not binned and len(set(places.values())) == len(places)
    return {
        "chisel": "" if binned else _chisel(folders, lanes, asked, kind, places if drawable else {}),
        "python": _python(folders, lanes, asked, kind, places if drawable else {}, binned),
    }


def _chisel(folders: Sequence[str], lanes: Lanes, asked: Question, kind: str, places: dict[str, str]) -> str:
    where = "".join(f" --where {shlex.quote(f'{key}={one}')}" for key, some in asked.where.items() for one in some)
    named = shlex.join(folders)
    by = f" --by {shlex.join(asked.by)}" if asked.by else " --by world"
    method = " --method sequence" if lanes.sequence else ""
    text = [f"chisel rates {named}{by}{where}{method}"] if lanes.goals else []
    if places:
        given = "".join(f" --{name} {shlex.quote(value)}" for name, value in places.items())
        text.append(f"chisel figure {named} --kind {kind}{given}{where}")
    return "\n".join(text)


def _python(
    folders: Sequence[str], lanes: Lanes, asked: Question, kind: str, places: dict[str, str], binned: Sequence[str]
) -> str:
    where = {key: list(some) for key, some in asked.where.items()}
    text = ["import analysis", f"df = analysis.load({list(folders)!r})"]
    if binned:
        text.insert(1, "import pandas")
        text += [f"df[{one!r}] = pandas.qcut(df[{one!r}], {INTERVALS}, duplicates='drop')" for one in binned]
    if where:
        text.append(f"df = analysis.select(df, {where!r})")
    method = ', method="sequence"' if lanes.sequence else ""
    if lanes.goals:
        text.append(f"analysis.rates(df, by={asked.by!r}{method})")
    else:
        text.append(f"df[{[*asked.by, asked.measure or lanes.usual.measure]!r}]")
    if places:
        given = "".join(f", {name}={value!r}" for name, value in places.items())
        also = f", where={where!r}" if where else ""
        text.append(f"analysis.figure({list(folders)!r}, {kind!r}{given}{also})")
    return "\n".join(text)
