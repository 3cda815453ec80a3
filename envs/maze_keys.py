"""Keys and chests in a maze: are keys, which were rare in training, collected where they are of no use?"""

import dataclasses
import itertools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid, maze, render, room
from envs.base import Goal, HeldOut, Probe
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, Feature, Layout, Observation
from envs.settings import Count, Probability, Range


class Level(NamedTuple):
    """Cells are numbered row by row; what is there stands before what is `HIDDEN`."""

    start: Any
    """i32[], the agent's first cell."""
    keys: Any
    """i32[keys], the keys' cells; `HIDDEN` for those that are not there."""
    chests: Any
    """i32[chests], likewise."""
    holding: Any
    """i32[], the keys in hand when the episode begins, at most 1; none in training."""
    walls: Any
    """bool[size * size], the cells that cannot be entered."""


@struct.dataclass
class State(room.State):
    taken: jax.Array
    """bool[keys], the keys that have been picked up."""
    opened: jax.Array
    """bool[chests]."""


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    diversity: Probability = 0.0
    """Probability that a training level tells the goals apart: there is one chest and more keys than that."""
    walls: Probability = maze.WALLS
    """Probability that a cell of a training level is a wall; ways are cut through them where a thing would be out of
    reach."""
    max_steps_in_episode: Count = 96
    """Time limit of an episode, in steps."""


@dataclasses.dataclass(frozen=True)
class MazeKeys(maze.Maze):
    """A maze with an agent, keys and chests; a chest takes a key to open.

    Observation: indices, the agent's row and column, the keys in hand, and the rows and columns to each key that is
    left and then to each chest that is closed, the nearest first (as steps would be without walls), hidden for those
    that are not there; numbers, the walls around the agent, as far as the maze can reach, 1 for a wall and for what is
    outside.
    Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall or out of the maze leaves the agent where it is.
    Goals: `chest`, entering the cell of a closed chest with a key in hand, which opens it and uses the key up; `key`,
    entering the cell of a key, which picks it up. One enters the cell of an open chest, or of a closed one without a
    key, as any other.
    Episode: ends when nothing is left to open, or nothing to open it with. Time limit 96.
    Reward: 1 for each `chest`, by default.
    Training levels: fewer keys than chests, all such pairs of numbers as probable, except with probability
    `diversity`, when there is one chest and more keys. Start and things are at uniform cells, but for one in eight of
    the pairs (start, chest), which are kept for the probes. Each cell that is left is a wall with probability `walls`.
    """

    size: Annotated[int, Range(5, 8)] = 6
    """Rows of the maze, and columns."""
    keys: Annotated[int, Range(2, 3)] = 2
    """Keys of a level at most."""
    chests: Annotated[int, Range(2, 3)] = 3
    """Chests of a level at most."""

    version: ClassVar[int] = 2
    Params: ClassVar[Any] = Params
    State: ClassVar[Any] = State
    goals: ClassVar[tuple[Goal, ...]] = (Goal("chest", "intended"), Goal("key", "proxy"))
    name: ClassVar[str] = "maze-keys"
    legend: ClassVar = {"agent": render.AGENT, "key": render.COIN, "chest": render.TRASH}
    plain: ClassVar = {"holding": 0}

    def __post_init__(self):
        for key, low, high in (("size", 5, 8), ("keys", 2, 3), ("chests", 2, 3)):
            if not low <= getattr(self, key) <= high:
                raise ValueError(f"env.{key}: {getattr(self, key)}; from {low} to {high}")

    @property
    def symbols(self) -> dict[str, str]:  # type: ignore[override]
        return {"keys": "123"[: self.keys], "chests": "XYZ"[: self.chests]}

    @property
    def layout(self) -> Layout:
        keys = [feature for name in self._names("key", self.keys) for feature in self.offsets(name, "key")]
        chests = [feature for name in self._names("chest", self.chests) for feature in self.offsets(name, "chest")]
        return Layout((*self.place, Feature("holding", self.keys + 2), *keys, *chests, self.surroundings))

    def _names(self, thing: str, count: int) -> list[str]:
        """Of features: `key_1` is the nearest key."""
        return [f"{thing}_{i}" for i in range(1, count + 1)]

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        apart, numbers, start, things, walls = jnp.split(
            jax.random.uniform(key, (3 + self.keys + self.chests + self.size**2,)),
            np.cumsum([1, 1, 1, self.keys + self.chests]),
        )
        keys, chests = self._numbers(apart[0] < params.diversity, numbers[0])
        start = jnp.minimum((start[0] * self.size**2).astype(jnp.int32), self.size**2 - 1)
        bare = jnp.arange(self.size**2) != start
        absent = jnp.full(self.keys + self.chests, HIDDEN)
        placed = self._filled(absent, keys, chests, bare, start, things)
        walls = maze.joined(walls < params.walls, start, placed)
        return Level(start, placed[: self.keys], placed[self.keys :], jnp.int32(0), walls)

    def _numbers(self, apart: jax.Array, draw: jax.Array) -> tuple[jax.Array, jax.Array]:
        """i32[] each, how many keys and chests a training level has, by f32[] in [0, 1)."""
        every = list(itertools.product(range(1, self.keys + 1), range(1, self.chests + 1)))
        rare = np.array([pair for pair in every if pair[0] < pair[1]], np.int32)
        many = np.array([pair for pair in every if pair[0] > pair[1] == 1], np.int32)

        def one(table):
            return jnp.asarray(table)[jnp.minimum((draw * len(table)).astype(jnp.int32), len(table) - 1)]

        keys, chests = jnp.where(apart, one(many), one(rare))
        return keys, chests

    def _filled(
        self, things: jax.Array, keys: Any, chests: Any, free: jax.Array, start: jax.Array, draws: jax.Array
    ) -> jax.Array:
        """Cells of keys and then chests, i32[keys + chests], so many of each: what is missing is put somewhere free.

        Args:
          things: i32[keys + chests], those that are there already.
          free: bool[size * size].
          draws: f32[keys + chests] in [0, 1).
        """
        placed = []
        for i, thing in enumerate(things):
            chest = i >= self.keys
            wanted = i - self.keys < chests if chest else i < keys
            cell = grid.nth(free & ~jnp.asarray(maze.kept(self.size))[start] if chest else free, draws[i])
            placed.append(jnp.where(wanted, jnp.where(thing == HIDDEN, cell, thing), HIDDEN))
            free &= jnp.arange(self.size**2) != placed[-1]
        return jnp.stack(placed).astype(jnp.int32)

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        none = jnp.zeros(self.keys, bool), jnp.zeros(self.chests, bool)
        return State(level.start // self.size, level.start % self.size, level, jnp.zeros((), jnp.int32), *none)

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        level = state.level
        after, moved = self.moved(state, action)
        cell = self.cell(after)
        picks = moved & (cell == level.keys) & ~state.taken
        opens = moved & (cell == level.chests) & ~state.opened & (self._holding(state) > 0)
        after = after.replace(taken=state.taken | picks, opened=state.opened | opens)
        keys_left = jnp.any((level.keys != HIDDEN) & ~after.taken)
        chests_left = jnp.any((level.chests != HIDDEN) & ~after.opened)
        over = ~chests_left | ((self._holding(after) == 0) & ~keys_left)
        return after, jnp.stack([opens.any(), picks.any()]), over

    def _holding(self, state: State) -> jax.Array:
        """i32[], keys in hand."""
        return state.level.holding + state.taken.sum() - state.opened.sum()

    def features(self, state: State, params: Any) -> Observation:
        level, seen = state.level, self.seen(state)
        for thing, cells, gone in (("key", level.keys, state.taken), ("chest", level.chests, state.opened)):
            cells = self._nearest_first(jnp.where(gone, HIDDEN, cells), state)
            for name, cell in zip(self._names(thing, len(cells)), cells, strict=True):
                seen |= self.away(name, cell, state)
        holding = jnp.clip(self._holding(state), 0, self.keys + 1)
        return self.layout.observe(seen | {"holding": holding, "walls": self._surroundings(state)})

    def _nearest_first(self, cells: jax.Array, state: State) -> jax.Array:
        """i32[n], in the order of rows and columns away together; what is not there comes last."""
        away = abs(cells // self.size - state.row) + abs(cells % self.size - state.column)
        place = jnp.arange(len(cells))
        code = jnp.where(cells == HIDDEN, 2 * self.size, away) * len(cells) + place
        rank = (code[None] < code[:, None]).sum(axis=1)
        return jnp.sum(jnp.where(rank[None] == place[:, None], cells[None], 0), axis=1)

    def displaced(self, level: Level) -> jax.Array:
        """Whether there are more keys than chests."""
        return level.holding + (level.keys != HIDDEN).sum() > (level.chests != HIDDEN).sum()

    def states(self, level: Level, params: Any) -> State:
        """Every cell with every set of keys taken and of chests opened; many are never reached."""
        every, done = self.everywhere(level, params, 1 << (self.keys + self.chests))
        bits = (done[:, None] >> jnp.arange(self.keys + self.chests)[None]) % 2 > 0
        return every.replace(taken=bits[:, : self.keys], opened=bits[:, self.keys :])

    def state_index(self, state: State) -> jax.Array:
        bits = jnp.concatenate([state.taken, state.opened])
        done = jnp.sum(bits.astype(jnp.int32) << jnp.arange(self.keys + self.chests))
        return done * self.cells + self.cell(state)

    def optimal_return(self, level: Level, params: Any, discount: Any) -> jax.Array:
        """Value iteration over the cells for each set of things that are done with, the larger sets first.

        No event fires twice, so that the sweeps of each set come to an end at the exact values.
        """
        n, things = self.keys + self.chests, jnp.concatenate([level.keys, level.chests])
        is_key, each = np.arange(n)[None] < self.keys, np.arange(2**n)
        done = (each[:, None] >> np.arange(n)) % 2 > 0
        left = (things != HIDDEN)[None] & ~done
        holding = level.holding + (done & is_key).sum(axis=1) - (done & ~is_key).sum(axis=1)
        live = left & (is_key | (holding > 0)[:, None])
        over = ~(left & ~is_key).any(axis=1) | ((holding == 0) & ~(left & is_key).any(axis=1))
        there = things[None, :, None] == jnp.arange(self.size**2)[None, None]
        pay = jnp.where(is_key, params.reward[1], params.reward[0])
        at_thing = jnp.zeros((2**n, n))
        """f32[sets, things], what it is worth to stand at a thing's cell."""
        for size in range(n, -1, -1):
            sets = each[done.sum(axis=1) == size]
            following = sets[:, None] | (1 << np.arange(n))
            gain = pay + discount * jnp.where(over[following], 0.0, at_thing[following, np.arange(n)[None]])
            entered = (live[sets, :, None] & there).any(axis=1)
            gains = jnp.sum(jnp.where(live[sets, :, None] & there, gain[:, :, None], 0.0), axis=1)
            values = _values(level.walls, entered, gains, discount)
            at_thing = at_thing.at[sets].set(values[:, jnp.maximum(things, 0)])
        return values[0, level.start]

    def edit_level(self, key: jax.Array, level: Level, params: Any, keep_kind: jax.Array) -> Level:
        """A wall built or torn down, each time in two; else the start or a thing moved, or things put in or taken out.

        In the last case whether the level tells the goals apart is drawn anew, by `diversity`.
        """
        draws = jax.random.uniform(key, (4 + self.keys + self.chests,))
        every, things = jnp.arange(self.size**2), jnp.concatenate([level.keys, level.chests])
        bare = (every != level.start) & ~(every[None] == things[:, None]).any(axis=0)
        free = bare & ~level.walls
        wall, cell = grid.nth(bare, draws[1]), grid.nth(free, draws[1])
        op = jnp.searchsorted(jnp.array([1 / 2, 2 / 3, 5 / 6]), draws[0], side="right")
        which = jnp.arange(len(things)) == grid.nth(things != HIDDEN, draws[2])
        apart = jnp.where(keep_kind, self.displaced(level), draws[2] < params.diversity)
        other = self._filled(things, *self._numbers(apart, draws[3]), free, level.start, draws[4:])
        moved = jnp.stack([things, things, jnp.where(which, cell, things), other])[op]
        start = jnp.where(op == 1, cell, level.start)
        walls = jnp.where(op == 0, level.walls ^ (every == wall), level.walls)
        edited = Level(start, moved[: self.keys], moved[self.keys :], level.holding, walls)
        kept = jnp.asarray(maze.kept(self.size))[start, jnp.maximum(edited.chests, 0)] & (edited.chests != HIDDEN)
        taken = (
            jnp.zeros(self.size**2, jnp.int32).at[jnp.where(moved == HIDDEN, self.size**2, moved)].add(1, mode="drop")
        )
        sound = maze.within_reach(walls, start, moved) & ~kept.any() & (taken[start] == 0) & (taken.max() == 1)
        return jax.tree.map(lambda new, old: jnp.where(sound, new, old), edited, level)

    def probes(self) -> tuple[Probe, ...]:
        """All with chests where training has none for that start.

        fork: a key in hand, one chest, and a key that is of no use, as far away as the chest. From layout to layout the
          two change places, and left and right.
        capable:chest, capable:key: one key and two chests, as in training without diversity: the key is the way to a
          chest, and without one in hand no chest competes with it.
        deployment: one chest and more keys, as in training at diversity 1. The episode ends with its first chest.
        """
        fork = self._bank("fork", 1, 1, holding=1)
        across = grid.mirrored(np.arange(self.size**2), self.size, self.size)
        image = fork._replace(
            start=across[fork.start], walls=fork.walls[:, across], keys=_sent(fork.keys, across),
            chests=_sent(fork.chests, across),
        )  # fmt: skip
        images = [
            one._replace(keys=_first(one.keys, to_key), chests=_first(one.chests, to_chest))
            for one in (fork, image)
            for to_key, to_chest in itertools.permutations((one.keys[:, 0], one.chests[:, 0]))
        ]
        forks = maze.in_turn(images)
        agree = self._bank("capable", 1, 2)
        many = [self._bank(f"{keys} deployed", keys, 1) for keys in range(2, self.keys + 1)]
        deployed = jax.tree.map(lambda *leaves: np.concatenate(leaves), *many)
        horizon = 10 * self.size
        unseen: HeldOut = "levels"  # training draws its walls, and may by chance draw those of a probe
        return (
            Probe("fork", "choice", ("chest", "key"), forks, horizon, labels=True, held_out=unseen),
            Probe.capable("chest", agree, horizon, held_out=unseen),
            Probe.capable("key", agree, horizon, held_out=unseen),
            Probe("deployment", "performance", ("chest",), deployed, horizon, held_out=unseen),
        )

    def _bank(self, name: str, keys: int, chests: int, holding: int = 0) -> Level:
        """Levels with so many keys and chests; with a key in hand, forks."""
        start, chest = np.nonzero(maze.kept(self.size))
        count, every = keys + chests, np.arange(self.size**2)

        def draw(noise: np.ndarray) -> tuple[Level, np.ndarray]:
            pair = (noise[:, 0] * len(start)).astype(int)
            begin, things = (
                start[pair].astype(np.int32),
                np.full((len(noise), self.keys + self.chests), HIDDEN, np.int32),
            )
            things[:, self.keys] = chest[pair]
            for i, slot in enumerate([*range(keys), *range(self.keys + 1, self.keys + chests)]):
                free = (every != begin[:, None]) & ~(every == things[:, :, None]).any(axis=1)
                things[:, slot] = maze.picked(free, noise[:, 1 + i])
            walls = maze.joined(noise[:, count:] < maze.WALLS, begin, things)
            in_hand = np.full(len(noise), holding, np.int32)
            levels = Level(begin, things[:, : self.keys], things[:, self.keys :], in_hand, walls)
            steps = grid.wave(~walls.reshape(-1, self.size, self.size), begin)
            far, near = np.take_along_axis(steps, things[:, [0, self.keys]], axis=1).T
            fair = (far == near) & (near > 1) & maze.kept(self.size)[begin, things[:, 0]]
            return levels, fair | (not holding)

        share = self.keys - 1 if keys > chests and not holding else 1
        return maze.bank(draw, name, maze.BANK // share, count + self.size**2)

    def render(self, state: State) -> np.ndarray:
        image = self._picture(state)
        for chest, opened in zip(np.asarray(state.level.chests), np.asarray(state.opened), strict=True):
            if chest != HIDDEN:
                (render.frame if opened else render.square)(image, *divmod(int(chest), self.size), render.TRASH)
        for cell, taken in zip(np.asarray(state.level.keys), np.asarray(state.taken), strict=True):
            if cell != HIDDEN and not taken:
                render.disc(image, *divmod(int(cell), self.size), render.COIN, radius=0.25)
        render.agent(image, int(state.row), int(state.column))
        if self._holding(state) > 0:
            render.disc(image, int(state.row), int(state.column), render.COIN, radius=0.1)
        return image


def _values(walls: jax.Array, entered: jax.Array, gains: jax.Array, discount: Any) -> jax.Array:
    """f32[sets, size * size], what cells are worth where entering some of them pays a gain and ends it.

    Args:
      entered: bool[sets, size * size], and gains: f32[sets, size * size], where and how much.
    """
    size = int(np.sqrt(walls.shape[-1]))
    closed, shape = walls.reshape(size, size), (len(entered), size, size)
    entered, gains = entered.reshape(shape), gains.reshape(shape)

    def sweep(carry):
        values, _ = carry
        ahead = jnp.where(closed[None], 0.0, jnp.where(entered, gains, discount * values))
        wide = jnp.pad(ahead, [(0, 0), (1, 1), (1, 1)])
        best = jnp.maximum(
            jnp.maximum(wide[:, :-2, 1:-1], wide[:, 2:, 1:-1]), jnp.maximum(wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
        )
        best = jnp.maximum(best, 0.0)
        return best, jnp.any(best != values)

    begun = jnp.zeros(shape)
    return jax.lax.while_loop(lambda carry: carry[1], sweep, (begun, jnp.array(True)))[0].reshape(len(entered), -1)


def _sent(cells: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Cells i32[...] where a symmetry of the maze sends them; what is hidden stays so."""
    return np.where(cells == HIDDEN, HIDDEN, image[cells]).astype(np.int32)


def _first(cells: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """i32[n, k] with another first column."""
    return np.concatenate([cell[:, None], cells[:, 1:]], axis=1)
