"""Two arms, one of which pays more: only memory of one's own pulls and pay can tell which."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import render
from envs.abilities import Drawn
from envs.base import Params as BaseParams
from envs.base import Probe, World
from envs.layout import HIDDEN, Feature, Layout, Observation
from envs.settings import Count, Probability

PULLS = 20
NEVER = np.iinfo(np.int32).max


class Level(NamedTuple):
    better: Any
    """i32[], the arm that pays more, 0 or 1."""
    reverses: Any
    """i32[], the pulls of the episode after which the other arm does; NEVER for none."""
    lamp: Any = HIDDEN
    """i32[], the arm whose lamp is lit for all of the episode; `HIDDEN` for none."""


@struct.dataclass
class State:
    level: Level
    pulled: jax.Array
    """i32[], the arm of the last pull; `HIDDEN` before the first."""
    paid: jax.Array
    """f32[], what it paid, 0 or 1."""
    time: jax.Array


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    p_good: Probability = 0.9
    """Probability that a pull of the better arm pays 1."""
    p_bad: Probability = 0.1
    """Probability that a pull of the other arm does."""
    left_share: Probability = 0.5
    """Probability that the left arm is the better one of an episode."""
    lamp_presence: Probability = 0.0
    """Probability that a lamp is lit in an episode."""
    lamp_truth: Probability = 1.0
    """Probability that a lit lamp is that of the better arm, at the beginning of the episode."""
    max_steps_in_episode: Count = PULLS
    """Pulls in an episode."""


@dataclasses.dataclass(frozen=True)
class Bandit(Drawn, World):
    """Two arms. Which of them is the better one is drawn for each episode and not shown, unless a lamp says so.

    Observation: two indices: one that is always the same, and the arm whose lamp is lit, hidden without one. Beside a
    lamp, the previous action and the previous reward, where a learner has them among its inputs, are all there is to
    go by.
    Actions: 0 left, 1 right, a pull of that arm.
    Episode: never ends by itself; the time limit is its length, 20 pulls.
    Reward: 1 with probability `p_good` for a pull of the better arm, with `p_bad` for one of the other. There are no
    goals.
    """

    Params: ClassVar[Any] = Params
    action_names: ClassVar[tuple[str, ...]] = ("left", "right")
    name: ClassVar[str] = "bandit"
    legend: ClassVar = {
        "agent": render.AGENT,
        "better arm": render.RIGHT,
        "other arm": render.PLAIN,
        "lamp": render.LIGHT,
    }
    stochastic: ClassVar[bool] = True
    counters: ClassVar[tuple[str, ...]] = ("better", "late", "late-better")

    @property
    def layout(self) -> Layout:
        return Layout((Feature("nothing", 1), Feature("lamp", 2)))

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        arm, lit, true = jax.random.uniform(key, (3,))
        better = (arm >= params.left_share).astype(jnp.int32)
        lamp = jnp.where(true < params.lamp_truth, better, 1 - better)
        return Level(better, jnp.int32(NEVER), jnp.where(lit < params.lamp_presence, lamp, HIDDEN))

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        return State(level, jnp.int32(HIDDEN), jnp.zeros(()), jnp.zeros((), jnp.int32))

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        pays = jnp.where(action == _better(state.level, state.time), params.p_good, params.p_bad)
        paid = (jax.random.uniform(key) < pays).astype(jnp.float32)
        after = State(state.level, jnp.asarray(action, jnp.int32), paid, state.time + 1)
        return after, jnp.zeros(0, bool), jnp.zeros((), bool)

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return state.paid

    def features(self, state: State, params: Any) -> Observation:
        return self.layout.observe({"nothing": 0, "lamp": state.level.lamp})

    def counts(self, state: State, params: Any) -> jax.Array:
        """Pulls of the better arm; pulls in the second half of an episode, and those of the better arm among them."""
        better, late = self._was_better(state), 2 * state.time > params.max_steps_in_episode
        return jnp.stack([better, late, late & better])

    def _was_better(self, state: State) -> jax.Array:
        """bool[], whether the last pull was of the arm that was the better one then."""
        return state.pulled == _better(state.level, state.time - 1)

    def probes(self) -> tuple[Probe, ...]:
        """20 pulls where either arm is the better one, without a lamp, with that of the better arm and the other's.

        Nothing is held out: a level is one of two arms, and what pulls pay is left to chance.
        """
        left, right = (np.full(1, arm, np.int32) for arm in range(2))
        both, never = np.arange(2, dtype=np.int32), np.full(2, NEVER, np.int32)
        dark = np.full(2, HIDDEN, np.int32)
        levels = {
            "left": Level(left, never[:1], dark[:1]),
            "right": Level(right, never[:1], dark[:1]),
            "lamp-true": Level(both, never, both),
            "lamp-false": Level(both, never, 1 - both),
        }
        shown: dict[str, Any] = {"held_out": "nothing", "whole": True}
        return tuple(Probe(name, "performance", (), level, PULLS, **shown) for name, level in levels.items())

    def render(self, state: State) -> np.ndarray:
        """The arms, the one that is now better in colour, and the agent between them or at the arm that it pulled."""
        image = render.room(1, 3)
        for arm in range(2):
            better = arm == int(_better(state.level, state.time))
            render.square(image, 0, 2 * arm, render.RIGHT if better else render.PLAIN, side=0.85)
            if int(state.level.lamp) == arm:
                render.frame(image, 0, 2 * arm, render.LIGHT)
        pulled = int(state.pulled)
        render.agent(image, 0, 1 if pulled == HIDDEN else 2 * pulled)
        return image


def _better(level: Level, pulls: Any) -> Any:
    """i32[], the arm that is the better one after so many pulls of the episode."""
    return jnp.where(pulls >= level.reverses, 1 - level.better, level.better)
