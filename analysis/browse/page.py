"""The page of results: one file that asks a server, or that holds what it shows."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.browse.browsed import Browsed
from analysis.browse.lanes import Lanes, Question
from analysis.browse.lines import lines
from analysis.design import LANE
from analysis.folder import Place

HERE = Path(__file__).parent
SEEDS, GROUPS, CURVES = 400, 20_000, 4
"""That a page without a server holds: seeds, rates of groups, and columns of a seed's training curve."""
PLACES = 4
"""Of factors, in a figure."""
AGAIN = 3
"""Seconds after which a page that waits for rows is asked for again."""
EPISODES, ROLLOUTS = 2, 4_000_000
"""Of a policy whose rollouts such a page holds, and the characters that all rollouts may take."""
Rollouts = Callable[[Place, Mapping[str, Any], Sequence[str], str, int, bool], dict[str, Any]]
"""(folder, the lane, names of factors, probe, episode, greedy) → what the page plays; it needs jax, which `sweeps` has.

Of what is returned: frames (PNG as data URLs), titles, caption, legend (names and colours), steps, episodes.
"""


def page(browsed: Browsed, whole: bool = False, rollouts: Rollouts | None = None) -> str:
    """HTML that needs no other file and no network.

    Nothing that stands in a folder becomes markup or script: it is JSON, which the script shows as text.

    Args:
      whole: whether it holds its data, rather than to ask the server that it comes from.
      rollouts: plays saved policies for a page that holds its data; None where that cannot be done.
    """
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in ("draw.js", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    choices = browsed.choices()
    given = {"choices": choices, "held": _held(browsed, rollouts) if whole else None}
    data = json.dumps(given, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    connect = "" if whole else "connect-src 'self'; "
    return _rendered("page.html", title=choices["title"], data=data, script=script, digest=digest, connect=connect)


def waiting(browsed: Browsed, told: Sequence[Mapping[str, Any]]) -> str:
    """What is shown while a folder has no rows; it asks for the page again and again.

    Args:
      told: what `sweeps.status` says of each folder.
    """
    return _rendered("waiting.html", names=browsed.names, told=told, again=AGAIN)


def _rendered(template: str, **given: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([HERE, HERE.parent / "report"])  # which has the palette
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(**given)


def _held(browsed: Browsed, rollouts: Rollouts | None) -> dict[str, Any]:
    """Everything that a page without a server shows."""
    lanes = browsed.lanes
    dots = lanes.all_dots(SEEDS)
    seeds = browsed.seeds(dots.pop("rows"))
    for one in seeds:
        first = ["update", "return_mean", "entropy", *one["curve"]]
        kept = list(dict.fromkeys(name for name in first if name in one["curve"]))[: CURVES + 1]
        one["curve"] = {name: one["curve"][name] for name in kept}
    named, outlying = {_name(one): one for one in seeds}, lanes.outlying(Question())
    first = [named[_name(one)] for one in outlying if _name(one) in named]
    of_labels = {one["label"]: one for one in reversed(seeds) if one["policy"]}
    wanted = {_name(one): one for one in [*first, *of_labels.values()] if one["policy"]}
    return {
        "rates": _rates(browsed, lanes),
        "dots": dots,
        "outliers": outlying,
        "seeds": named,
        "rollouts": _add_rollouts(browsed, list(wanted.values()), rollouts),
    }


def _name(lane: Mapping[str, Any]) -> str:
    return "/".join(str(lane[key]) for key in LANE)


def _add_rollouts(browsed: Browsed, seeds: Sequence[dict[str, Any]], rollouts: Rollouts | None) -> str:
    """Adds `films` to what is told of seeds, in their order, while there is room; returns what a page says of that."""
    if not seeds:
        return "No policies were saved (save.policies = true), so that there are no rollouts."
    if rollouts is None:
        return "Rollouts are played by chisel browse alone."
    room, held = ROLLOUTS, 0
    for one in seeds:
        given = [one[key] for key in LANE]
        play = partial(rollouts, browsed.folder(*given).path, browsed.lanes.row(browsed.lanes.lane(*given)))
        try:
            films = [play(list(browsed.lanes.factors), "", 0, False)]
            most = min(EPISODES, films[0]["episodes"])
            films += [play(list(browsed.lanes.factors), "", episode, False) for episode in range(1, most)]
        except ValueError as error:
            return f"No rollouts: {error}" if not held else _said(held)
        room -= len(json.dumps(films))
        if room < 0:
            break
        one["films"], held = films, held + 1
    return _said(held)


def _said(held: int) -> str:
    policies = "1 policy" if held == 1 else f"{held} policies"
    return f"Rollouts of {policies} are inside: of outliers, and of one seed of each label. chisel browse plays all."


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
