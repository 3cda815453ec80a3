"""A stand-in for the real rooms: two small worlds, so that tests of the store and the executors need no jax."""

from pathlib import Path
from types import SimpleNamespace

__path__.append(str(Path(__file__).parents[4] / "envs"))  # the real envs/settings.py

from envs.settings import Setting  # noqa: E402

GOALS = tuple(
    SimpleNamespace(name=name, role=role, outcome="") for name, role in (("coin", "intended"), ("right-end", "proxy"))
)
Drawn = object
WORLDS = {"toy": SimpleNamespace(goals=GOALS), "blank": SimpleNamespace(goals=GOALS)}


def names():
    return list(WORLDS)


def settings(name):
    return {
        "env.size": Setting("env.size", int, 4, True, 1),
        "env.diversity": Setting("env.diversity", float, 0.0, False, 0, 1),
    }


def check_contract(world):
    pass


def make(name, values=None):
    return SimpleNamespace(
        name=name, version=1, goals=GOALS, default_params=SimpleNamespace(), check_values=lambda values: None,
        offers=lambda ability: name != "blank", probes=lambda: (), action_names=(), counters=(),
    )  # fmt: skip
