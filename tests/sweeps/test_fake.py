"""The stand-in for jaxrl and envs has no name, parameter or attribute that the real ones lack."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import envs
import jaxrl

FAKE = Path(__file__).parent / "fake"


def surface(path, real):
    """Each public function and class of a stand-in's file, with the real one of that name."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert hasattr(real, node.name), f"{real.__name__} has no {node.name}"
            yield node, getattr(real, node.name)


def differences(stand_in: ast.FunctionDef, real) -> list[str]:
    """What a call may give the one and not the other."""
    theirs = inspect.signature(real).parameters
    names = [one.arg for one in stand_in.args.args]
    found = [f"{real.__qualname__} has no {name}" for name in names if name not in theirs]
    found += [
        f"{stand_in.name} lacks {name}"
        for name, one in theirs.items()
        if one.default is one.empty and name not in names
    ]
    if [name for name in theirs if name in names] != [name for name in names if name in theirs]:
        found.append(f"{stand_in.name} has another order: {names}")
    return found


@pytest.mark.parametrize(
    ("file", "module"), [("jaxrl.py", "jaxrl"), ("envs/__init__.py", "envs"), ("envs/render.py", "envs.render")]
)
def test_every_name_and_signature_of_the_stand_in_is_a_real_one(file, module):
    found = []
    for node, real in surface(FAKE / file, importlib.import_module(module)):
        if isinstance(node, ast.FunctionDef):
            found += differences(node, real)
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(method, ast.FunctionDef) and (method.name == "__init__" or not method.name.startswith("_")):
                assert hasattr(real, method.name), f"{real.__name__} has no {method.name}"
                found += differences(method, getattr(real, method.name))
    assert found == []


def test_a_program_and_what_it_trains_have_the_attributes_of_the_stand_in():
    (program,) = [node for node, _ in surface(FAKE / "jaxrl.py", jaxrl) if node.name == "Program"]
    assigned = [target for node in program.body if isinstance(node, ast.Assign) for target in node.targets]
    given = {node.id for target in assigned for node in ast.walk(target) if isinstance(node, ast.Name)}
    assert given == {"total_updates", "env_steps", "flops", "curriculum"}
    counts = {"learner.total_steps": 256, "learner.n_envs": 8, "learner.n_steps": 32}
    real = jaxrl.Program(envs.make("coin-line"), jaxrl.make("ppo", counts), 1, (1,))
    assert [name for name in (*given, "compiles") if not hasattr(real, name)] == []
    (trained,) = [
        node for node in ast.walk(program) if isinstance(node, ast.Return) and "policies" in ast.unparse(node)
    ]
    assert {one.arg for one in trained.value.keywords} <= set(jaxrl.Trained._fields)
