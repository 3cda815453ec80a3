"""From a world and a key to a trained policy and its outcomes; knows nothing of sweeps or files."""

import dataclasses
import difflib
from typing import Any

from envs.settings import Setting, imported, settings_of
from jaxrl.a2c import A2C
from jaxrl.cloning import Cloning
from jaxrl.course import UnfitStateError
from jaxrl.curricula import ACCEL, CURRICULA, PLR, RANDOM, Curriculum, Experience, Finite, RobustPLR
from jaxrl.es import ES
from jaxrl.exact_gradient import ExactGradient
from jaxrl.ga import GA
from jaxrl.learner import LaneResult, Learner
from jaxrl.networks import ActorCritic, Context
from jaxrl.policy import Policy
from jaxrl.ppo import PPO
from jaxrl.pqn import PQN
from jaxrl.probing import Played
from jaxrl.program import Program, Trained
from jaxrl.reinforce import Reinforce
from jaxrl.schedules import Schedule, Settings, check_schedules, jumps, schedules_of

LEARNERS: dict[str, type[Learner]] = {
    "ppo": PPO,
    "a2c": A2C,
    "reinforce": Reinforce,
    "pqn": PQN,
    "es": ES,
    "ga": GA,
    "cloning": Cloning,
    "exact-gradient": ExactGradient,
}
"""Learners by name; a new one is one file and one entry."""


def learners() -> list[str]:
    """Every learner that a spec may name."""
    return list(LEARNERS)


def curricula() -> list[str]:
    """Every curriculum that a spec may name."""
    return [RANDOM, *CURRICULA]


def settings(name: str) -> dict[str, Setting]:
    """The settings of a learner, by key. Raises ValueError for an unknown name."""
    return _settings(_learner(name), "learner")


def curriculum_settings(name: str) -> dict[str, Setting]:
    """The settings of a curriculum, by key. Raises ValueError for an unknown name."""
    return {} if name == RANDOM else _settings(_curriculum(name), "curriculum")


def make(name: str, values: dict[str, Any] | None = None) -> Learner:
    """The learner of this name, with its static `learner.*` settings from `values`.

    Raises ValueError, in one line, for an unknown name or counts that do not fit.
    """
    return _made(_learner(name), "learner", values or {})


def make_curriculum(name: str, values: dict[str, Any] | None = None) -> Curriculum | None:
    """The curriculum of this name, as `make` does; None for `random`, fresh levels of the world's."""
    return None if name == RANDOM else _made(_curriculum(name), "curriculum", values or {})


def _learner(name: str) -> type[Learner]:
    return _known(name, LEARNERS, Learner)


def _curriculum(name: str) -> type[Curriculum]:
    return _known(name, CURRICULA, Curriculum)


def _known(name: str, registered: dict[str, type], base: type) -> Any:
    """A class by its name, or one of the user's own, `module:Name`."""
    if name in registered:
        return registered[name]
    if ":" in name:
        return imported(name, base)
    near = difflib.get_close_matches(name, registered, 1, 0)[0]
    raise ValueError(f"no {base.__name__.lower()} is called {name!r}; nearest: {near}")


def _settings(cls: Any, section: str) -> dict[str, Setting]:
    return settings_of(cls, section, static=True) | settings_of(cls.Params, section, static=False)


def _made(cls: Any, section: str, values: dict[str, Any]) -> Any:
    static = [field.name for field in dataclasses.fields(cls)]
    return cls(**{name: values[f"{section}.{name}"] for name in static if f"{section}.{name}" in values})


__all__ = [
    "ACCEL",
    "CURRICULA",
    "LEARNERS",
    "A2C",
    "ES",
    "GA",
    "PLR",
    "PPO",
    "PQN",
    "RANDOM",
    "ActorCritic",
    "Cloning",
    "Context",
    "Curriculum",
    "ExactGradient",
    "Experience",
    "Finite",
    "LaneResult",
    "Learner",
    "Played",
    "Policy",
    "Program",
    "Reinforce",
    "RobustPLR",
    "Schedule",
    "Setting",
    "Settings",
    "Trained",
    "UnfitStateError",
    "check_schedules",
    "curricula",
    "curriculum_settings",
    "jumps",
    "learners",
    "make",
    "make_curriculum",
    "schedules_of",
    "settings",
]
