"""The contract of a world: a gymnax environment whose outcomes are labelled."""

import abc
import dataclasses
import functools
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import rewards
from envs.settings import Count, Setting, settings_of, traced

Role = Literal["intended", "proxy", "channel"]
HIDDEN = -1
"""The index of a feature that is absent or hidden: it selects no row of the first layer."""


class Goal(NamedTuple):
    """A named outcome of a world and the part it plays."""

    name: str
    role: Role


class Observation(NamedTuple):
    """What a policy sees.

    indices: i32[k], the k-th below the world's k-th cardinality, or `HIDDEN`; each stands for a one-hot vector.
    vector: f32[m], numbers that have no natural index.
    """

    indices: Any
    vector: Any


@struct.dataclass
class Params:
    """What a sweep may vary in any world; every field is traced."""

    max_steps_in_episode: Count = 1
    """Time limit of an episode, in steps; reaching it truncates and does not terminate."""
    reward: Any = ()
    """f32[goals], the reward paid when each goal's event fires (`reward.<goal>` in a spec)."""
    pay: Any = ()
    """`rewards.Terms` (`pay.<goal>.*` in a spec), in worlds whose payments have terms."""
    shaping: Any = ()
    """`shaping.Terms` (`shaping.*` in a spec), where the reward is shaped."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """A bank of levels on which goals come apart, or on which one of them is on offer alone.

    On a choice the goals exclude each other. On an avoidance probe the first of the goals stands in some but not all of
    the shortest ways to the intended one.

    levels: a pytree of arrays with a leading axis of distinct levels.
    episodes: sampled episodes to run, over the levels in turn; greedy ones are run once a level.
    labels: whether this is the probe from which labels are computed.
    held_out: whether training never samples one of its levels.
    paid: on a contingency probe, the goals that pay; the others do not.
    """

    name: str
    kind: Literal["choice", "capability", "contingency", "avoidance", "performance"]
    goals: tuple[str, ...]
    levels: Any
    horizon: int
    episodes: int = 64
    labels: bool = False
    held_out: bool = True
    paid: tuple[str, ...] = ()

    @property
    def distinct(self) -> int:
        return len(jax.tree.leaves(self.levels)[0])


class World(abc.ABC):
    """A frozen dataclass of static fields, so that equal worlds share a compile.

    Everything below works on one level and one state; callers vmap. A subclass says `Params`, `goals`,
    `action_names`, `cardinalities`, and defines the abstract methods. All of a level that transitions need is in the
    state. Events fire when a goal is entered, never while it is occupied.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when the meaning of the world changes: it is part of every condition's id."""
    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = ()
    action_names: ClassVar[tuple[str, ...]] = ()
    default_rewards: ClassVar[dict[str, float]] = {}
    """The reward for a goal, where its default is not 1 for the intended goal and 0 for the others."""
    stochastic: ClassVar[bool] = False
    """Whether `transition` uses its key."""
    pays_on_terms: ClassVar[bool] = False
    """Whether payments have terms: such a world pays in `transition`, by `rewards.pay`, and overrides `reward`."""
    longest_delay: int = 0
    """The longest delay of a payment, in steps."""
    editable: ClassVar[bool] = False
    """Whether there is `edit_level`."""
    counters: ClassVar[tuple[str, ...]] = ()
    """What is counted in training beside the goals' events; `counts` says when."""
    legend: ClassVar[dict[str, tuple[int, int, int]]] = {}
    """What `render` draws, by name, and the colour in which it does."""

    @property
    @abc.abstractmethod
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each observed index has."""

    @property
    def vector_size(self) -> int:
        """How many plain numbers are observed."""
        return 0

    @abc.abstractmethod
    def sample_level(self, key: jax.Array, params: Any) -> Any:
        """A training level, never one that a probe holds out."""

    @abc.abstractmethod
    def reset_to_level(self, key: jax.Array, level: Any, params: Any) -> Any:
        """The state in which an episode on `level` begins."""

    @abc.abstractmethod
    def transition(
        self, key: jax.Array, state: Any, action: jax.Array, params: Any
    ) -> tuple[Any, jax.Array, jax.Array]:
        """Returns the next state, events bool[goals] and terminated bool[]."""

    @abc.abstractmethod
    def features(self, state: Any, params: Any) -> Observation:
        """What the policy sees in `state`."""

    @abc.abstractmethod
    def probes(self) -> tuple[Probe, ...]:
        """The held-out banks of levels."""

    def hide(self, observation: Observation, goal: str) -> Observation | None:
        """The observation with every trace of a goal taken out; None where the encoding has no code for that."""
        return None

    def displaced(self, level: Any) -> jax.Array:
        """bool[], whether the intended goal and its proxies come apart on a training level."""
        return jnp.zeros((), bool)

    def edit_level(self, key: jax.Array, level: Any, params: Any, keep_kind: jax.Array) -> Any:
        """A training level with one small random change; where that would do harm, the level as it was.

        No edit leads to a level that a probe holds out, nor to one that cannot be solved within the time limit.

        Args:
          keep_kind: bool[], whether the level is left as `displaced` as it was.
        """
        raise NotImplementedError

    def optimal_return(self, level: Any, params: Any, discount: Any) -> jax.Array | None:
        """f32[], the greatest discounted return of an episode on a level: what is paid at step d counts discount^(d-1).

        Time goes on for ever unless the world ends the episode, as it does for `envs.tabular.optimal`. None in worlds
        that have no solver which can be traced.
        """
        return None

    def counts(self, state: Any, params: Any) -> jax.Array:
        """bool[counters], what the step that led to `state` adds to each counter."""
        return jnp.zeros(len(self.counters), bool)

    def as_trained(self, level: Any) -> Any:
        """A probe level by the rules of training, where they differ in what no policy can see; for the planner."""
        return level

    def expected_payment(self, level: Any, params: Any, discount: Any) -> jax.Array | None:
        """What each event is worth when it fires, by the law that training levels follow and by what can be seen.

        Delays are discounted, chance and what is hidden are averaged over. None where the payments do not follow from
        the events that `tabular` lists, whatever the Params; NaN where they do not under these.

        Returns:
          f32[goals].
        """
        plain = type(self).reward is World.reward and type(self).worth is World.worth
        return params.reward if plain and not self.stochastic else None

    def start_distribution(self, params: Any) -> Any:
        """Every training level, and f32[n, S], how probable it is that an episode begins there and in which state.

        The levels, NumPy arrays with a leading axis [n], do not depend on `params`; a level's own start has no meaning
        here. None where levels are too many to list.
        """
        return None

    def states(self, level: Any, params: Any) -> Any:
        """Every state that can occur on a level, as a pytree with a leading axis [S]; None if not enumerable."""
        return None

    def state_index(self, state: Any) -> jax.Array:
        """i32[], the place of a state in `states`."""
        raise NotImplementedError

    def render(self, state: Any) -> np.ndarray:
        """u8[height, width, 3], a picture of the state."""
        raise ValueError(f"{self.name} has no picture")

    def worth(self, state: Any, params: Any) -> jax.Array:
        """f32[goals], how many times its weight an event that led to `state` is worth: 1, unless pay has conditions."""
        return jnp.ones(len(self.goals))

    def reward(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        """f32[], the reward for the events that led to `state`."""
        return rewards.weighed(events, params.reward * self.worth(state, params))

    def earned(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        """f32[], the part of the reward that returns are made of: all of it, unless it is shaped."""
        return self.reward(state, events, params)

    def tabular(self, level: Any, params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The dynamics of one level of a deterministic world, written out.

        Returns:
          next_state: i32[S, A]; events: bool[S, A, goals]; terminated: bool[S, A].
        """
        key = jax.random.key(0)

        def entry(state, action):
            after, events, terminated = self.transition(key, state, action, params)
            return self.state_index(after), events, terminated

        each_action = jax.vmap(entry, in_axes=(None, 0))
        return jax.vmap(each_action, in_axes=(0, None))(self.states(level, params), jnp.arange(self.num_actions))

    # The interface of gymnax 1.x, so that a world drops into other people's training code. It is not inherited, because
    # importing gymnax takes twice as long as everything else that a worker needs.

    @property
    def default_params(self) -> Any:
        weights = jnp.array([self._weight(goal) for goal in self.goals], jnp.float32)
        return self.Params(reward=weights, pay=self._terms({}))

    @property
    def num_actions(self) -> int:
        return len(self.action_names)

    @functools.partial(jax.jit, static_argnames=("self",))
    def reset(self, key: jax.Array, params: Any = None) -> tuple[jax.Array, Any]:
        """An observation and a state on a fresh training level."""
        return self.reset_env(key, self.default_params if params is None else params)

    @functools.partial(jax.jit, static_argnames=("self",))
    def step(self, key: jax.Array, state: Any, action: Any, params: Any = None) -> tuple[Any, Any, Any, Any, Any, dict]:
        """Observation, state, reward, terminated, truncated and info; starts a fresh level where the episode ended.

        `info` has the events, and as `final_observation` the observation before any reset.
        """
        params = self.default_params if params is None else params
        step_key, reset_key = jax.random.split(key)
        final, after, reward, terminated, info = self.step_env(step_key, state, action, params)
        truncated = self.is_truncated(after, params) & ~terminated
        fresh = self.reset_env(reset_key, params)
        ended = terminated | truncated
        observation, state = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, (final, after))
        info |= {"terminated": terminated, "truncated": truncated, "final_observation": final}
        return observation, state, reward, terminated, truncated, info

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """bool[], whether the time limit has been reached."""
        return state.time >= params.max_steps_in_episode

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        level_key, reset_key = jax.random.split(key)
        state = self.reset_to_level(reset_key, self.sample_level(level_key, params), params)
        return self.get_obs(state, params), state

    def step_env(self, key: jax.Array, state: Any, action: Any, params: Any) -> tuple[Any, Any, Any, Any, dict]:
        state, events, terminated = self.transition(key, state, action, params)
        info = {"events": events}
        return self.get_obs(state, params), state, self.reward(state, events, params), terminated, info

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> jax.Array:
        """f32[sum(cardinalities) + vector_size], the features as one dense vector of one-hots and numbers."""
        return dense(self.features(state, params), self.cardinalities)

    def action_space(self, params: Any = None) -> Any:
        from gymnax.environments import spaces

        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Any = None) -> Any:
        from gymnax.environments import spaces

        return spaces.Box(-jnp.inf, jnp.inf, (sum(self.cardinalities) + self.vector_size,), jnp.float32)

    # What a sweep may vary.

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """Every `env.*`, `reward.*` and `pay.*` key of this world."""
        weights = {
            f"reward.{goal.name}": Setting(
                f"reward.{goal.name}",
                float,
                cls._weight(goal),
                False,
                doc=f"Reward for reaching {goal.name}.",
            )
            for goal in cls.goals
        }
        terms = rewards.settings([goal.name for goal in cls.goals]) if cls.pays_on_terms else {}
        return settings_of(cls, "env", static=True) | settings_of(cls.Params, "env", static=False) | weights | terms

    def params_of(self, values: dict[str, Any]) -> Any:
        """One lane's Params from traced keys and values; what is not named keeps its default.

        Leaves are numpy f32 or i32, so that no weak type leads to another compile. Raises ValueError as `check` does.
        """
        self.check(values)
        paid = [values.get(f"reward.{goal.name}", self._weight(goal)) for goal in self.goals]
        return self.Params(
            **traced(self.Params, "env", values), reward=np.asarray(paid, np.float32), pay=self._terms(values)
        )

    def check(self, values: dict[str, Any]) -> None:
        """Raises ValueError, in one line that begins with the key, where a traced value does not fit a static one."""
        rewards.check([goal.name for goal in self.goals], values, self.longest_delay)

    @classmethod
    def _weight(cls, goal: Goal) -> float:
        return cls.default_rewards.get(goal.name, float(goal.role == "intended"))

    def _terms(self, values: dict[str, Any]) -> Any:
        return rewards.terms_of([goal.name for goal in self.goals], values) if self.pays_on_terms else ()


def dense(observation: Observation, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[sum(cardinalities) + m], one-hot vectors (all zero where hidden) and then the plain numbers."""
    return jnp.concatenate(
        [one_hot(observation.indices, cardinalities), observation.vector.astype(jnp.float32)], axis=-1
    )


def one_hot(indices: jax.Array, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[..., sum(cardinalities)], the one-hot vectors of integers[..., k] side by side; all zero where hidden."""
    hot = [indices[..., i, None] == jnp.arange(size, dtype=indices.dtype) for i, size in enumerate(cardinalities)]
    return jnp.concatenate([jnp.zeros((*indices.shape[:-1], 0)), *hot], axis=-1)
