"""The plan of the house: which package may import which, no import circles, no further packages, no long files.

`python tests/test_house.py` prints the faults.
"""

import ast
import graphlib
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {"sweeps": {"jaxrl", "analysis", "envs"}, "jaxrl": {"envs"}, "analysis": set(), "envs": set()}
"""The other packages that each package may import."""
PACKAGES = {*MAY_IMPORT, "tests"}
LONGEST_FILE, LONGEST_FUNCTION = 450, 70
"""In lines; a file that is better off with more says why at its top: `# Longer than 450 lines: ...`."""


def faults(root: Path) -> list[str]:
    """One line for each."""
    graph = imports(root)
    return [*further_packages(root), *upward(graph), *circles(graph), *too_long(root)]


def further_packages(root: Path) -> list[str]:
    names = {path.parent.name for path in root.glob("*/*.py") if not path.parent.name.startswith(".")}
    return [f"{name}/: a package beside {', '.join(sorted(PACKAGES))}" for name in sorted(names - PACKAGES - {"docs"})]


def imports(root: Path) -> dict[str, set[str]]:
    """The files that each file imports, as paths below root; in functions and for type checkers too.

    A package's lazy names count where they are repeated for type checkers, as they have to be for mypy.
    """
    files = {path: ast.parse(path.read_text()) for name in MAY_IMPORT for path in (root / name).rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for path, tree in files.items():
        found = {file(root, name) for name in imported(tree, path.relative_to(root))} - {None}
        graph[str(path.relative_to(root))] = {str(one.relative_to(root)) for one in found}
    return graph


def imported(tree: ast.Module, path: Path) -> set[str]:
    """What a file names in imports: `a.b` for `import a.b`, and also for `from a import b`, which may be a module."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: len(path.parts) - node.level] if node.level else ()
            names |= {".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {one.value for one in node.args if isinstance(one, ast.Constant)}
    return names


def file(root: Path, name: str) -> Path | None:
    """The file of a module, or of the module that has such a name in it; None where it is not of this house."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    path = root.joinpath(*name.split("."))
    for found in (path.with_suffix(".py"), path / "__init__.py"):
        if found.is_file():
            return found
    return file(root, name.rpartition(".")[0])


def upward(graph: dict[str, set[str]]) -> list[str]:
    def package(path: str) -> str:
        return Path(path).parts[0]

    return [
        f"{one} imports {other}; {package(one)} may import {', '.join(sorted(MAY_IMPORT[package(one)])) or 'none'}"
        for one, others in sorted(graph.items())
        for other in sorted(others)
        if package(other) not in {package(one), *MAY_IMPORT[package(one)]}
    ]


def circles(graph: dict[str, set[str]]) -> list[str]:
    """One of them, if there are any."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return ["a circle: " + " <- ".join(error.args[1])]
    return []


def too_long(root: Path) -> list[str]:
    found = []
    for path in sorted(path for name in PACKAGES for path in (root / name).rglob("*.py")):
        name, text = path.relative_to(root), path.read_text()
        tree, count = ast.parse(text), text.count("\n")
        code = [node.lineno for node in tree.body[ast.get_docstring(tree) is not None :]]
        top = "\n".join(text.split("\n")[: min(code, default=1) - 1])
        if count > LONGEST_FILE and f"# Longer than {LONGEST_FILE} lines: " not in top:
            found.append(f"{name}: {count} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION and f"# {node.name} has more than {LONGEST_FUNCTION} lines: " not in top:
                    found.append(f"{name}: {node.name} has {length} lines")
    return found


def test_the_house_is_as_planned():
    assert faults(ROOT) == []


PLAN = {
    "sweeps/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sweeps.run import run as run",
    "sweeps/run.py": "import jaxrl.learner\nfrom analysis import rates\n\ndef run():\n    from envs import make",
    "jaxrl/__init__.py": "",
    "jaxrl/learner.py": "from envs.base import World\nfrom . import rollout",
    "jaxrl/rollout.py": "import numpy\nfrom envs import base, make",
    "analysis/__init__.py": "from analysis.rates import rates",
    "analysis/rates.py": "import pandas",
    "envs/__init__.py": "from envs.base import World\ndef make():\n    pass",
    "envs/base.py": "class World:\n    pass",
    "tests/test_it.py": "import sweeps, jaxrl, envs, analysis",
    "docs/hooks.py": "",
}
"""A small house without a fault, of every kind of import."""
LONG = "x = 1\n" * 451
LONG_FUNCTION = "def long():\n" + "    x = 1\n" * 70


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ({}, None),
        ({"envs/base.py": "import jaxrl"}, "envs/base.py imports jaxrl/__init__.py; envs may import none"),
        ({"jaxrl/rollout.py": "def f():\n    from sweeps import run"}, "jaxrl/rollout.py imports sweeps/run.py;"),
        ({"jaxrl/rollout.py": "from sweeps import other"}, "jaxrl/rollout.py imports sweeps/__init__.py;"),
        ({"jaxrl/rollout.py": "import analysis.rates"}, "jaxrl/rollout.py imports analysis/rates.py;"),
        ({"analysis/rates.py": "from envs.base import World"}, "analysis/rates.py imports envs/base.py;"),
        ({"analysis/rates.py": "import importlib\nimportlib.import_module('sweeps')"}, "imports sweeps/__init__.py;"),
        ({"sweeps/run.py": "from tests import test_it"}, "sweeps/run.py imports tests/test_it.py;"),
        ({"jaxrl/rollout.py": "def f():\n    from jaxrl import learner"}, "a circle: jaxrl/"),
        ({"jaxrl/rollout.py": "from .learner import Learner"}, "a circle: jaxrl/"),
        ({"sweeps/run.py": "from sweeps import run as one_of_its_own"}, "a circle: sweeps/run.py"),
        ({"analysis/rates.py": "import analysis"}, "a circle: analysis/"),
        ({"sweeps/run.py": "import sweeps"}, "a circle: sweeps/"),
        ({"folders/paths.py": ""}, "folders/: a package beside"),
        ({"tests/test_it.py": LONG}, "tests/test_it.py: 451 lines"),
        ({"envs/base.py": '"""What."""\n\n# Longer than 450 lines: one table.\n\nimport math\n' + LONG}, None),
        ({"envs/base.py": "import math\n# Longer than 450 lines: too late.\n" + LONG}, "envs/base.py: 453 lines"),
        ({"envs/base.py": LONG_FUNCTION}, "envs/base.py: long has 71 lines"),
        ({"envs/base.py": textwrap.indent(LONG_FUNCTION, "    ").join(["class World:\n", ""])}, "long has 71 lines"),
        ({"envs/base.py": "# long has more than 70 lines: one table.\n" + LONG_FUNCTION}, None),
    ],
)
def test_a_fault_in_a_small_house_is_found(tmp_path, planted, found):
    for name, text in (PLAN | planted).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seen = faults(tmp_path)
    assert any(found in fault for fault in seen) if found else not seen, seen


if __name__ == "__main__":
    sys.exit("\n".join(faults(ROOT)) or None)
