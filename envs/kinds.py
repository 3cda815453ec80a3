"""Things of a colour and a shape, one of which pays: by which of its features does a policy know it afterwards?"""

import dataclasses
import itertools
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid, render, rivals
from envs.abilities import Compared, Comparisons, Drawn
from envs.base import Goal, Probe
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, NUMBER, Feature, Layout, Observation
from envs.room import Room, State
from envs.settings import LATER, Count, NonNegative, Probability, Range

COLOURS = {
    "red": (213, 50, 40), "green": (0, 158, 115), "yellow": (240, 200, 50), "violet": (150, 90, 170),
    "brown": (118, 90, 60), "pink": (240, 160, 190),
}  # fmt: skip
"""The colours, from number 1 on."""
SHAPES = ("square", "disc", "triangle", "diamond", "cross", "ring")
"""The shapes, from number 1 on."""
LAYOUTS = 8
"""On which two kinds are compared, each in both orders: at distances at which training never has the paid thing."""
KINDS = 0x6B696E64
"""From which the kinds of things on probe levels are drawn."""


class Level(NamedTuple):
    """Cells are numbered row by row. The first thing is the one that pays."""

    start: Any
    """i32[], the agent's first cell."""
    cells: Any
    """i32[2], the cells of the thing that pays and of the other one; `HIDDEN` for one that is not there."""
    kinds: Any
    """i32[2], their kinds, colour by colour; -1 - n for the n-th, counted round, of those that the settings allow."""


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    paid_colour: Annotated[int, Range(0, len(COLOURS))] = 1
    """The colour of the thing that pays, from 1; 0 for any, drawn on each level."""
    paid_shape: Annotated[int, Range(0, len(SHAPES))] = 0
    """Its shape, from 1; 0 for any."""
    other_colour: Annotated[int, Range(0, len(COLOURS))] = 0
    """The colour of the other thing, likewise. It is never of a kind that could be the paid one's."""
    other_shape: Annotated[int, Range(0, len(SHAPES))] = 0
    """Its shape, likewise."""
    pairs: Probability = 1.0
    """Probability that a training level has the other thing."""
    scale_colour: NonNegative = 1.0
    """What the policy's inputs for colours are multiplied by."""
    scale_shape: NonNegative = 1.0
    """What its inputs for shapes are multiplied by."""
    max_steps_in_episode: Count = 24
    """Time limit of an episode, in steps."""


@dataclasses.dataclass(frozen=True)
class Kinds(Compared, Drawn, Room):
    """A room seen from above, open or a small maze, with an agent and one or two things, each of a colour and a shape.

    Observation: indices, the agent's row and column; numbers, for each colour and then for each shape the rows and the
    columns to the things that have it, each as one-hot vectors (of two things, both) times the scale of colours or of
    shapes, all 0 where nothing has it.
    Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall or out of the room leaves the agent where
    it is.
    Goals: `paid`, entering the cell of the thing that pays; `other`, that of the other one. Which kinds these are is
    what the settings say, and schedules may change it.
    Episode: ends when a thing is entered. Time limit 24.
    Reward: 1 for `paid`, by default.
    Training levels: start and paid thing at uniform cells, but for the pairs kept for probes: one in eight of (start,
    distance to the paid thing), by a hash that mirror images share. The other thing stands at a uniform free cell. Each
    is of a uniform kind of those that it may have.
    """

    height: Annotated[int, Range(4, 7)] = 5
    """Rows of the room."""
    width: Annotated[int, Range(4, 7)] = 5
    """Columns of the room."""
    colours: Annotated[int, Range(2, len(COLOURS))] = 4
    """Colours that there are."""
    shapes: Annotated[int, Range(2, len(SHAPES))] = 6
    """Shapes that there are."""
    wall: Annotated[Literal["open", "maze"], LATER] = "open"
    """Open, or a maze of corridors around walls at the cells of odd row and odd column."""

    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = (Goal("paid", "intended"), Goal("other", "proxy"))
    name: ClassVar[str] = "kinds"
    symbols: ClassVar = {"cells": "PO"}
    plain: ClassVar = {"kinds": HIDDEN}
    legend: ClassVar = {"agent": render.AGENT, **COLOURS, "frame of what pays": render.RIGHT}

    def __post_init__(self):
        if not (4 <= self.height <= 7 and 4 <= self.width <= 7):
            raise ValueError(f"env.width: a room of {self.height} x {self.width}; from 4 x 4 to 7 x 7")
        if self.wall == "maze" and not (self.height % 2 and self.width % 2):
            raise ValueError(f"env.wall: a maze of {self.height} x {self.width}; expected odd numbers, 5 or 7")
        for key, most in (("colours", len(COLOURS)), ("shapes", len(SHAPES))):
            if not 2 <= getattr(self, key) <= most:
                raise ValueError(f"env.{key}: {getattr(self, key)}; from 2 to {most}")

    @property
    def layout(self) -> Layout:
        features = [*(f"colour_{i + 1}" for i in range(self.colours)), *(f"shape_{i + 1}" for i in range(self.shapes))]
        return Layout((*self.place, *(Feature(name, NUMBER, size=self.away_size) for name in features)))

    @property
    def places(self) -> rivals.Places:
        return rivals.places(self.height, self.width, 2, 2, self.wall)

    @property
    def free(self) -> np.ndarray:
        """bool[cells], those that are no wall."""
        return ~rivals.walls(self.height, self.width, self.wall).ravel()

    def blocked(self, level: Any, row: Any, column: Any) -> jax.Array:
        if self.wall == "open":
            return super().blocked(level, row, column)
        return jnp.asarray(~self.free)[row * self.width + column]

    @property
    def features_of_kinds(self) -> np.ndarray:
        """bool[kinds, colours + shapes], which features things of each kind have: the colours, then the shapes."""
        colour, shape = np.divmod(np.arange(self.colours * self.shapes), self.shapes)
        every = np.arange(self.colours), np.arange(self.shapes)
        return np.concatenate([colour[:, None] == every[0], shape[:, None] == every[1]], axis=1)

    def allowed(self, params: Any) -> jax.Array:
        """bool[2, kinds], those that the paid thing and the other one may be of."""
        colour, shape = np.divmod(np.arange(self.colours * self.shapes), self.shapes)

        def fits(wanted_colour: Any, wanted_shape: Any) -> jax.Array:
            of_colour = (wanted_colour == 0) | (colour + 1 == wanted_colour)
            return of_colour & ((wanted_shape == 0) | (shape + 1 == wanted_shape))

        paid = fits(params.paid_colour, params.paid_shape)
        return jnp.stack([paid, fits(params.other_colour, params.other_shape) & ~paid])

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        training, allowed = jnp.asarray(self.places.training), self.allowed(params)
        draws = jax.random.uniform(key, (5,))
        n = len(training)
        start, paid = training[jnp.minimum((draws[0] * n).astype(jnp.int32), n - 1)]
        every = jnp.arange(self.height * self.width)
        other = grid.nth(self.free & (every != start) & (every != paid), draws[1])
        is_there = (draws[2] < params.pairs) & jnp.any(allowed[1])
        cells = jnp.stack([paid, jnp.where(is_there, other, HIDDEN)])
        return Level(start, cells, jax.vmap(grid.nth)(allowed, draws[3:]))

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        counts = jnp.cumsum(self.allowed(params), axis=1)
        wanted = (-1 - level.kinds) % jnp.maximum(counts[:, -1], 1)
        drawn = jnp.argmax(counts > wanted[:, None], axis=1).astype(jnp.int32)
        kinds = jnp.where(level.kinds < 0, drawn, level.kinds)
        return super().reset_to_level(key, level._replace(kinds=kinds), params)

    def features(self, state: State, params: Any) -> Observation:
        away = self.one_hot_away(state.level.cells, state)
        has = jnp.asarray(self.features_of_kinds)[state.level.kinds]
        seen = jnp.any(has[:, :, None] & away[:, None, :], axis=0).astype(jnp.float32)
        scales = jnp.repeat(
            jnp.stack([params.scale_colour, params.scale_shape]),
            np.array([self.colours, self.shapes]),
            total_repeat_length=self.colours + self.shapes,
        )
        names = [feature.name for feature in self.layout.numbers]
        ways = dict(zip(names, seen * scales[:, None], strict=True))
        return self.layout.observe({"row": state.row, "column": state.column, **ways})

    def displaced(self, level: Level) -> jax.Array:
        """Whether the other thing is there."""
        return level.cells[1] != HIDDEN

    def check_values(self, values: dict[str, Any]) -> None:
        super().check_values(values)
        chosen = {}
        for key, count in (("colour", self.colours), ("shape", self.shapes)):
            for whose in ("paid", "other"):
                name = f"{whose}_{key}"
                number = values.get(f"env.{name}", getattr(Params, name))
                if number > count:
                    raise ValueError(f"env.{name}: {number}, and there are {count} {key}s; expected 0 to {count}")
                chosen[name] = number
        if not values.get("env.pairs", Params.pairs):
            return
        if not chosen["paid_colour"] and not chosen["paid_shape"]:
            raise ValueError(
                "env.paid_colour: 0, as env.paid_shape, leaves no kind for the other thing; expected one of them above "
                "0, or env.pairs = 0"
            )
        same = {key: chosen[f"paid_{key}"] in (0, chosen[f"other_{key}"]) for key in ("colour", "shape")}
        if all(same.values()):
            key = "colour" if chosen["paid_colour"] else "shape"
            raise ValueError(
                f"env.other_{key}: {chosen[f'other_{key}']}: every such thing is of a kind that pays; expected 0, or "
                f"another {key}"
            )

    def probes(self) -> tuple[Probe, ...]:
        """Both things, and each alone. Kinds are among those that the settings allow.

        Probes see every setting where it starts: of training in stages, they are about the first.

        choice: both things, as many steps from the start, two or more, in both orders.
        capable:paid, capable:other: that thing alone; the same layouts for both.
        task: both things, the paid one at the distances that are kept: is it done from starts that training never had?
        """
        horizon, (table, held_out) = 2 * (self.height + self.width), self.places.rivals[2]
        kinds = _some_kinds(len(table))
        both = Level(*_split(rivals.in_orders(table)), np.tile(kinds, (2, 1)))
        found = [Probe("choice", "choice", ("paid", "other"), both, horizon, 2 * len(table), True, held_out)]
        for i, goal in enumerate(self.goals):
            alone = np.full((len(self.places.alone), 3), HIDDEN, np.int32)
            alone[:, 0], alone[:, 1 + i] = self.places.alone.T
            levels = Level(*_split(alone), _some_kinds(len(alone)))
            found.append(Probe.capable(goal.name, levels, horizon, held_out="nothing"))
        kept, free = self.places.kept, np.flatnonzero(self.free)
        spots = [np.random.default_rng(KINDS).permutation(free[~np.isin(free, pair)])[0] for pair in kept]
        levels = Level(*_split(np.column_stack([kept, spots]).astype(np.int32)), _some_kinds(len(kept)))
        return (*found, Probe("task", "performance", ("paid",), levels, horizon, held_out="levels"))

    def comparisons(self) -> Comparisons:
        pairs = np.array(list(itertools.combinations(range(self.colours * self.shapes), 2)), np.int32)
        table = rivals.in_orders(self.places.kept_rivals[:LAYOUTS])
        levels = Level(*_split(np.tile(table, (len(pairs), 1))), np.repeat(pairs, len(table), axis=0))
        return Comparisons(pairs[:, 0], pairs[:, 1], levels, len(table), self.height + self.width)

    def render(self, state: State) -> np.ndarray:
        image = render.room(self.height, self.width)
        for cell in np.flatnonzero(~self.free):
            render.fill(image, *divmod(int(cell), self.width), render.WALL)
        things = np.stack([state.level.cells, state.level.kinds], axis=1).tolist()
        for i, (cell, kind) in enumerate(things):
            if cell == HIDDEN:
                continue
            (row, column), (colour, shape) = divmod(cell, self.width), divmod(kind, self.shapes)
            render.shape(image, row, column, list(COLOURS.values())[colour], SHAPES[shape])
            if i == 0:
                render.frame(image, row, column, render.RIGHT)
        render.agent(image, int(state.row), int(state.column))
        return image


def _split(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The starts and the cells of both things, from i32[n, 3]."""
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1:])


def _some_kinds(count: int) -> np.ndarray:
    """i32[count, 2], for each probe level, which of the kinds that the settings allow."""
    return -np.random.default_rng(KINDS).integers(1, 2**20, (count, 2), dtype=np.int32)
