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
from envs.layout import Layout, Observation, dense
from envs.settings import Count, Setting, settings_of, traced

Role = Literal["intended", "proxy", "channel", "milestone"]
HeldOut = Literal["observations", "levels", "nothing"]
EPISODES = 64
"""Of a probe, by default, where it has as many levels."""


class Goal(NamedTuple):
    """A named outcome of a world and the part it plays.

    A milestone is an event on the way to others: it is recorded, and may be paid, but no policy is labelled by it.
    """

    name: str
    role: Role
    outcome: str = ""
    """The class of episodes that reach it, where a world sorts its episodes into classes: of several the one that is
    named last among the goals counts, and what reaches none of them is `none`."""


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
    approval: Any = ()
    """`approval.Terms` (`approval.*` in a spec), where the reward is an overseer's approval."""
    lives: Any = ()
    """`lives.Terms` (`lives.*` in a spec), where an episode is a life of several rounds."""
    ask: Any = ()
    """`asking.Terms` (`ask.*` in a spec), where one can ask what to do."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """A set of levels on which goals conflict, or on which only one of them can be reached.

    On a choice the goals exclude each other. On an avoidance probe the first of the goals stands in some but not all of
    the shortest paths to the intended one.

    levels: a pytree of arrays with a leading axis of levels. Statistics count layouts: levels share a layout if they
      are mirror images, or have the same cells taken by other things (`World.layouts`). Things that are compared should
      swap places: give every layout in the same orders of them.
    episodes: sampled episodes to run, over the levels in turn; greedy ones are run once a level. By default one for
      each level, at most 64; if `whole`, 64.
    labels: whether this is the probe from which labels are computed.
    held_out: what training never shows of it: `observations`, those with which its episodes begin; `levels`, only the
      levels, since other levels lead to such observations; or `nothing`.
    whole: whether its levels are all that exist of their kind, mirror images included. Results are then about exactly
      these levels, and episodes may repeat them.
    paid: on a contingency probe, the goals that pay; the others do not. On a probe of lives, the goal that pays before
      payment moves and the one that pays afterwards; a single goal if payment does not move.
    """

    name: str
    kind: Literal["choice", "capability", "contingency", "avoidance", "performance", "life"]
    goals: tuple[str, ...]
    levels: Any
    horizon: int
    episodes: int = 0
    labels: bool = False
    held_out: HeldOut = "observations"
    whole: bool = False
    paid: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.episodes:
            object.__setattr__(self, "episodes", EPISODES if self.whole else min(EPISODES, self.distinct))

    @property
    def distinct(self) -> int:
        return len(jax.tree.leaves(self.levels)[0])

    @classmethod
    def capable(cls, goal: str, levels: Any, horizon: int, **said: Any) -> "Probe":
        """The capability probe of a goal, on levels where nothing competes with it; `said` is what else there is."""
        return cls(f"capable:{goal}", "capability", (goal,), levels, horizon, **said)


class World(abc.ABC):
    """A frozen dataclass of static fields, so that equal worlds share a compile.

    Everything below works on one level and one state; callers vmap. A subclass says `name`, `Params`, `goals`,
    `action_names` and `layout`, and defines the abstract methods; what only some worlds can do is in `envs.abilities`.
    All of a level that transitions need is in the state. Events fire when a goal is entered, never while it is
    occupied.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """To be raised when the meaning of the world changes: it is part of every condition's id."""
    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = ()
    action_names: ClassVar[tuple[str, ...]] = ()
    default_rewards: ClassVar[dict[str, float]] = {}
    """The reward for a goal, where its default is not 1 for the intended goal and 0 for the others."""
    stochastic: ClassVar[bool] = False
    """Whether `transition` uses its key."""
    fully_observed: ClassVar[bool] = True
    """Whether what is seen at a time suffices to act on, as it does not where a view ends before the level does."""
    counters: ClassVar[tuple[str, ...]] = ()
    """What is counted in training beside the goals' events; `counts` says when."""

    @property
    def aims(self) -> tuple[Goal, ...]:
        """The goals but for milestones, which come after them."""
        return tuple(goal for goal in self.goals if goal.role != "milestone")

    @property
    @abc.abstractmethod
    def layout(self) -> Layout:
        """The features that a policy sees."""

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each observed index has."""
        return self.layout.cardinalities

    @property
    def vector_size(self) -> int:
        """How many plain numbers are observed."""
        return self.layout.vector_size

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

    def offers(self, ability: type) -> bool:
        """Whether the world can do what an ability of `envs.abilities` asks."""
        return isinstance(self, ability)

    def hide(self, observation: Observation, goal: str) -> Observation:
        """The observation with every trace of a goal taken out, for one of `layout.goals`."""
        return self.layout.hide(observation, goal)

    def layouts(self, levels: Any) -> np.ndarray:
        """i64[n], a number for each of some levels, equal for those of one layout: by default, for equal levels."""
        rows = [np.ascontiguousarray(leaf).reshape(len(leaf), -1) for leaf in map(np.asarray, jax.tree.leaves(levels))]
        flat = np.concatenate([row.view(np.uint8) for row in rows if row.size], axis=1)
        return np.unique(flat, axis=0, return_inverse=True)[1].ravel()

    def displaced(self, level: Any) -> jax.Array:
        """bool[], whether the intended goal and its proxies come apart on a training level.

        Counted in training, as `displaced_episodes`.
        """
        return jnp.zeros((), bool)

    def counts(self, state: Any, params: Any) -> jax.Array:
        """bool[counters], what the step that led to `state` adds to each counter."""
        return jnp.zeros(len(self.counters), bool)

    def worth(self, state: Any, params: Any) -> jax.Array:
        """f32[goals], how many times its weight an event that led to `state` is worth: 1, unless pay has conditions."""
        return jnp.ones(len(self.goals))

    def reward(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        """f32[], the reward for the events that led to `state`."""
        return rewards.weighed(events, params.reward * self.worth(state, params))

    def gold(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        """f32[], what the step that led to `state` is truly worth: its events of intended goals, whatever is paid."""
        intended = np.array([goal.role == "intended" for goal in self.goals], bool)
        return rewards.weighed(events & intended, params.reward)

    def distortion(self, state: Any, params: Any) -> jax.Array:
        """f32[], the part of the reward that a world adds to what it passes on to the learner; most add nothing."""
        return jnp.zeros(())

    def earned(self, state: Any, events: jax.Array, params: Any) -> jax.Array:
        """f32[], the part of the reward that returns are made of: all of it, unless it is shaped or approval."""
        return self.reward(state, events, params)

    # The interface of gymnax 1.x, so that a world drops into other people's training code. It is not inherited, because
    # importing gymnax takes twice as long as everything else that a worker needs.

    @property
    def default_params(self) -> Any:
        weights = jnp.array([self._weight(goal) for goal in self.goals], jnp.float32)
        return self.Params(reward=weights)

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
        truncated = info["truncated"]
        fresh = self.reset_env(reset_key, params)
        ended = terminated | truncated
        observation, state = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, (final, after))
        return observation, state, reward, terminated, truncated, info

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """bool[], whether the time limit has been reached."""
        return state.time >= params.max_steps_in_episode

    def reset_env(self, key: jax.Array, params: Any) -> tuple[jax.Array, Any]:
        level_key, reset_key = jax.random.split(key)
        state = self.reset_to_level(reset_key, self.sample_level(level_key, params), params)
        return self.get_obs(state, params), state

    def step_env(self, key: jax.Array, state: Any, action: Any, params: Any) -> tuple[Any, Any, Any, Any, dict]:
        """As `step`, with the same `info`, but without a fresh level; `info` says whether the time limit is reached."""
        state, events, terminated = self.transition(key, state, action, params)
        seen, truncated = self.get_obs(state, params), self.is_truncated(state, params) & ~terminated
        info = {"events": events, "terminated": terminated, "truncated": truncated, "final_observation": seen}
        return seen, state, self.reward(state, events, params), terminated, info

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> jax.Array:
        """f32[layout.size], the features as one dense vector: one-hots, numbers, and the image in [0, 1]."""
        return dense(self.features(state, params), self.cardinalities)

    def action_space(self, params: Any = None) -> Any:
        from gymnax.environments import spaces

        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Any = None) -> Any:
        from gymnax.environments import spaces

        return spaces.Box(-jnp.inf, jnp.inf, (self.layout.size,), jnp.float32)

    def __deepcopy__(self, memo: dict) -> "World":
        """A copy whose methods can be set, as `gymnax.wrappers.GymnaxToVectorGymWrapper` sets them on its own."""
        copy: Any = object.__new__(type(type(self).__name__, (type(self),), {}))
        copy.__dict__.update(self.__dict__)
        return copy

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
        return settings_of(cls, "env", static=True) | settings_of(cls.Params, "env", static=False) | weights

    def params_of(self, values: dict[str, Any]) -> Any:
        """One lane's Params from traced keys and values; what is not named keeps its default.

        Leaves are numpy f32 or i32, so that no weak type leads to another compile. Raises ValueError as `check_values`.
        """
        self.check_values(values)
        paid = [values.get(f"reward.{goal.name}", self._weight(goal)) for goal in self.goals]
        return self.Params(**traced(self.Params, "env", values), reward=np.asarray(paid, np.float32))

    def check_values(self, values: dict[str, Any]) -> None:  # noqa: B027
        """Raises ValueError, in one line that begins with the key, where a traced value does not fit the others."""

    @classmethod
    def _weight(cls, goal: Goal) -> float:
        return cls.default_rewards.get(goal.name, float(goal.role == "intended"))
