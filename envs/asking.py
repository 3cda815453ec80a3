"""Asking: one more action, which for a price takes the step that the oracle of the intended goal would take."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs.abilities import Priced, Starting, Tabular
from envs.settings import Setting
from envs.tabular import traced_steps_left
from envs.wrapper import Wrapper

PRICE = 0.05
"""Of a question, by default."""
ADVICE = 0x61736B
"""Sets the draw among shortest ways apart from what else an episode begins with."""


@struct.dataclass
class Terms:
    """The numbers of asking, as `Params.ask`."""

    price: Any
    """f32[], what each question takes from the reward; traced."""


@struct.dataclass
class State:
    inner: Any
    """The state of the world that is played."""
    advice: jax.Array
    """i8[S], the action that asking takes in each state of the level, the same throughout an episode."""
    asked: jax.Array
    """bool[], whether the last step was a question."""


@dataclasses.dataclass(frozen=True)
class Asking(Wrapper):
    """A world with one more action, `ask`: it does what the oracle of the intended goal would do here, for a price.

    The oracle takes a shortest path to the intended goal, as `tabular.oracle` does. If there are several, one is drawn
    at the beginning of the episode, with equally probable actions in every state; if the goal is out of reach, the
    answer is any action. The reward, and so every return, is the world's own less the price of each question.
    Observations, probes and everything else are the world's own; a policy may also ask on probes. The counter `asked`
    counts questions in training.
    """

    def __post_init__(self):
        if not self.inner.offers(Tabular):
            why = "has no tabular form (envs.Tabular), from which it follows what to do"
            raise ValueError(f"ask.offered: {self.inner.name} {why}; expected false")
        if "intended" not in [goal.role for goal in self.inner.goals]:
            raise ValueError(f"ask.offered: {self.inner.name} has no intended goal to be shown; expected false")

    @property
    def action_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.inner.action_names, "ask")

    @property
    def counters(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.inner.counters, "asked")

    @property
    def default_params(self) -> Any:
        return self.inner.default_params.replace(ask=Terms(jnp.float32(PRICE)))

    def params_of(self, values: dict[str, Any]) -> Any:
        return self.inner.params_of(values).replace(ask=Terms(np.float32(values.get("ask.price", PRICE))))

    def offers(self, ability: type) -> bool:
        """Prices are paid beside events, and whoever knows what is best does not ask: the planner has the inner world.

        See `jaxrl.planner`.
        """
        return ability not in (Priced, Starting) and super().offers(ability)

    def reset_to_level(self, key: jax.Array, level: Any, params: Any) -> State:
        inner = self.inner.reset_to_level(key, level, params)
        return State(inner, self.advice(key, level, params), jnp.zeros((), bool))

    def advice(self, key: jax.Array, level: Any, params: Any) -> jax.Array:
        """i8[S], an action of the oracle's in each state of a level, drawn from those that are as good."""
        intended = [goal.role for goal in self.inner.goals].index("intended")
        next_state, events, terminated = self.inner.tabular(level, params)
        left = traced_steps_left(next_state, events[..., intended], terminated)
        draws = jax.random.uniform(jax.random.fold_in(key, ADVICE), left.shape)
        return jnp.argmax(jnp.where(left == left.min(axis=-1, keepdims=True), draws, -1.0), axis=-1).astype(jnp.int8)

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        asked = jnp.asarray(action) == self.inner.num_actions
        advised = state.advice[self.inner.state_index(state.inner)].astype(jnp.int32)
        after, events, terminated = self.inner.transition(key, state.inner, jnp.where(asked, advised, action), params)
        return State(after, state.advice, asked), events, terminated

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.inner.reward(state.inner, events, params) - jnp.where(state.asked, params.ask.price, 0.0)

    def earned(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.reward(state, events, params)

    def counts(self, state: State, params: Any) -> jax.Array:
        return jnp.append(self.inner.counts(state.inner, params), state.asked)

    def states(self, level: Any, params: Any) -> State:
        advice = self.advice(jax.random.key(0), level, params)
        every = self.inner.states(level, params)
        return jax.vmap(lambda inner: State(inner, advice, jnp.zeros((), bool)))(every)

    def tabular(self, level: Any, params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        table, advice = self.inner.tabular(level, params), self.advice(jax.random.key(0), level, params)
        here = jnp.arange(len(advice)), advice.astype(jnp.int32)
        return jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[here][:, None]], axis=1), table)


def settings() -> dict[str, Setting]:
    """The `ask.*` keys of a world with goals."""
    offered = "Whether there is an action that does what leads to the intended goal, for a price."
    found = (
        Setting("ask.offered", bool, False, True, doc=offered, later=True),
        Setting("ask.price", float, PRICE, False, 0, doc="What each question takes from the reward.", later=True),
    )
    return {setting.key: setting for setting in found}
