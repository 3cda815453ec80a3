"""Shaping: on top of what a world pays, reward for coming closer to one of its goals."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import tabular
from envs.base import Goal
from envs.settings import Setting
from envs.wrapper import Wrapper


@struct.dataclass
class Terms:
    """The numbers of shaping, as `Params.shaping`; both are traced."""

    weight: Any
    """f32[], what it is multiplied by."""
    discount: Any
    """f32[], the learner's discount, which learners fill in (`jaxrl.schedules`); 1 where there is none."""


@struct.dataclass
class State:
    inner: Any
    """The state of the world that is shaped."""
    distances: jax.Array
    """f32[S], the fewest steps from each state of the level to the goal."""
    bonus: jax.Array
    """f32[], what shaping added to the reward of the last step."""


@dataclasses.dataclass(frozen=True)
class Shaped(Wrapper):
    """A world whose reward is shaped by d, the fewest steps from a state to the event of one of its goals.

    potential: weight x (discount x Phi(s') - Phi(s)) with Phi = -d, and 0 where the world has ended the episode: what
      is optimal stays so (Ng, Harada and Russell 1999; that the end has no potential is part of it: Grzes 2017). A time
      limit is no such end: the state that it cuts at keeps its potential, and its value is bootstrapped.
    progress: the weight for each step that comes closer, the one at which the goal's event fires included, and nothing
      for one that does not. This is no potential: going back and forth is paid (Randloev and Alstrom 1998).

    Where the goal cannot be reached any more, d is one more than from the farthest state of the level from which it
    can be; 0 where it can be reached from none. Distances are those of `tabular`, by value iteration over each level
    as an episode on it is laid out.

    Everything else is the world's own. Returns are too: `earned` is the reward without shaping.
    """

    kind: Literal["potential", "progress"]
    goal: str
    """The goal whose distances count."""

    def __post_init__(self):
        names = [goal.name for goal in self.inner.goals]
        if self.goal not in names:
            raise ValueError(f"shaping.goal: no goal is called {self.goal} here; one of {', '.join(names)}")

    @property
    def default_params(self) -> Any:
        return self.inner.default_params.replace(shaping=Terms(jnp.ones(()), jnp.ones(())))

    def params_of(self, values: dict[str, Any]) -> Any:
        terms = Terms(np.float32(values.get("shaping.weight", 1.0)), np.float32(1.0))
        return self.inner.params_of(values).replace(shaping=terms)

    def reset_to_level(self, key: jax.Array, level: Any, params: Any) -> State:
        inner = self.inner.reset_to_level(key, level, params)
        return State(inner, self.distances(level, params), jnp.zeros(()))

    def distances(self, level: Any, params: Any) -> jax.Array:
        """f32[S], the fewest steps from each state of a level to the goal."""
        next_state, events, terminated = self.inner.tabular(level, params)
        steps = tabular.traced_steps_left(next_state, events[..., self._goal], terminated).min(axis=-1)
        reachable = jnp.isfinite(steps)
        return jnp.where(reachable, steps, jnp.max(jnp.where(reachable, steps, -1.0)) + 1.0)

    @property
    def _goal(self) -> int:
        return [goal.name for goal in self.inner.goals].index(self.goal)

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        after, events, terminated = self.inner.transition(key, state.inner, action, params)
        far, farther = (state.distances[self.inner.state_index(one)] for one in (state.inner, after))
        if self.kind == "potential":
            bonus = far - params.shaping.discount * jnp.where(terminated, 0.0, farther)
        else:
            bonus = (events[self._goal] | (~terminated & (farther < far))).astype(jnp.float32)
        return State(after, state.distances, params.shaping.weight * bonus), events, terminated

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return self.earned(state, events, params) + state.bonus

    def states(self, level: Any, params: Any) -> Any:
        every, distances = self.inner.states(level, params), self.distances(level, params)
        return jax.vmap(lambda inner: State(inner, distances, jnp.zeros(())))(every)


def settings(goals: Sequence[Goal]) -> dict[str, Setting]:
    """The `shaping.*` keys of a world with these goals."""
    names = tuple(goal.name for goal in goals)
    intended = next(goal.name for goal in goals if goal.role == "intended")
    doc = "How reward is shaped: not at all, by a potential, which leaves what is optimal, or by paying for progress."
    found = (
        Setting("shaping.kind", str, "none", True, choices=("none", "potential", "progress"), doc=doc, later=True),
        Setting("shaping.goal", str, intended, True, choices=names, doc="The goal to come closer to.", later=True),
        Setting("shaping.weight", float, 1.0, False, 0, doc="What shaping is multiplied by.", later=True),
    )
    return {setting.key: setting for setting in found}
