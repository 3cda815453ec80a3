"""What `envs` hands out, and what its code may not hang on."""

import ast
import dataclasses
import pathlib

import envs
from envs.abilities import ABILITIES

ROOT = pathlib.Path(__file__).parents[2]


def test_every_world_and_every_ability_is_a_public_name():
    worlds = {world.__name__ for world in envs.WORLDS.values()}
    assert worlds | {ability.__name__ for ability in ABILITIES} <= set(envs.__all__)
    assert all(dataclasses.is_dataclass(getattr(envs, name)) for name in worlds)


def test_all_public_names_exist_once():
    assert all(hasattr(envs, name) for name in envs.__all__)
    assert len(set(envs.__all__)) == len(envs.__all__)


def test_no_code_reads_a_docstring_which_python_may_leave_out():
    """`PYTHONOPTIMIZE=2` takes docstrings away; the meaning of a setting is read off the source instead."""
    read = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("analysis", "envs", "jaxrl", "sweeps")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "__doc__")
        or (isinstance(node, ast.Name) and node.id == "__doc__")
    ]
    assert read == []
