"""Things told apart by a colour, which pays, and by marks, which agree with it: which feature does a policy go by?"""

import dataclasses
import itertools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid, render, rivals
from envs.abilities import Drawn, Priced
from envs.base import Goal, Probe
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, NUMBER, Feature, Layout, Observation
from envs.room import Room, State
from envs.settings import Count, NonNegative, Probability, Range


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
        ways = (Feature(_way(goal), NUMBER, goal.name, self.away_size) for goal in self.goals)
        return Layout((*self.place, *ways))

    @property
    def places(self) -> rivals.Places:
        return rivals.places(self.height, self.width, len(self.goals), self.things)

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        room, others, marks = self.places, self.things - 1, self.correlates
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

    def features(self, state: State, params: Any) -> Observation:
        seen = self.one_hot_away(state.level.cells, state)
        scales = jnp.ones(len(seen)).at[0].set(params.scale_colour).at[1].set(params.scale_first)
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
        room, names = self.places, [goal.name for goal in self.goals]
        horizon, every = 2 * (self.height + self.width), tuple(range(len(names)))

        def choice(features: tuple[int, ...], labels: bool = False) -> Probe:
            table, held_out = room.rivals[len(features)]
            name = "choice" if labels else "choice:" + "-".join(names[i] for i in features)
            goals, levels = tuple(names[i] for i in features), _levels(self, rivals.in_orders(table), features)
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
        render.agent(image, int(state.row), int(state.column))
        return image


def _way(goal: Goal) -> str:
    return f"way_to_{goal.name.replace('-', '_')}"


def _levels(world: Objects, table: np.ndarray, features: tuple[int, ...]) -> Level:
    """Probe levels from i32[n, 1 + things], a feature on each thing."""
    cells = np.full((len(table), len(world.goals)), HIDDEN, np.int32)
    cells[:, list(features)] = table[:, 1:]
    return Level(np.ascontiguousarray(table[:, 0]), cells)
