"""Worlds whose outcomes are labelled: each is a gymnax environment that says which goal an event serves."""

import dataclasses
import difflib
from typing import Any

from envs import approval, asking, gymnax_world, lives, shaping
from envs.abilities import Compared, Comparisons, Drawn, Editable, OnTerms, Priced, Solved, Sources, Starting, Tabular
from envs.approval import Approved
from envs.asking import Asking
from envs.bandit import Bandit
from envs.base import Goal, Params, Probe, World
from envs.camera import Camera
from envs.check import Finding, check, check_contract, require
from envs.cheese import MazeCorner, MazeDish
from envs.coin_line import CoinLine
from envs.coin_run import CoinRun
from envs.dial import Dial
from envs.errands import Errands
from envs.far_reward import FarReward
from envs.gems import Gems
from envs.gymnax_world import GymnaxWorld
from envs.kinds import Kinds
from envs.ladder import Ladder
from envs.layout import HIDDEN, NUMBER, Channel, Feature, Image, Layout, Observation, dense, flag, one_hot
from envs.lives import Lives
from envs.maze_keys import MazeKeys
from envs.objects import Objects
from envs.overseer import Overseer
from envs.platformer import Platformer
from envs.quiz import Quiz
from envs.register import Register
from envs.reversal import Reversal
from envs.room import Room
from envs.settings import Setting, imported
from envs.shaping import Shaped
from envs.trash_room import TrashRoom
from envs.wage import Wage
from envs.wrapper import Wrapper

WORLDS: dict[str, type[World]] = {
    "bandit": Bandit, "camera": Camera, "coin-line": CoinLine, "coin-run": CoinRun, "dial": Dial,
    "errands": Errands, "far-reward": FarReward, "gems": Gems, "kinds": Kinds, "ladder": Ladder,
    "maze-corner": MazeCorner, "maze-dish": MazeDish, "maze-keys": MazeKeys, "objects": Objects,
    "overseer": Overseer, "platformer": Platformer, "quiz": Quiz, "register": Register, "reversal": Reversal,
    "trash-room": TrashRoom, "wage": Wage,
}  # fmt: skip
"""Chisel's own worlds by name; a new one is one file and one entry."""
_GYMNAX = "gymnax:"


def names() -> list[str]:
    """Every world that a spec may name; imports gymnax for it."""
    theirs = (one for one in gymnax_world.package().registered_envs if not one.startswith("chisel/"))
    return [*WORLDS, *(_GYMNAX + identifier for identifier in theirs)]


def settings(name: str) -> dict[str, Setting]:
    """The settings of a world, by key. Raises ValueError for an unknown name."""
    if name.startswith(_GYMNAX):
        _check_gymnax(name)
        return GymnaxWorld.settings_of(name.removeprefix(_GYMNAX))
    cls = _class(name)
    if not cls.goals:
        return cls.settings()
    wrapped = shaping.settings(cls.goals) | approval.settings(cls) | lives.settings(cls) | asking.settings()
    return cls.settings() | wrapped


def make(name: str, values: dict[str, Any] | None = None) -> World:
    """The world of this name, with its static settings from `values`.

    Raises ValueError, in one line, for an unknown name or a shape that makes no sense.
    """
    if name.startswith(_GYMNAX):
        _check_gymnax(name)
        return GymnaxWorld(name.removeprefix(_GYMNAX))
    cls, values = _class(name), values or {}
    static = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    world = cls(**{name: values[f"env.{name}"] for name in static if f"env.{name}" in values})
    shaped, asked = values.get("shaping.kind", "none"), values.get("approval.kind", "none")
    rounds = values.get("lives.rounds", 1)
    if values.get("ask.offered", False):
        if not (shaped == asked == "none" and rounds == 1):
            raise ValueError("ask.offered: true cannot be combined with lives, shaping or approval; expected false")
        return Asking(world)
    if rounds > 1:
        if not shaped == asked == "none":
            raise ValueError(f"lives.rounds: {rounds} cannot be combined with shaping or approval; expected 1")
        return Lives(world, rounds)
    if not world.goals or shaped == asked == "none":
        return world
    known = settings(name)
    if asked == "none":
        return Shaped(world, shaped, values.get("shaping.goal", known["shaping.goal"].default))
    if shaped != "none":
        raise ValueError(f"approval.kind: {asked}, and shaping.kind is {shaped}; expected none for one of the two")
    return approval.approved(world, asked, values.get("approval.foresight", known["approval.foresight"].default))


def _class(name: str) -> type[World]:
    """A world by its name, or one of the user's own, `module:Name`."""
    if name in WORLDS:
        return WORLDS[name]
    if ":" in name:
        return imported(name, World)
    raise ValueError(f"no world is called {name!r}; nearest: {_nearest(name)}")


def _check_gymnax(name: str) -> None:
    if name not in names():
        raise ValueError(f"no world is called {name!r}; nearest: {_nearest(name)}")


def _nearest(name: str) -> str:
    return difflib.get_close_matches(name, names(), 1, 0)[0]


__all__ = [
    "HIDDEN", "NUMBER", "WORLDS", "Approved", "Asking", "Bandit", "Camera", "Channel", "CoinLine", "CoinRun",
    "Compared", "Comparisons", "Dial", "Drawn", "Editable", "Errands", "FarReward", "Feature", "Finding", "Gems",
    "Goal", "GymnaxWorld", "Image", "Kinds", "Ladder", "Layout", "Lives", "MazeCorner", "MazeDish", "MazeKeys",
    "Objects", "Observation", "OnTerms", "Overseer", "Params", "Platformer", "Priced", "Probe", "Quiz", "Register",
    "Reversal", "Room", "Setting", "Shaped", "Solved", "Sources", "Starting", "Tabular", "TrashRoom", "Wage",
    "World", "Wrapper", "check", "check_contract", "dense", "flag", "make", "names", "one_hot", "require", "settings",
]  # fmt: skip
