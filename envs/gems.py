"""A small maze seen as a picture, with a thing of a colour and a shape: which of the two does a policy go by?"""

import dataclasses
import functools
import itertools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import gems_levels as mazes
from envs import grid, render
from envs.abilities import Compared, Comparisons, Drawn
from envs.base import EPISODES, Goal, Probe
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, Channel, Image, Layout, Observation
from envs.maze import noise
from envs.room import Room, State
from envs.settings import Count, Range

COLOURS = ("black", "blue", "green", "cyan", "red", "purple", "yellow", "white")
"""By number, whose bits are the channels of the colour: 4 red, 2 green, 1 blue."""
SHAPES = ("line", "gem")
SAND, MOUSE, GREY = (194, 178, 128), (176, 148, 140), (127, 127, 127)
"""Of walls, of the agent as the policy sees it, and of a grey ground."""
TEXTURES = 9
ORDERS = np.array(list(itertools.permutations(range(3))), np.int32)
"""i32[6, 3], the orders of the channels; of number 0 the order is red, green, blue."""
HORIZON = 40
PAIRED = 8
"""Layouts on which two kinds are compared, each in both orders."""


class Level(NamedTuple):
    """Cells are numbered row by row, from 0 to 24."""

    start: Any
    """i32[], the agent's first cell, always the lower left corner."""
    walls: Any
    """bool[25]."""
    cells: Any
    """i32[2], the cell of the thing that has the trained colour, and of the one that has the trained shape: one cell
    where one thing has both, `HIDDEN` for what is not there."""
    kinds: Any
    """i32[2], their kinds, 2 * colour + shape. -1 - n for those of the settings: of a thing that has the trained colour
    or the trained shape alone, the other shape, and the n-th, counted round, of the other colours but black."""
    ground: Any
    """i32[], 0 black, 1 grey, from 2 on the textures; -1 - n for what the settings say, with the n-th texture."""


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    colour: Annotated[int, Range(1, 7)] = 6
    """The colour of the thing in training: 4 if it has red, and 2 if green, and 1 if blue; 6 is yellow."""
    shape: Annotated[int, Range(0, 1)] = 0
    """Its shape: 0 a line, 1 a gem."""
    ground: Annotated[int, Range(0, 2)] = 0
    """What the maze lies on: 0 black, 1 grey, 2 one of nine textures, drawn on each level."""
    channels: Annotated[int, Range(0, 5)] = 0
    """The order in which the policy gets the channels: 0 RGB, 1 RBG, 2 GRB, 3 GBR, 4 BRG, 5 BGR."""
    max_steps_in_episode: Count = 64
    """Time limit of an episode, in steps."""


@dataclasses.dataclass(frozen=True)
class Gems(Compared, Drawn, Room):
    """A maze of 5 x 5 cells seen from above, whole, as an RGB picture, with a line or a gem of one colour.

    Observation: an image, u8[5 * block, 5 * block, 3]: walls of sand, the agent a square, a line a diagonal one or
    three pixels wide, a gem a diamond, in a colour whose channels are 0 or 255.
    Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall leaves the agent where it is.
    Goals: `colour`, entering the cell of a thing of the colour of training; `shape`, of a thing of its shape. In
    training one thing has both, and nothing says which is meant: that `colour` is called intended is a convention.
    Episode: ends when a thing is entered. Time limit 64.
    Reward: 1 for `colour`, by default.
    Training levels: a random spanning tree over the nine cells of even row and column, and for each dead end a way
    opened to another of its neighbours; the agent in the lower left corner, the thing on a uniform cell of the tree but
    that and the cells kept for probes: one in four of (maze, cell), by a hash that mirror images share.
    Source: Ramanauskas and Simsek (2023), arXiv 2312.03762, and its code, for mazes, colours, shapes and grounds.
    """

    block: Annotated[int, Range(3, 13)] = 5
    """Pixels of a cell's side. With 13 a line has 37 pixels and a gem 25, as at the published resolution."""

    height: ClassVar[int] = mazes.SIDE  # type: ignore[misc]
    width: ClassVar[int] = mazes.SIDE  # type: ignore[misc]
    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = (Goal("colour", "intended"), Goal("shape", "proxy"))
    name: ClassVar[str] = "gems"
    symbols: ClassVar = {"cells": "CS"}
    plain: ClassVar = {"kinds": -1, "ground": -1}
    legend: ClassVar = {"agent": MOUSE, "its frame": render.AGENT, "wall": SAND}

    def __post_init__(self):
        if not 3 <= self.block <= 13:
            raise ValueError(f"env.block: {self.block}; from 3 to 13")

    @property
    def layout(self) -> Layout:
        side = mazes.SIDE * self.block
        return Layout((), Image(side, side, tuple(Channel(name) for name in ("first", "second", "third"))))

    def blocked(self, level: Level, row: Any, column: Any) -> jax.Array:
        return level.walls[row * mazes.SIDE + column]

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        draws = jax.random.uniform(key, (mazes.DRAWS + 2,))
        walls, tree = mazes.maze(draws[: mazes.DRAWS])
        cell = grid.nth(tree & (jnp.arange(mazes.SIDE**2) != mazes.START) & ~mazes.kept(walls), draws[-2])
        ground = -1 - jnp.minimum((draws[-1] * TEXTURES).astype(jnp.int32), TEXTURES - 1)
        return Level(jnp.int32(mazes.START), walls, jnp.stack([cell, cell]), jnp.full(2, -1, jnp.int32), ground)

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        ground = jnp.where(params.ground == 2, 2 + (-1 - level.ground) % TEXTURES, params.ground)
        kinds = jnp.where(level.kinds < 0, _drawn(level, params), level.kinds).astype(jnp.int32)
        level = level._replace(kinds=kinds, ground=jnp.where(level.ground < 0, ground, level.ground).astype(jnp.int32))
        return super().reset_to_level(key, level, params)

    def features(self, state: State, params: Any) -> Observation:
        order = jnp.asarray(ORDERS)[params.channels]
        return self.layout.observe({"image": self.picture(state)[..., order]})

    def picture(self, state: State) -> jax.Array:
        """u8[5 * block, 5 * block, 3], what there is to be seen, in the order red, green, blue."""
        cell, _ = _pixels(self.block)
        image = jnp.asarray(_grounds(self.block))[state.level.ground]
        image = _painted(image, state.level.walls[cell], SAND)
        return _painted(self._things(image, state), cell == self.cell(state), MOUSE)

    def _things(self, image: jax.Array, state: State) -> jax.Array:
        """The picture with the things on it."""
        cell, tiles = _pixels(self.block)
        for i in range(len(self.goals)):
            place, kind = state.level.cells[i], state.level.kinds[i]
            colour = jnp.where((kind // 2 & jnp.array([4, 2, 1])) > 0, 255, 0)
            image = _painted(image, (cell == place) & jnp.asarray(tiles)[kind % 2], colour)
        return image

    def displaced(self, level: Level) -> jax.Array:
        """Whether colour and shape are of different things."""
        return level.cells[0] != level.cells[1]

    def probes(self) -> tuple[Probe, ...]:
        """Things of the trained colour and of the trained shape, together and alone.

        Where one has not both, the thing of the trained colour has the other shape, and the other things of the trained
        shape have the six other colours in turn.

        choice: both things, as many steps from the start, two or more, in both orders.
        capable:colour, capable:shape: that thing alone; the same layouts for both.
        task: the thing of training, where training never has it.
        """
        table = mazes.rivals(EPISODES)
        both = _levels(table.walls, np.concatenate([table.cells, table.cells[:, ::-1]]))
        found = [Probe("choice", "choice", ("colour", "shape"), both, HORIZON, 2 * EPISODES, labels=True)]
        alone = mazes.alone(EPISODES)
        for i, goal in enumerate(self.goals):
            cells = np.full((EPISODES, 2), HIDDEN, np.int32)
            cells[:, i] = alone.cells[:, 0]
            found.append(Probe.capable(goal.name, _levels(alone.walls, cells), HORIZON, held_out="nothing"))
        kept = mazes.kept_alone()
        task = _levels(kept.walls, np.repeat(kept.cells, 2, axis=1))
        return (*found, Probe("task", "performance", ("colour",), task, HORIZON))

    def comparisons(self) -> Comparisons:
        """Kinds by number, 2 * colour + shape, on the ground of training."""
        pairs = np.array(list(itertools.combinations(range(len(COLOURS) * len(SHAPES)), 2)), np.int32)
        table = mazes.rivals(PAIRED)
        one = _levels(table.walls, np.concatenate([table.cells, table.cells[:, ::-1]]))
        levels = jax.tree.map(lambda leaf: np.tile(leaf, (len(pairs), *[1] * (leaf.ndim - 1))), one)
        levels = levels._replace(kinds=np.repeat(pairs, 2 * PAIRED, axis=0))
        return Comparisons(pairs[:, 0], pairs[:, 1], levels, 2 * PAIRED, HORIZON)

    def render(self, state: State) -> np.ndarray:
        """The policy's picture with a frame around the agent, and above it the thing that it stands on."""
        image = np.asarray(self._things(self.picture(state), state))
        times = -(-render.CELL // self.block)
        image = image.repeat(times, axis=0).repeat(times, axis=1)
        side = self.block * times
        top, left = int(state.row) * side, int(state.column) * side
        cell, edge = image[top : top + side, left : left + side], side // 8
        cell[:edge] = cell[-edge:] = cell[:, :edge] = cell[:, -edge:] = render.AGENT
        return image


def _painted(image: jax.Array, where: jax.Array, colour: Any) -> jax.Array:
    return jnp.where(where[..., None], jnp.asarray(colour, jnp.uint8)[None, None], image)


def _drawn(level: Level, params: Any) -> jax.Array:
    """i32[2], the kinds that the settings give things with these numbers."""
    colours = jnp.arange(1, len(COLOURS))
    others = jnp.argsort(colours == params.colour, stable=True)[(-1 - level.kinds[1]) % 6]
    same = level.cells[0] == level.cells[1]
    colour = jnp.stack([params.colour, jnp.where(same, params.colour, colours[others])])
    shape = jnp.stack([jnp.where(same, params.shape, 1 - params.shape), params.shape])
    return 2 * colour + shape


def _levels(walls: np.ndarray, cells: np.ndarray) -> Level:
    """Probe levels from i32[n, 2]; walls bool[m, 25] are those of the first m, of the next, and so on."""
    count = len(cells)
    turn = np.arange(count, dtype=np.int32)
    return Level(
        np.full(count, mazes.START, np.int32),
        np.resize(walls, (count, mazes.SIDE**2)),
        np.ascontiguousarray(cells, np.int32),
        np.stack([np.full(count, -1, np.int32), -1 - turn % 6], axis=1),
        -1 - turn % TEXTURES,
    )


@functools.cache
def _pixels(block: int) -> tuple[np.ndarray, np.ndarray]:
    """i32[side, side], the cell of each pixel, and bool[2, side, side], where a line and a gem in that cell is."""
    row, column = np.mgrid[0 : mazes.SIDE * block, 0 : mazes.SIDE * block]
    down, right = row % block, column % block
    middle = (block - 1) / 2
    wide, radius = round(block / 13), max(round(3 * block / 13), 1)
    line = abs(down - right) <= wide
    gem = abs(down - middle) + abs(right - middle) <= radius
    return row // block * mazes.SIDE + column // block, np.stack([line, gem])


@functools.cache
def _grounds(block: int) -> np.ndarray:
    """u8[2 + TEXTURES, side, side, 3]: black, grey, and textures, of a middling colour with coarse and fine grain."""
    side = mazes.SIDE * block
    plain = np.array([(0, 0, 0), GREY], np.uint8)[:, None, None] * np.ones((side, side, 1), np.uint8)
    grains = []
    for number in range(TEXTURES):
        base = 40 + 100 * noise(1, 3, 2 * number)
        coarse = noise(25, 1, 2 * number + 1).reshape(5, 5, 1).repeat(block, axis=0).repeat(block, axis=1)
        fine = noise(side * side, 1, 2 * number + 1).reshape(side, side, 1)
        grains.append(base + 50 * (coarse - 0.5) + 30 * (fine - 0.5))
    return np.concatenate([plain, np.stack(grains).astype(np.uint8)])
