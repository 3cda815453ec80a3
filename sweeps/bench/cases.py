"""What is timed: worlds, settings and the work they stand for."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

import envs
import jaxrl
from envs import Channel, Feature, Goal, Image, Layout, Observation, Probe, Tabular, World, grid
from envs.base import Params as BaseParams
from envs.settings import Count

SIDE = 7


@struct.dataclass
class Params(BaseParams):
    max_steps_in_episode: Count = 40
    """Time limit of an episode, in steps."""


@struct.dataclass
class State:
    cells: jax.Array
    """i32[3]: the agent, the thing to reach, and one that is in no way special."""
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class Room(Tabular, World):
    """A 7 x 7 room with two things, each cell seen as one index of 49: 147 one-hot inputs. For timing alone."""

    Params: ClassVar[type] = Params
    name: ClassVar[str] = "bench-room"
    goals: ClassVar[tuple[Goal, ...]] = (Goal("thing", "intended"),)
    action_names: ClassVar[tuple[str, ...]] = grid.MOVE_NAMES

    @property
    def layout(self) -> Layout:
        return Layout(tuple(Feature(name, SIDE**2) for name in ("agent", "thing", "other")))

    def sample_level(self, key: jax.Array, params: Any) -> jax.Array:
        return jnp.minimum((jax.random.uniform(key, (3,)) * SIDE**2).astype(jnp.int32), SIDE**2 - 1)

    def reset_to_level(self, key: jax.Array, level: jax.Array, params: Any) -> State:
        return State(level, jnp.zeros((), jnp.int32))

    def transition(self, key: jax.Array, state: State, action: jax.Array, params: Any) -> tuple[State, Any, jax.Array]:
        row, column = grid.move(state.cells[0] // SIDE, state.cells[0] % SIDE, action, SIDE, SIDE)
        there = row * SIDE + column
        reached = there == state.cells[1]
        return State(state.cells.at[0].set(there), state.time + 1), reached[None], reached

    def features(self, state: State, params: Any) -> Observation:
        return self.layout.observe(dict(zip(("agent", "thing", "other"), state.cells, strict=True)))

    def states(self, level: jax.Array, params: Any) -> State:
        agent = jnp.arange(SIDE**2)
        things = jnp.broadcast_to(level[1:], (SIDE**2, 2))
        return State(jnp.concatenate([agent[:, None], things], axis=1), jnp.zeros_like(agent))

    def state_index(self, state: State) -> jax.Array:
        return state.cells[0]

    def probes(self) -> tuple[Probe, ...]:
        return (Probe("one", "performance", ("thing",), np.zeros((1, 3), np.int32), 1, episodes=1),)


@dataclasses.dataclass(frozen=True)
class Pixels(Room):
    """The same room as a picture of 13 x 13 places around the agent, with a channel for each thing and one for walls.

    In the middle is the agent, so that the picture always shows the whole room.
    """

    name: ClassVar[str] = "bench-pixels"

    @property
    def layout(self) -> Layout:
        return Layout((), Image(2 * SIDE - 1, 2 * SIDE - 1, tuple(map(Channel, ("thing", "other", "wall", "floor")))))

    def features(self, state: State, params: Any) -> Observation:
        row, column = (jnp.arange(2 * SIDE - 1) + place - (SIDE - 1) for place in divmod(state.cells[0], SIDE))
        inside = ((row >= 0) & (row < SIDE))[:, None] & ((column >= 0) & (column < SIDE))[None]
        cell = row[:, None] * SIDE + column[None]
        picture = [inside & (cell == state.cells[1]), inside & (cell == state.cells[2]), ~inside, inside]
        return self.layout.observe({"image": jnp.stack(picture, axis=-1)})


class Case(NamedTuple):
    """Work to time; `learner` holds static counts, `lane` each lane's traced settings."""

    title: str
    learner: dict[str, Any]
    lane: dict[str, Any]

    def world(self) -> World:
        made: dict[str, Callable[[], World]] = {
            "cartpole": lambda: envs.make("gymnax:CartPole-v1"), "coin-run": envs.CoinRun, "room": Room,
            "pixels": Pixels,
        }  # fmt: skip
        return made[self.title]()

    def make(self) -> Any:
        return jaxrl.make("ppo", {f"learner.{key}": value for key, value in self.learner.items()})


CASES = {
    "cartpole": Case(
        "cartpole",
        {"n_envs": 4, "n_steps": 128, "towers": "separate"},
        {"learner.learning_rate": 2.5e-4, "learner.discount": 0.99},
    ),
    "coin-run": Case("coin-run", {}, {"env.diversity": 0.1}),
    "room": Case("room", {"n_envs": 32, "n_steps": 64}, {}),
    "pixels": Case(
        "pixels", {"n_envs": 32, "n_steps": 16, "n_epochs": 2, "n_minibatches": 1, "network": "convolutional"}, {}
    ),
}
PEER = "cartpole"
"""The case that the peer runs too."""


def flops_per_step(case: Case) -> float:
    """FLOPs of the dense matrix products behind one environment step."""
    learner = case.make()
    return learner.flops(case.world()) / learner.steps_per_update
