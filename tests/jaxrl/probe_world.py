"""Five classic problems with known answers, in one world, so that one compile serves them all."""

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

CONSTANT, SEEN, DISCOUNTED, ACTION, BOTH = range(5)


@struct.dataclass
class Params(BaseParams):
    kind: Finite = 0.0
    """Which of the five."""
    max_steps_in_episode: int = 10


@struct.dataclass
class State:
    sign: jax.Array
    paid: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class ProbeWorld(World):
    """Observation: f32[2], a sign of -1 or 1, and whether this is the second step. Two actions."""

    Params: ClassVar[type] = Params
    name: ClassVar[str] = "probe"
    action_names: ClassVar[tuple[str, ...]] = ("0", "1")
    layout: ClassVar[Layout] = Layout((Feature("sign", NUMBER), Feature("second", NUMBER)))

    def params_of(self, values: dict[str, Any]) -> Params:
        kind = np.float32(values.get("env.kind", 0))
        return Params(max_steps_in_episode=np.int32(10), reward=np.zeros(0, np.float32), kind=kind)

    def sample_level(self, key, params):
        return jnp.where(jax.random.bernoulli(key), 1.0, -1.0)

    def reset_to_level(self, key, level, params):
        return State(level, jnp.zeros(()), jnp.zeros((), jnp.int32))

    def transition(self, key, state, action, params):
        second = state.time == 1
        right = 2.0 * action.astype(jnp.float32) - 1.0
        pays = jnp.stack([jnp.ones(()), state.sign, second.astype(jnp.float32), right, right * state.sign])
        terminated = second | (params.kind != DISCOUNTED)
        paid = pays[params.kind.astype(jnp.int32)]
        return State(state.sign, paid, state.time + 1), jnp.zeros((0,), bool), terminated

    def reward(self, state, events, params):
        return state.paid

    def features(self, state, params):
        return self.layout.observe({"sign": state.sign, "second": state.time})

    def probes(self):
        return (Probe("return", "performance", (), np.ones(2, np.float32), 2, episodes=2),)
