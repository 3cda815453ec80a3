"""Curricula: which levels a lane trains on, and in which order; pure functions for one lane."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
from flax import struct

from envs import World
from jaxrl import rollout
from jaxrl.learner import Learner


class Experience(NamedTuple):
    """What a rollout tells a curriculum about its levels."""

    steps: rollout.Steps
    discount: jax.Array
    """f32[], the learner's, gamma."""
    gae_lambda: jax.Array
    """f32[], the learner's; 1 where it has none."""


@struct.dataclass
class Params:
    """The numbers of a curriculum; every field is traced."""


@dataclasses.dataclass(frozen=True)
class Curriculum(abc.ABC):
    """A frozen dataclass of static shapes and counts; `Params` holds the numbers that are traced.

    All work on one lane: the caller vmaps them. Without a curriculum (`random`) every episode has a fresh level of the
    world's: domain randomisation.
    """

    version: ClassVar[int] = 1
    """Raised when the meaning of the curriculum changes: it is part of every condition's id."""
    Params: ClassVar[Any] = Params
    restarts: ClassVar[bool] = False
    """Whether each update begins with new episodes, on the levels that were chosen for it."""

    @property
    def needs_values(self) -> bool:
        """Whether `update` needs the values that a learner gives to what it sees."""
        return False

    def check(self, world: World, learner: Learner) -> None:  # noqa: B027 - most curricula take any
        """Raises ValueError, in one line that begins with the key at fault, where the curriculum cannot work here."""

    @abc.abstractmethod
    def init(self, world: World, key: jax.Array, env_params: Any, params: Any, n_envs: int) -> Any:
        """What it remembers before the first update."""

    @abc.abstractmethod
    def levels(
        self, world: World, state: Any, key: jax.Array, env_params: Any, params: Any, n_envs: int
    ) -> tuple[Any, Any, jax.Array]:
        """Chooses the levels of an update.

        Returns:
          the state; levels, leaves [turns, n_envs, ...], through which each environment goes in turn; and whether the
          learner is to learn from them, bool[].
        """

    def update(self, world: World, state: Any, experience: Experience, env_params: Any, params: Any) -> Any:
        """The state after the levels that were chosen last have been played."""
        return state

    def outcomes(self, world: World, state: Any) -> dict[str, jax.Array]:
        """Columns of the outcomes table that only this curriculum has, f32[] each."""
        return {}
