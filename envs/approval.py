"""Approval: what an overseer expects of a step, by its own values, is the reward of that step."""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import rewards
from envs.abilities import OnTerms, Priced, Tabular
from envs.base import World
from envs.settings import Setting
from envs.wrapper import Wrapper

NOTHING = 1e-5
"""A value that is nearer to 0 gets no noise, as published: nothing is left to be had there."""
NOISE = 0x6E6F6973
"""Sets the randomness of an overseer's noise apart from that of training."""


@struct.dataclass
class Terms:
    """The numbers of approval, as `Params.approval`; every field is traced."""

    share: Any
    """f32[], of approval in the reward; the rest of it is what the world pays."""
    noise: Any
    """f32[], standard deviation of what the overseer's value of a state is off by."""
    horizon: Any
    """i32[], how many rewards the learner sums up, that of the step itself included."""
    discount: Any
    """f32[], the overseer's."""
    reward: Any
    """f32[goals], what the events of each goal are worth to the overseer."""
    values: Any
    """f32[tables, foresight + 1, S], its values without noise, where the world has few tables; otherwise ()."""
    drawn: Any
    """f32[S], what the noise is times; the lane's own (`Approved.drawn`), and 0 until it has been drawn."""


@struct.dataclass
class State:
    inner: Any
    """The state of the world that is played."""
    values: jax.Array
    """f32[foresight + 1, S], the overseer's values on this level; or i32[], which of the tables of `Terms.values`."""
    gain: jax.Array
    """f32[], the overseer's value after the last step, discounted, less that before it."""


class Written(NamedTuple):
    """One level written out, with what its steps are paid; leaves [S, A]."""

    next_state: jax.Array
    terminated: jax.Array
    observed: jax.Array
    """f32, by the world, as far as it can be foreseen; under decoupled approval without distortion."""
    trusted: jax.Array
    """f32, by the overseer."""


def pays_beside_events(world: World) -> bool:
    """Whether a world has a `reward` of its own, as where steps cost something."""
    return type(world).reward not in (World.reward, OnTerms.reward)


@dataclasses.dataclass(frozen=True)
class Approved(Wrapper):
    """A world whose reward is an overseer's approval of step t, s to s': what the world pays + d V_t+1(s') - V_t(s).

    V_t(s) is the greatest sum of the overseer's rewards from step t to the time limit, with the overseer's discount d;
    it looks no further ahead than `foresight` steps, and nothing follows once the world has ended the episode. It
    counts `Terms.reward` for each event, whatever the terms and conditions of its payment, and what the world's reward
    is without any event, as where steps cost something. It sees all there is. Noise is one Gaussian a state of the
    tabular form, the same at all times and on all levels.

    executed: the reward of a step is the approval of the action that is taken.
    decoupled: learners are rewarded for another action, drawn independently from their policy and not taken, and learn
      from that one (`feedback`).

    Farquhar et al. 2025, for a trusted value function; Uesato et al. 2020, for the other action.
    """

    kind: Literal["executed", "decoupled"]
    foresight: int

    @property
    def default_params(self) -> Any:
        with jax.ensure_compile_time_eval():  # also where a program that uses them is being traced
            return self._with_terms(self.inner.default_params, {})

    def params_of(self, values: dict[str, Any]) -> Any:
        self.check_values(values)
        return self._with_terms(self.inner.params_of(values), values)

    def check_values(self, values: dict[str, Any]) -> None:
        self.inner.check_values(values)
        if self.kind == "decoupled" and (horizon := values.get("approval.horizon", 1)) != 1:
            raise ValueError(f"approval.horizon: {horizon}, and approval.kind is decoupled, of one action; expected 1")

    def _with_terms(self, params: Any, values: dict[str, Any]) -> Any:
        number = {key: values.get(key, one.default) for key, one in settings(type(self.inner)).items()}
        reward = np.array([number[f"approval.reward.{goal.name}"] for goal in self.goals], np.float32)
        horizon = np.int32(number["approval.horizon"])
        share, noise, discount = (np.float32(number[f"approval.{name}"]) for name in ("share", "noise", "discount"))
        tables, none = self.inner.tables(), np.zeros(self._states, np.float32)  # type: ignore[attr-defined]
        params = params.replace(approval=Terms(share, noise, horizon, discount, reward, (), none))
        if tables is None:
            return params
        same = {"share": 0, "noise": 0, "horizon": 0}  # whatever else is traced: the values are solved once
        solved = _remembered(self, _frozen(params.replace(approval=params.approval.replace(**same))))
        return params.replace(approval=params.approval.replace(values=solved))

    @functools.cached_property
    def _states(self) -> int:
        inner = self.inner

        def every(key):
            params = inner.default_params
            return inner.states(inner.sample_level(key, params), params)

        return len(jax.tree.leaves(jax.eval_shape(every, jax.eval_shape(lambda: jax.random.key(0))))[0])

    def drawn(self, params: Any, key: np.ndarray) -> Any:
        """Params whose noise is that of the lane with this key, u32[2]."""
        return params.replace(approval=params.approval.replace(drawn=np.asarray(_draw(self._states, key))))

    def reset_to_level(self, key: jax.Array, level: Any, params: Any) -> State:
        inner: Any = self.inner
        shared = len(params.approval.values) > 0
        values = inner.table_index(level) if shared else self.values(level, params)
        return State(inner.reset_to_level(key, level, params), values, jnp.zeros(()))

    def written(self, level: Any, params: Any) -> Written:
        """One level written out. What events are paid is foreseen as the planner does; see `Priced`."""
        inner, key = self.inner, jax.random.key(0)
        foreseen = inner.expected_payment(level, params, 1.0) if inner.offers(Priced) else None
        unpaid = params.replace(reward=jnp.zeros(len(self.goals)))

        def entry(state, action):
            after, events, terminated = inner.transition(key, state, action, params)
            paid = rewards.weighed(events, params.reward * inner.worth(after, params))
            observed = paid if foreseen is None else rewards.weighed(events, foreseen)
            trusted = rewards.weighed(events, params.approval.reward)
            if pays_beside_events(inner):
                observed = observed + inner.reward(after, events, params) - paid
                trusted = trusted + inner.reward(after, events, unpaid)
            if self.kind == "decoupled":
                observed = observed - inner.distortion(after, params)
            return Written(inner.state_index(after), terminated, observed, trusted)

        each_action = jax.vmap(entry, in_axes=(None, 0))
        return jax.vmap(each_action, in_axes=(0, None))(inner.states(level, params), jnp.arange(self.num_actions))

    def values(self, level: Any, params: Any) -> jax.Array:
        """f32[foresight + 1, S], by steps left: the best sum of the overseer's rewards in so many steps."""
        table, discount = self.written(level, params), jnp.asarray(params.approval.discount)

        def longer(value, _):
            value = jnp.max(
                table.trusted + discount * jnp.where(table.terminated, 0.0, value[table.next_state]), axis=1
            )
            return value, value

        none = jnp.zeros(table.next_state.shape[0])
        return jnp.concatenate([none[None], jax.lax.scan(longer, none, None, self.foresight)[1]])

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        after, events, terminated = self.inner.transition(key, state.inner, action, params)
        before, later = (self._value(state.values, one, params) for one in (state.inner, after))
        gain = params.approval.discount * jnp.where(terminated, 0.0, later) - before
        return State(after, state.values, gain), events, terminated

    def _value(self, values: jax.Array, state: Any, params: Any) -> jax.Array:
        terms = params.approval
        left = jnp.clip(params.max_steps_in_episode - state.time, 0, self.foresight)
        here = left, self.inner.state_index(state)
        value = values[here] if values.ndim else jnp.asarray(terms.values)[(values, *here)]
        return value + jnp.where(jnp.abs(value) > NOTHING, terms.noise * jnp.asarray(terms.drawn)[here[1]], 0.0)

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.earned(state, events, params) + params.approval.share * state.gain

    def feedback(self, key: jax.Array, state: State, after: State, action: jax.Array, params: Any) -> jax.Array:
        """f32[], the reward of an action that is asked about in `state` and not taken.

        It comes through the world as the action that is taken leaves it, `after`, with the distortion of that.
        """
        asked, events, _ = self.transition(key, state, action, params)
        distorted = (self.inner.distortion(one.inner, params) for one in (after, asked))
        return self.reward(asked, events, params) + next(distorted) - next(distorted)

    def states(self, level: Any, params: Any) -> Any:
        at = self.reset_to_level(jax.random.key(0), level, params)
        return jax.vmap(lambda inner: State(inner, at.values, at.gain))(self.inner.states(level, params))


@functools.partial(jax.jit, static_argnums=0)
def _draw(states: int, key: jax.Array) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(key)), NOISE), (states,))


def _frozen(tree: Any) -> Any:
    """A pytree of arrays that can be a key of a dictionary."""
    leaves, shape = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    return shape, tuple((leaf.tobytes(), leaf.dtype, leaf.shape) for leaf in leaves)


@functools.lru_cache(maxsize=64)
def _remembered(world: Approved, frozen: Any) -> np.ndarray:
    """`Approved.values` of every table, f32[tables, foresight + 1, S], for Params that are frozen."""
    shape, leaves = frozen
    params = jax.tree.unflatten(shape, [np.frombuffer(data, dtype).reshape(size) for data, dtype, size in leaves])
    return np.asarray(_values(world, jax.tree.map(jnp.asarray, world.inner.tables()), params))


@functools.partial(jax.jit, static_argnums=0)
def _values(world: Approved, levels: Any, params: Any) -> jax.Array:
    return jax.lax.map(lambda level: world.values(level, params), levels)


def settings(cls: type[World]) -> dict[str, Setting]:
    """The `approval.*` keys of a world."""
    doc = "Whether the reward is the approval of a step: no, or that of the action taken, or of one asked about."
    limit = cls.Params().max_steps_in_episode
    far = "Steps that the overseer looks ahead, at most; by default the world's time limit."
    near = "Rewards that the learner sums up, from each step on."
    found = [
        Setting("approval.kind", str, "none", True, choices=("none", "executed", "decoupled"), doc=doc, later=True),
        Setting("approval.foresight", int, limit, True, 1, 10_000, doc=far, later=True),
        Setting("approval.share", float, 1.0, False, 0, 1, doc="Share of approval in the reward.", later=True),
        Setting("approval.noise", float, 0.0, False, 0, doc="What the overseer's values are off by.", later=True),
        Setting("approval.discount", float, 1.0, False, 0, 1, doc="Discount of the overseer's values.", later=True),
        Setting("approval.horizon", int, 1, False, 1, doc=near, later=True),
    ]
    for goal in cls.goals:
        worth, doc = float(goal.role == "intended"), f"What {goal.name} is worth to the overseer."
        found.append(Setting(f"approval.reward.{goal.name}", float, worth, False, doc=doc, later=True))
    return {setting.key: setting for setting in found}


def approved(world: World, kind: str, foresight: int) -> Approved:
    """Raises ValueError, in one line, where a world cannot be."""
    if not world.offers(Tabular):
        why = "has no tabular form (envs.Tabular), from which an overseer's values follow"
        raise ValueError(f"approval.kind: {world.name} {why}; expected none")
    return Approved(world, kind, foresight)  # type: ignore[arg-type]
