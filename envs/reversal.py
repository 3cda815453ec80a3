"""Two arms that change places at some time: memory must notice that what used to pay no longer does."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import bandit
from envs.base import Probe
from envs.layout import HIDDEN
from envs.settings import Count, Probability

PULLS = 40
"""Of a probe's episode, and of training's by default."""


@struct.dataclass
class Params(bandit.Params):
    """What a sweep may vary in this world; every field is traced."""

    hazard: Probability = 0.05
    """Probability, after each pull of an episode, that the arms change places, where they have not yet."""
    max_steps_in_episode: Count = PULLS
    """Pulls in an episode."""


@dataclasses.dataclass(frozen=True)
class Reversal(bandit.Bandit):
    """The bandit, whose arms change places once in an episode, after a random number of pulls, or not at all.

    The pulls before the reversal are geometric: 1 with probability `hazard`, 2 with (1 - `hazard`) x `hazard`, and so
    on. Nothing shows it. Observation, actions and reward are those of the bandit; an episode has 40 pulls.
    """

    Params: ClassVar[Any] = Params
    name: ClassVar[str] = "reversal"
    counters: ClassVar[tuple[str, ...]] = (*bandit.Bandit.counters, "reversed", "reversed-better")

    def sample_level(self, key: jax.Array, params: Any) -> bandit.Level:
        level_key, key = jax.random.split(key)
        time = jax.random.uniform(key)
        survives = jnp.log1p(-jnp.clip(params.hazard, 1e-6, 1 - 1e-6))
        pulls = 1 + jnp.minimum(jnp.log1p(-time) / survives, 1e6).astype(jnp.int32)
        reverses = jnp.where(params.hazard > 0, pulls, bandit.NEVER)
        return super().sample_level(level_key, params)._replace(reverses=reverses)

    def counts(self, state: bandit.State, params: Any) -> jax.Array:
        """Beside the bandit's: pulls after the reversal, and those of the arm that is the better one then."""
        reversed_ = state.time > state.level.reverses
        return jnp.append(super().counts(state, params), jnp.stack([reversed_, reversed_ & self._was_better(state)]))

    def probes(self) -> tuple[Probe, ...]:
        """40 pulls, without a reversal and with one half-way: what they differ by is what the reversal costs."""
        arm = np.arange(2, dtype=np.int32)

        def probe(name: str, reverses: int) -> Probe:
            levels = bandit.Level(arm, np.full(2, reverses, np.int32), np.full(2, HIDDEN, np.int32))
            return Probe(name, "performance", (), levels, PULLS, held_out="nothing", whole=True)

        return probe("steady", bandit.NEVER), probe("reversed", PULLS // 2)
