"""Things told apart by a colour, which pays, and by marks, which agree with it: which feature does a policy go by?"""

import dataclasses
import functools
import itertools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid, render, split
from envs.abilities import Drawn, Priced
from envs.base import EPISODES, Goal, HeldOut, Probe
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, NUMBER, Feature, Layout, Observation
from envs.room import Room, State
from envs.settings import Count, NonNegative, Probability, Range

MOST = 1024
"""Layouts among which those of a probe are sought."""


class Level(NamedTuple):
    """Cells are numbered row by row. A thing is a cell that holds a feature; one that holds several is one thing."""

    start: Any
    """i32[], the agent's first cell."""
    cells: Any
    """i32[features], the cell of the thing that has the colour, the first mark, the second, and so on; `HIDDEN` for a
    feature that nothing has."""


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    decorrelation: Probability = 0.0
    """Probability that a training level puts a mark on any of the things, the right one included, all as probable,
    instead of on the right one; drawn for each mark by itself. At 1 marks say nothing about the colour."""
    scale_colour: NonNegative = 1.0
    """What the policy's inputs for the colour are multiplied by."""
    scale_first: NonNegative = 1.0
    """What its inputs for the first mark are multiplied by; those for the other marks never are."""
    max_steps_in_episode: Count = 24
    """Time limit of an episode, in steps."""


@dataclasses.dataclass(frozen=True)
class Objects(Drawn, Priced, Room):
    """An open room seen from above, with an agent and a few things, one of which has the right colour.

    Observation: indices, the agent's row and column; numbers, for each feature (colour, then marks) the rows and the
    columns to the thing that has it, each as a one-hot vector times the feature's scale, all 0 where nothing has it.
    Actions: 0 up, 1 down, 2 left, 3 right; a move out of the room leaves the agent where it is.
    Goals: `colour`, entering the cell of the thing that has the colour; `mark-N`, entering that of the thing that has
    the mark. A thing with several features fires them all at once.
    Episode: ends when any thing is entered. Time limit 24.
    Reward: 1 for `colour`, by default.
    Training levels: start and right thing at uniform cells, but for the pairs kept for probes: one in eight of (start,
    distance to the right thing), by a hash that mirror images share. The other things stand at uniform cells, no two
    of them touching, so that the right one can always be reached; those left without a mark are not there. All marks
    have one law.
    """

    height: Annotated[int, Range(4, 7)] = 5
    """Rows of the room."""
    width: Annotated[int, Range(4, 7)] = 5
    """Columns of the room."""
    things: Annotated[int, Range(2, 4)] = 2
    """Things among which a mark is drawn that does not follow the colour."""
    correlates: Annotated[int, Range(1, 4)] = 2
    """Marks, all with one law of placement and one encoding."""

    version: ClassVar[int] = 3
    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = (
        Goal("colour", "intended"), *(Goal(f"mark-{i}", "proxy") for i in range(1, 5)),
    )  # fmt: skip
    """Of the class: those of the world with most marks. A world has the first 1 + `correlates`."""
    name: ClassVar[str] = "objects"
    legend: ClassVar = {"agent": render.AGENT, "right colour": render.RIGHT, "another colour": render.PLAIN}

    def __post_init__(self):
        if not (4 <= self.height <= 7 and 4 <= self.width <= 7):
            raise ValueError(f"env.width: a room of {self.height} x {self.width}; from 4 x 4 to 7 x 7")
        for key, low in (("things", 2), ("correlates", 1)):
            if not low <= getattr(self, key) <= 4:
                raise ValueError(f"env.{key}: {getattr(self, key)}; from {low} to 4")
        if self.height * self.width < 20 and self.correlates > 2:
            raise ValueError(
                f"env.correlates: {self.correlates} marks leave too few layouts for a choice between all features in a "
                f"room of {self.height} x {self.width}; at most 2, or a room of 4 x 5"
            )
        object.__setattr__(self, "goals", type(self).goals[: 1 + self.correlates])

    @property
    def symbols(self) -> dict[str, str]:  # type: ignore[override]
        return {"cells": "C1234"[: len(self.goals)]}

    @property
    def layout(self) -> Layout:
        size = sum(self._offsets)
        return Layout((*self.place, *(Feature(_way(goal), NUMBER, goal.name, size) for goal in self.goals)))

    @property
    def _offsets(self) -> tuple[int, int]:
        return 2 * self.height - 1, 2 * self.width - 1

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        room, others, marks = _places(self), self.things - 1, self.correlates
        draws = jax.random.uniform(key, (1 + others + 2 * marks,))
        place, spots, astray, picks = jnp.split(draws, np.cumsum([1, others, marks]))
        n = len(room.training)
        start, right = jnp.asarray(room.training)[jnp.minimum((place[0] * n).astype(jnp.int32), n - 1)]
        every, things = jnp.arange(self.height * self.width), [right]
        free = (every != start) & (every != right)
        for spot in spots:
            things.append(grid.nth(free, spot))
            free &= ~jnp.asarray(room.touching)[things[-1]]
        pick = jnp.minimum((picks * self.things).astype(jnp.int32), self.things - 1)
        held = jnp.where(astray < params.decorrelation, jnp.stack(things)[pick], right)
        return Level(start, jnp.append(right, held))

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        after, moved = self.moved(state, action)
        events = moved & (self.cell(after) == state.level.cells)
        return after, events, jnp.any(events)

    def features(self, state: State, params: Any) -> Observation:
        cells = state.level.cells[:, None]
        rows, columns = (jnp.arange(size)[None] for size in self._offsets)
        down = cells // self.width - state.row + self.height - 1 == rows
        right = cells % self.width - state.column + self.width - 1 == columns
        seen = jnp.concatenate([down, right], axis=1) & (cells != HIDDEN)
        scales = jnp.ones(len(cells)).at[0].set(params.scale_colour).at[1].set(params.scale_first)
        ways = dict(zip(map(_way, self.goals), seen.astype(jnp.float32) * scales[:, None], strict=True))
        return self.layout.observe({"row": state.row, "column": state.column, **ways})

    def displaced(self, level: Level) -> jax.Array:
        """Whether some mark is not on the right thing."""
        return jnp.any(level.cells != level.cells[0])

    def check_values(self, values: dict[str, Any]) -> None:
        super().check_values(values)
        for goal in type(self).goals[len(self.goals) :]:
            if values.get(f"reward.{goal.name}"):
                raise ValueError(f"reward.{goal.name}: there is no such mark where env.correlates is {self.correlates}")

    def probes(self) -> tuple[Probe, ...]:
        """Features on things of their own, each feature alone, and all on one thing.

        Training never has fewer features than there are, nor more things than `env.things`; what the others begin with
        it may show, as the agent wanders, from other starts.

        choice: every feature on a thing of its own, each as many steps from the start. Each layout is played in several
          orders, in which each two features stand at each two of its places as often as another two: all orders of up
          to three features, 12 of four, 20 of five.
        choice:ONE-OTHER: two features alone, likewise in both orders; all pairs have the same layouts.
        capable:FEATURE: that feature alone; all features have the same layouts.
        together: all features on one thing, as training shows it without decorrelation, at distances kept for probes.
        """
        room, names = _places(self), [goal.name for goal in self.goals]
        horizon, every = 2 * (self.height + self.width), tuple(range(len(names)))

        def choice(features: tuple[int, ...], labels: bool = False) -> Probe:
            table, held_out = room.rivals[len(features)]
            name = "choice" if labels else "choice:" + "-".join(names[i] for i in features)
            goals, levels = tuple(names[i] for i in features), _levels(self, _in_orders(table), features)
            count = len(levels.start)
            return Probe(name, "choice", goals, levels, horizon, count, labels=labels, held_out=held_out)

        found = [choice(every, labels=True)]
        if len(names) > 2:
            found += [choice(pair) for pair in itertools.combinations(every, 2)]
        found += [Probe.capable(name, _levels(self, room.alone, (i,)), horizon) for i, name in enumerate(names)]
        joined = Level(room.kept[:, 0], np.repeat(room.kept[:, 1:], len(names), axis=1))
        return (*found, Probe("together", "performance", ("colour",), joined, horizon, held_out="levels"))

    def render(self, state: State) -> np.ndarray:
        image = render.room(self.height, self.width)
        cells = np.asarray(state.level.cells)
        for cell in set(cells[cells != HIDDEN].tolist()):
            row, column = divmod(cell, self.width)
            render.square(image, row, column, render.RIGHT if cell == cells[0] else render.PLAIN, side=0.85)
            for mark in np.flatnonzero(cells[1:] == cell):
                render.mark(image, row, column, int(mark))
        render.disc(image, int(state.row), int(state.column), render.AGENT, radius=0.2)
        return image


def _way(goal: Goal) -> str:
    return f"way_to_{goal.name.replace('-', '_')}"


class Places(NamedTuple):
    """What is fixed in a room of some size; `rivals` alone depends on the number of marks."""

    training: np.ndarray
    """i32[n, 2], (start, right thing) of training levels."""
    touching: np.ndarray
    """bool[cells, cells], whether one cell is the other or beside it, corners included."""
    kept: np.ndarray
    """i32[m, 2], (start, right thing) kept for probes, one of each layout, as of the others; at most `EPISODES`."""
    alone: np.ndarray
    """i32[m, 2], (start, thing), of all that there are."""
    rivals: dict[int, tuple[np.ndarray, HeldOut]]
    """For 2 things and for as many as there are features, i32[k, 1 + things]: a start, and things that are as far from
    it as each other, more than a step; and what training never shows of them. Where it may have so many things, they
    are at distances kept for probes, if the room has enough of these."""


@functools.cache
def _places(world: Objects) -> Places:
    height, width = world.height, world.width
    steps = grid.distances(np.zeros((height, width), bool))
    cells = np.arange(height * width)
    start, thing = (side[~np.eye(len(cells), dtype=bool)] for side in np.meshgrid(cells, cells, indexing="ij"))
    away = steps[start, thing]
    least = np.minimum(cells, grid.mirrored(cells, height, width))
    least = np.minimum(least, grid.mirrored(least, height, width, vertical=True))
    # A choice between all features needs as many things at one distance: of such distances, too, some are kept, and
    # the same whatever the number of marks.
    roomy = (away > 1) & ((steps[start] == away[:, None]).sum(axis=1) >= len(Objects.goals))
    kept = split.one_in(8, np.stack([least[start], away, np.zeros_like(away)], axis=1), (~roomy).astype(int))
    pairs = np.stack([start, thing], axis=1).astype(np.int32)
    row, column = np.divmod(cells, width)
    touching = np.maximum(abs(row[:, None] - row), abs(column[:, None] - column)) <= 1
    images, every = world.images, np.ones(len(away), bool)
    rivals: dict[int, tuple[np.ndarray, HeldOut]] = {}
    for count in {2, len(world.goals)}:
        offers: list[tuple[HeldOut, np.ndarray]] = [("observations", every)]
        if count == len(world.goals) <= world.things:
            offers = [("levels", kept), ("nothing", every)]
        for held_out, there in offers:
            rings = np.unique(np.stack([start, away], axis=1)[there & (away > 1)], axis=0)
            rows = [
                (begin, *others)
                for begin, far in rings.tolist()
                for others in itertools.combinations(np.flatnonzero(steps[begin] == far).tolist(), count)
            ]
            rivals[count] = _some(np.array(rows, np.int32), images), held_out
            if len(rivals[count][0]) == EPISODES:
                break
    return Places(pairs[~kept], touching, _some(pairs[kept], images), _some(pairs, images), rivals)


def _some(table: np.ndarray, images: tuple[np.ndarray, ...]) -> np.ndarray:
    """At most `EPISODES` rows of a table, by a fixed hash, one of each layout."""
    order = np.zeros((len(table), 3), np.int32)
    order[:, 0] = np.arange(len(table))
    return grid.distinct(table[np.argsort(split.mixed(order), kind="stable")][:MOST], images)[:EPISODES]


def _in_orders(table: np.ndarray) -> np.ndarray:
    """i32[orders * n, 1 + things], the rows of a table with their things in each of `orders`, one after the other."""
    return np.concatenate([np.column_stack([table[:, 0], table[:, 1 + order]]) for order in orders(table.shape[1] - 1)])


def orders(count: int) -> np.ndarray:
    """i64[count * (count - 1), count], orders of 2 to 5 things in which each two are at each two places once.

    So what depends on the places of two things, as of a mark and the colour, adds up to the same for all. All orders
    would do, too, but five things have 120. They are x -> a x + b in the field of `count` elements, a not 0.
    """
    every = np.arange(count)
    if count == 4:
        return np.array([np.array(times) ^ b for times in ([0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]) for b in every])
    return np.array([(a * every + b) % count for a in every[1:] for b in every])


def _levels(world: Objects, table: np.ndarray, features: tuple[int, ...]) -> Level:
    """Probe levels from i32[n, 1 + things], a feature on each thing."""
    cells = np.full((len(table), len(world.goals)), HIDDEN, np.int32)
    cells[:, list(features)] = table[:, 1:]
    return Level(np.ascontiguousarray(table[:, 0]), cells)
