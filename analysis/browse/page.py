"""The page of results: one file that asks a server, or that holds what it shows."""

import base64
import hashlib
import json
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.browse.browsed import Browsed
from analysis.browse.lanes import Lanes, Question
from analysis.browse.lines import lines

HERE = Path(__file__).parent
SEEDS, GROUPS, CURVES = 400, 20_000, 4
"""That a page without a server holds: seeds, rates of groups, and columns of a seed's training curve."""
PLACES = 4
"""Of factors, in a figure."""


def page(browsed: Browsed, whole: bool = False) -> str:
    """HTML that needs no other file and no network.

    Nothing that stands in a folder becomes markup or script: it is JSON, which the script shows as text.

    Args:
      whole: whether it holds its data, rather than to ask the server that it comes from.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([HERE, HERE.parent / "report"])  # which has the palette
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in ("draw.js", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    choices = browsed.choices()
    given = {"choices": choices, "held": _held(browsed) if whole else None}
    data = json.dumps(given, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    connect = "" if whole else "connect-src 'self'; "
    return environment.get_template("page.html").render(
        title=choices["title"], data=data, script=script, digest=digest, connect=connect
    )


def _held(browsed: Browsed) -> dict[str, Any]:
    """Everything that a page without a server shows."""
    lanes = browsed.lanes
    dots = lanes.all_dots(SEEDS)
    seeds = browsed.seeds(dots.pop("rows"))
    for one in seeds:
        first = ["update", "return_mean", "entropy", *one["curve"]]
        kept = list(dict.fromkeys(name for name in first if name in one["curve"]))[: CURVES + 1]
        one["curve"] = {name: one["curve"][name] for name in kept}
    return {
        "rates": _rates(browsed, lanes),
        "dots": dots,
        "outliers": lanes.outlying(Question()),
        "seeds": {f"{one['master_seed']}/{one['condition']}/{one['seed']}": one for one in seeds},
    }


def _rates(browsed: Browsed, lanes: Lanes) -> dict[str, Any]:
    """Rates in groups by the factors at some places, as "0,2", and the lines that make them: few factors first."""
    found: dict[str, Any] = {}
    room = GROUPS
    for size in range(PLACES + 1):
        for places in combinations(range(len(lanes.factors)), size):
            names: list[str | None] = [list(lanes.factors)[place] for place in places]
            x, colour, rows, columns = [*names, *[None] * PLACES][:PLACES]
            asked = Question(x, colour, rows, columns)
            one = lanes.rates(asked, limited=False)
            room -= len(one["groups"])
            if room < 0:
                return found
            found[",".join(map(str, places))] = one | {"lines": lines(browsed.names, lanes, asked, drawn=False)}
    return found
