"""A world that pays otherwise than another one, and is that one in everything else."""

import dataclasses
from operator import attrgetter
from typing import Any

import jax
import numpy as np

from envs.abilities import Compared, Drawn, Priced, Starting, Tabular
from envs.base import World
from envs.layout import Observation


def _of_inner(name: str) -> Any:
    return property(attrgetter(f"inner.{name}"))


@dataclasses.dataclass(frozen=True)
class Wrapper(Tabular, World):
    """A subclass says `default_params`, `params_of`, `reset_to_level`, `transition`, `reward` and `states`.

    Its state has the state of the other world as `inner`. Returns stay the other world's: `earned` is its reward.
    """

    inner: Any
    """A world that lists its states."""

    name = _of_inner("name")
    version = _of_inner("version")
    Params = _of_inner("Params")
    goals = _of_inner("goals")
    action_names = _of_inner("action_names")
    default_rewards = _of_inner("default_rewards")
    stochastic = _of_inner("stochastic")
    fully_observed = _of_inner("fully_observed")
    counters = _of_inner("counters")
    legend = _of_inner("legend")
    layout = _of_inner("layout")
    sample_level = _of_inner("sample_level")
    probes = _of_inner("probes")
    layouts = _of_inner("layouts")
    hide = _of_inner("hide")
    displaced = _of_inner("displaced")
    as_trained = _of_inner("as_trained")
    expected_payment = _of_inner("expected_payment")
    start_distribution = _of_inner("start_distribution")
    tabular = _of_inner("tabular")
    comparisons = _of_inner("comparisons")
    check_values = _of_inner("check_values")

    def offers(self, ability: type) -> bool:
        """What the other world has, but for what another reward changes: payments on terms, and returns of levels."""
        return ability is Tabular or (ability in (Compared, Drawn, Priced, Starting) and self.inner.offers(ability))

    def earned(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        return self.inner.reward(state.inner, events, params)

    def gold(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        return self.inner.gold(state.inner, events, params)

    def worth(self, state: Any, params: Any) -> jax.Array:
        return self.inner.worth(state.inner, params)

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        return self.inner.is_truncated(state.inner, params)

    def features(self, state: Any, params: Any) -> Observation:
        return self.inner.features(state.inner, params)

    def counts(self, state: Any, params: Any) -> jax.Array:
        return self.inner.counts(state.inner, params)

    def state_index(self, state: Any) -> jax.Array:
        return self.inner.state_index(state.inner)

    def render(self, state: Any) -> np.ndarray:
        return self.inner.render(state.inner)
