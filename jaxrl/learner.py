"""The contract of a learner: pure functions for one lane, which nothing in them knows to be vmapped."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax

from envs import Observation, World
from jaxrl.networks import NOTHING, Context
from jaxrl.schedules import Settings

CURVE_POINTS = 50
"""Points of a training curve, about; a lane of fewer updates has one an update."""


class LaneResult(NamedTuple):
    """The result of training one lane."""

    policy: Any
    """What `Learner.apply` takes."""
    diverged: jax.Array
    """bool[], whether a number has ever been non-finite."""
    outcomes: dict[str, jax.Array] = {}  # noqa: RUF012 - never written to
    """Columns of the outcomes table that only this learner has; each []."""
    curriculum: Any = ()
    """What the curriculum remembers."""


@dataclasses.dataclass(frozen=True)
class Learner(abc.ABC):
    """A frozen dataclass of static shapes and counts; `Params` holds the numbers that are traced.

    Settings are asked for anew at every update, since they may follow a schedule.
    `init`, `advance` and `finish` work on one lane: the caller vmaps them. `advance` may be called any number of times;
    in how many pieces an update count comes does not matter.
    """

    version: ClassVar[int] = 1
    """Raised when the meaning of the learner changes: it is part of every condition's id."""
    Params: ClassVar[Any]
    takes_curricula: ClassVar[bool] = False
    """Whether it plays the levels that a curriculum chooses."""
    takes_approval: ClassVar[bool] = False
    """Whether it can sum up as few rewards as approval says, and learn from an action that it did not take."""

    @property
    def learns_reward(self) -> bool:
        """Whether it learns from a reward that it has learnt itself, and not from the world's."""
        return False

    @property
    def has_values(self) -> bool:
        """Whether it knows what it expects of what it sees, so that a curriculum may score levels by it."""
        return False

    @property
    @abc.abstractmethod
    def total_updates(self) -> int:
        """Updates from beginning to end."""

    @property
    def steps_per_update(self) -> int:
        """Environment steps of an update; 0 where none is played, and then there is no tally."""
        return 0

    @abc.abstractmethod
    def flops(self, world: World) -> float:
        """FLOPs of an update of one lane, about: what the time of a run is estimated from."""

    def curve_points(self) -> list[int]:
        """The updates, rising, after which a point of the curve is taken; the last is `total_updates`."""
        points = min(CURVE_POINTS, self.total_updates)
        return [round(self.total_updates * i / points) for i in range(1, points + 1)]

    def check(self, world: World) -> None:
        """Raises ValueError, in one line that begins with the key at fault, where the learner cannot train here.

        Most learners take any world but one that shows pictures.
        """
        if world.layout.image is not None:
            raise ValueError(f"learner: {world.name} shows a picture; expected one of ppo, a2c, reinforce and pqn")

    def check_values(self, values: dict[str, Any]) -> None:  # noqa: B027
        """Raises ValueError, in one line that begins with the key, where a traced value does not fit the others."""

    @abc.abstractmethod
    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[Any, Any]:
        """A lane before its first update, and the `rollout.Tally` of its first episodes or None."""

    @abc.abstractmethod
    def advance(self, world: World, state: Any, settings: Settings, updates: jax.Array) -> tuple:
        """Runs `updates` i32[] updates: the state, a tally of them all or None, and metrics (a NamedTuple of f32[])."""

    @abc.abstractmethod
    def finish(self, state: Any) -> LaneResult:
        """What training has left so far."""

    def first_layer(self, policy: Any) -> jax.Array | None:
        """f32[inputs, ...], the weights of each input of the policy, those of observed indices first.

        None where there are none that stay as they were until training first shows the input.
        """
        return None

    def context(self, world: World, n_envs: int) -> Context:
        """What a policy is given beside its first observation in each of some environments."""
        return NOTHING

    @abc.abstractmethod
    def apply(self, world: World, variables: Any, observation: Observation, context: Context = NOTHING) -> Any:
        """Logits f32[..., actions] and value f32[...] of a policy, and what it remembers afterwards."""
