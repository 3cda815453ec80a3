"""From a world and a key to a trained policy and its outcomes; knows nothing of sweeps or files."""

import dataclasses
import difflib
from typing import Any

from envs.settings import Setting, settings_of
from jaxrl.a2c import A2C
from jaxrl.cloning import Cloning
from jaxrl.exact_gradient import ExactGradient
from jaxrl.lanes import Program, Trained
from jaxrl.learner import Learner
from jaxrl.ppo import PPO
from jaxrl.pqn import PQN
from jaxrl.reinforce import Reinforce
from jaxrl.schedules import check_schedules, schedules_of

LEARNERS: dict[str, type[Learner]] = {
    "ppo": PPO,
    "a2c": A2C,
    "reinforce": Reinforce,
    "pqn": PQN,
    "cloning": Cloning,
    "exact-gradient": ExactGradient,
}
"""Learners by name; a new one is one file and one entry."""


def learners() -> list[str]:
    """Every learner that a spec may name."""
    return list(LEARNERS)


def settings(name: str) -> dict[str, Setting]:
    """What a sweep may vary in a learner, by key; raises ValueError for an unknown name."""
    cls = _known(name)
    return settings_of(cls, "learner", static=True) | settings_of(cls.Params, "learner", static=False)


def make(name: str, values: dict[str, Any] | None = None) -> Learner:
    """The learner of this name, with the static `learner.*` keys among `values`.

    Raises ValueError, in one line, for an unknown name or counts that do not fit.
    """
    cls, values = _known(name), values or {}
    static = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: values[f"learner.{name}"] for name in static if f"learner.{name}" in values})


def _known(name: str) -> type[Learner]:
    if name not in LEARNERS:
        raise ValueError(
            f"no learner is called {name!r}; nearest: {difflib.get_close_matches(name, LEARNERS, 1, 0)[0]}"
        )
    return LEARNERS[name]


__all__ = [
    "A2C",
    "LEARNERS",
    "PPO",
    "PQN",
    "Cloning",
    "ExactGradient",
    "Learner",
    "Program",
    "Reinforce",
    "Setting",
    "Trained",
    "check_schedules",
    "learners",
    "make",
    "schedules_of",
    "settings",
]
