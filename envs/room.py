"""Rooms: what all worlds on a grid share, whose agent moves from cell to cell, one at a time."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import grid, text
from envs.abilities import Tabular
from envs.base import World
from envs.layout import HIDDEN, Feature, Layout, Observation


@struct.dataclass
class State:
    row: jax.Array
    column: jax.Array
    level: Any
    time: jax.Array


class Room(Tabular, World):
    """Cells in `height` rows and `width` columns, numbered row by row, some of which may be walls.

    A level is a NamedTuple with `start`, i32[], the agent's first cell; its other cells are `HIDDEN` where a thing is
    not there. A subclass whose state has more than `State` derives its own from that, names it as `State`, and says in
    `states` and `state_index` what else there is to list. Actions: 0 up, 1 down, 2 left, 3 right; a move into a wall or
    out of the room leaves the agent where it is.
    """

    height: int = 1
    width: int
    State: ClassVar[Any] = State
    action_names: ClassVar[tuple[str, ...]] = grid.MOVE_NAMES
    ways: ClassVar[Mapping[str, str | None]] = {}
    """Cells of a level to which the way is seen, in rows and columns, and the goal that each belongs to."""
    symbols: ClassVar[Mapping[str, str]] = {}
    """A character for each cell of a level, by field, in `show`: one for a cell, and one each for several."""
    plain: ClassVar[Mapping[str, Any]] = {}
    """The other fields of a level and their usual values, which `show` leaves out."""

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def layout(self) -> Layout:
        """The agent's place, and the way to each of `ways`."""
        away = [feature for thing, goal in self.ways.items() for feature in self.offsets(thing, goal)]
        return Layout((*self.place, *away))

    @property
    def place(self) -> tuple[Feature, Feature]:
        """The features of the agent's cell."""
        return Feature("row", self.height), Feature("column", self.width)

    def offsets(self, name: str, goal: str | None = None) -> tuple[Feature, Feature]:
        """The features of how far away a thing is."""
        return Feature(f"{name}_down", 2 * self.height - 1, goal), Feature(f"{name}_right", 2 * self.width - 1, goal)

    def away(self, name: str, cell: jax.Array, state: Any) -> dict[str, jax.Array]:
        """The values of `offsets`, i32[...]; hidden where there is no such thing."""
        down = jnp.where(cell == HIDDEN, HIDDEN, cell // self.width - state.row + self.height - 1)
        right = jnp.where(cell == HIDDEN, HIDDEN, cell % self.width - state.column + self.width - 1)
        return {f"{name}_down": down, f"{name}_right": right}

    @property
    def away_size(self) -> int:
        """Of `one_hot_away`."""
        return 2 * self.height - 1 + 2 * self.width - 1

    def one_hot_away(self, cells: jax.Array, state: Any) -> jax.Array:
        """bool[things, away_size], the rows, then the columns to each as one-hot vectors; none to what is hidden."""
        away = self.away("thing", cells[:, None], state)
        down = away["thing_down"] == jnp.arange(2 * self.height - 1)[None]
        right = away["thing_right"] == jnp.arange(2 * self.width - 1)[None]
        return jnp.concatenate([down, right], axis=1)

    def seen(self, state: Any) -> dict[str, jax.Array]:
        """The agent's place and the way to each of `ways`, by feature."""
        found = {"row": state.row, "column": state.column}
        for thing in self.ways:
            found |= self.away(thing, getattr(state.level, thing), state)
        return found

    def features(self, state: Any, params: Any) -> Observation:
        return self.layout.observe(self.seen(state))

    def reset_to_level(self, key: jax.Array, level: Any, params: Any) -> Any:
        return self.State(level.start // self.width, level.start % self.width, level, jnp.zeros((), jnp.int32))

    def blocked(self, level: Any, row: Any, column: Any) -> jax.Array:
        """bool[...], whether cells i32[...] of the room are walls."""
        return jnp.zeros(jnp.shape(row), bool)

    def moved(self, state: Any, action: jax.Array) -> tuple[Any, jax.Array]:
        """The state a step later, and bool[], whether its cell is another one."""
        row, column = grid.move(state.row, state.column, action, self.height, self.width)
        blocked = self.blocked(state.level, row, column)
        row, column = jnp.where(blocked, state.row, row), jnp.where(blocked, state.column, column)
        moved = (row != state.row) | (column != state.column)
        return state.replace(row=row, column=column, time=state.time + 1), moved

    def transition(
        self, key: jax.Array, state: Any, action: jax.Array, params: Any
    ) -> tuple[Any, jax.Array, jax.Array]:
        """A move, where a level has a cell for each goal, `cells`: entering one fires the goal and ends the episode."""
        after, moved = self.moved(state, action)
        events = moved & (self.cell(after) == state.level.cells)
        return after, events, jnp.any(events)

    def cell(self, state: Any) -> jax.Array:
        """i32[], where the agent is."""
        return state.row * self.width + state.column

    def everywhere(self, level: Any, params: Any, times: int = 1) -> tuple[Any, jax.Array]:
        """As an episode begins, but at each cell in turn, so many times over; and i32[times * cells], which time."""
        place = jnp.arange(times * self.cells)
        start = self.reset_to_level(jax.random.key(0), level, params)
        every = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*place.shape, *jnp.shape(leaf))), start)
        row, column = place % self.cells // self.width, place % self.cells % self.width
        return every.replace(row=row, column=column), place // self.cells

    def states(self, level: Any, params: Any) -> Any:
        """Every cell, those of walls included: nothing leads there."""
        return self.everywhere(level, params)[0]

    def state_index(self, state: Any) -> jax.Array:
        return self.cell(state)

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """The mirror images under which a level of this room stays the layout that it is; see `grid.images`."""
        return grid.images(self.height, self.width)

    def layouts(self, levels: Any) -> np.ndarray:
        """One layout: the same cells taken, whatever by, and the same walls, in one of the mirror images."""
        n, named = len(levels.start), levels._asdict()
        things = np.concatenate([np.zeros((n, 0), int), *(named[name].reshape(n, -1) for name in self.symbols)], axis=1)
        walls = None
        if type(self).blocked is not Room.blocked:
            row, column = np.divmod(np.arange(self.cells), self.width)
            walls = np.asarray(jax.vmap(lambda level: self.blocked(level, row, column))(levels))
        return grid.layouts(levels.start, things, self.images, walls)

    def show(self, it: Any) -> str:
        """A level or a state as text, which `read_level` and `read_state` take."""
        return text.show(self, it)

    def read_level(self, shown: str) -> Any:
        """The level that a text shows; raises ValueError where it shows none."""
        return text.read_level(self, shown)

    def read_state(self, shown: str) -> Any:
        """The state that a text shows; raises ValueError where it shows none."""
        return text.read_state(self, shown)

    def walls(self, level: Any) -> np.ndarray:
        """bool[cells]."""
        every = np.arange(self.cells)
        return np.asarray(self.blocked(level, every // self.width, every % self.width))
