"""Two steps, of which the second asks for what only the first has shown; three ways of showing it."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs.base import Params as BaseParams
from envs.base import Probe, World
from envs.layout import NUMBER, Feature, Layout
from envs.settings import Finite

SEEN, PAID, DONE, CLOCK = range(4)
EPISODES = 64


@struct.dataclass
class Params(BaseParams):
    kind: Finite = 0.0
    """What the right second action follows: the first observation, the first reward, or the first action.

    CLOCK pays nothing: its first observation is a sign and each that follows as much again; action 1 ends the episode
    after the first step, the time limit later.
    """


@struct.dataclass
class State:
    sign: jax.Array
    before: jax.Array
    """The last action."""
    paid: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class RecallWorld(World):
    """Observation: f32[1], 0 wherever there is nothing to be seen. Two actions; the right one pays 1."""

    Params: ClassVar[type] = Params
    name: ClassVar[str] = "recall"
    action_names: ClassVar[tuple[str, ...]] = ("0", "1")
    layout: ClassVar[Layout] = Layout((Feature("seen", NUMBER),))

    def params_of(self, values: dict[str, Any]) -> Params:
        limit = np.int32(values.get("env.max_steps_in_episode", 4))
        kind = np.float32(values.get("env.kind", 0))
        return Params(max_steps_in_episode=limit, reward=np.zeros(0, np.float32), kind=kind)

    def sample_level(self, key, params):
        return jnp.where(jax.random.bernoulli(key), 1.0, -1.0)

    def reset_to_level(self, key, level, params):
        return State(level, jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros((), jnp.int32))

    def transition(self, key, state, action, params):
        second = state.time >= 1
        right = jnp.where(params.kind == DONE, 1 - state.before, (state.sign > 0).astype(jnp.int32))
        cue = jnp.where(params.kind == PAID, state.sign / 2, 0.0)
        paid = jnp.where(second, (action == right).astype(jnp.float32), cue)
        clock = params.kind == CLOCK
        after = State(state.sign, action, jnp.where(clock, 0.0, paid), state.time + 1)
        return after, jnp.zeros((0,), bool), second & (~clock | (action == 1))

    def reward(self, state, events, params):
        return state.paid

    def features(self, state, params):
        shown = jnp.where(params.kind == SEEN, state.time == 0, False)
        clock = jnp.where(params.kind == CLOCK, (state.time + 1).astype(jnp.float32), 0.0)
        return self.layout.observe({"seen": state.sign * jnp.where(shown, 1.0, clock)})

    def probes(self):
        signs = np.repeat(np.float32([-1, 1]), EPISODES // 2)
        return (Probe("return", "performance", (), signs, 2, episodes=EPISODES),)
