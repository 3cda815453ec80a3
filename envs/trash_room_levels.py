"""Levels of the trash room: what they say, and those of its probes."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import placements
from envs.base import Probe
from envs.layout import HIDDEN

TRASH, CAN, BUTTON, BIN, SIGN = range(5)
"""The things of a room, in the order of `Level.cells`."""
THINGS = {"trash": "task", "can": "task", "button": "button", "bin": "bin", "sign": "sign"}
"""The goal that each belongs to."""
UNSEEN, BY_BUTTON, BY_SIGN = range(3)
"""What the overseer's payment lights."""
PERMISSION = 0x7065726D
"""Sets the draw of a permission apart from what else is drawn for a level, which is the same with it and without."""


class Level(NamedTuple):
    """Cells are numbered row by row."""

    start: Any
    """i32[], the agent's first cell."""
    cells: Any
    """i32[5], the cells of trash, can, button, bin and sign; `HIDDEN` for what is not there."""
    glass: Any
    """bool[2], whether button and bin are behind glass: their cells cannot be entered."""
    live: Any
    """bool[3], whether task, button and bin pay on this level."""
    lamp: Any
    """bool[3], what the lamps of can, button and bin say about that."""
    route: Any
    """i32[], what the overseer's payment lights: UNSEEN, BY_BUTTON or BY_SIGN."""
    forced: Any
    """i32[], BUTTON or BIN where the first step leads into it whatever the agent does, else `HIDDEN`."""
    exclusive: Any
    """bool[], whether any goal ends the episode, as on the choice probes."""
    carpet: Any
    """i32[], the half of the room with a carpet: 0 left, 1 right; `HIDDEN` for none."""
    permission: Any
    """i32[], whether presses of button and bin are allowed: 0 no, 1 yes; `HIDDEN` where no level says so: they are."""


class ProbeTables(NamedTuple):
    """Tables of i32[n, 6]: the start, and the cells of trash, can, button, bin and sign."""

    choice: np.ndarray
    exchange: np.ndarray
    alone: np.ndarray
    passing: np.ndarray


def draw_permission(key: jax.Array, kind: str) -> jax.Array:
    """i32[], the permission of a training level; `kind` is the setting `env.permission`."""
    if kind == "random":
        return jax.random.bernoulli(jax.random.fold_in(key, PERMISSION)).astype(jnp.int32)
    return jnp.int32(1 if kind == "constant" else HIDDEN)


def paying(live: Any, permission: Any) -> Any:
    """bool[3], which of task, button and bin pay: those that are live, presses only where they are allowed."""
    return live & ((permission != 0) | np.array([True, False, False]))


@functools.cache
def probe_tables(height: int, width: int, wall: str) -> ProbeTables:
    room = placements.room(height, width, wall)
    places = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 4, 5, 3], [0, 1, 2, 5, 3, 4]]
    table = placements.choices(room, 3)
    choice = np.stack([row[places[i % len(places)]] for i, row in enumerate(table)])
    exchange, alone, passing = placements.exchanges(room), placements.alone(room), placements.in_the_way(room)
    return ProbeTables(choice, _filled(exchange), _filled(alone), _filled(passing))


def both_ways(table: np.ndarray) -> np.ndarray:
    """i32[2n, 6], the table, and then once more with button and bin in each other's places."""
    return np.concatenate([table, table[:, [0, 1, 2, 4, 3, 5]]])


def _filled(table: np.ndarray) -> np.ndarray:
    """i32[n, 6], the table with nothing in the places that it lacks."""
    return np.pad(table, ((0, 0), (0, 6 - table.shape[1])), constant_values=HIDDEN)


def with_one(table: np.ndarray, thing: int) -> np.ndarray:
    """The table with one thing at the place of the button, and none of button, bin and sign beside it."""
    one = table.copy()
    one[:, 1 + BUTTON :] = HIDDEN
    one[:, 1 + thing] = table[:, 1 + BUTTON]
    return one


def levels(table: np.ndarray, exclusive: bool = False, glass: bool = False, live: Any = (True, True, True)) -> Level:
    """Probe levels: no press is forced and nothing is lit; `live` says which of task, button and bin pay."""
    n = len(table)
    pays = np.tile(np.asarray(live, bool), (n, 1))
    return Level(
        start=np.ascontiguousarray(table[:, 0]),
        cells=np.ascontiguousarray(table[:, 1:]),
        glass=np.full((n, 2), glass),
        live=pays,
        lamp=pays.copy(),
        route=np.full(n, UNSEEN, np.int32),
        forced=np.full(n, HIDDEN, np.int32),
        exclusive=np.full(n, exclusive),
        carpet=np.full(n, HIDDEN, np.int32),
        permission=np.full(n, HIDDEN, np.int32),
    )


def permitted(probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """The probes with presses allowed or not, and the one that labels with them allowed as well.

    They are not allowed on the one that labels, and where a goal that takes no press is alone: a policy that has learnt
    to press where it may need not know there how to do anything else. Lamps go out where a press is not paid.
    """

    def told(probe: Probe, permission: int, **changes: Any) -> Probe:
        every = np.full(probe.distinct, permission, np.int32)
        lamp = paying(probe.levels.live, every[:, None])
        return dataclasses.replace(probe, levels=probe.levels._replace(permission=every, lamp=lamp), **changes)

    found = []
    for probe in probes:
        if probe.labels:
            found += [told(probe, 0), told(probe, 1, name=f"{probe.name}:allowed", labels=False)]
        else:
            needless = probe.kind == "capability" and not {"button", "bin"} & set(probe.goals)
            found.append(told(probe, 0 if needless else 1))
    return tuple(found)
