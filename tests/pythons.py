"""Runs the quick tests with each supported Python and jax, in an environment for each.

`make pythons` runs it. It needs a package index and the Pythons, from pyenv or as `python3.12` on the path.
Environments are kept in the folder CHISEL_PYTHONS, and used again:

    make pythons                                          # all
    python tests/pythons.py --only 3.13/0.11              # one of them
    python tests/pythons.py --only 3.13/0.11 tests/envs   # and a part of the tests
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMBINATIONS = ("3.11/0.10", "3.12/0.10", "3.12/0.11", "3.13/0.10", "3.13/0.11")
"""Of Python and jax; jax 0.11 needs Python 3.12."""
PINNED = ("3.11/0.10", "3.12/0.11", "3.13/0.11")
"""Of which constraints.txt has the versions; in the others what depends on Python's version is left to pip."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=COMBINATIONS, action="append", help="a Python and a jax; may be repeated")
    parser.add_argument("tests", nargs="*", help="for pytest; all quick ones where nothing is given")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("CHISEL_PYTHONS") or ROOT / "build" / "pythons")
    outcomes = {one: passed(one, folder, arguments.tests) for one in arguments.only or COMBINATIONS}
    for one, (is_good, seconds) in outcomes.items():
        print(f"Python {one.replace('/', ', jax ')}: {'passed' if is_good else 'FAILED'} in {seconds:.0f} s")
    sys.exit(not all(is_good for is_good, _ in outcomes.values()))


def passed(combination: str, folder: Path, tests: list[str]) -> tuple[bool, float]:
    """Whether the tests pass, and how long they took, installation aside."""
    python = environment(combination, folder)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-m", "pytest", "--numprocesses", "2", "--dist", "loadfile", "-m", "not slow", *tests]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=variables)
    return done.returncode == 0, time.monotonic() - began


def environment(combination: str, folder: Path) -> Path:
    """The Python of an environment with this Chisel and what its tests need; made, or brought up to date."""
    version, jax = combination.split("/")
    place = folder / combination.replace("/", "-jax")
    python, made = place / "bin" / "python", place / "made-for"
    allowed = constraints((ROOT / "constraints.txt").read_text(), jax, combination in PINNED)
    wanted = "\n".join([str(ROOT), (ROOT / "pyproject.toml").read_text(), allowed])
    if not made.exists():
        subprocess.run([interpreter(version), "-m", "venv", "--clear", place], check=True)
    if not made.exists() or made.read_text() != wanted:
        constraint = place / "constraints.txt"
        constraint.write_text(allowed)
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraint, "--editable", f"{ROOT}[dev]"]
        subprocess.run(install, check=True)
        found = subprocess.run([python, "-c", "import jax; print(jax.__version__)"], capture_output=True, text=True)
        if not found.stdout.startswith(f"{jax}."):
            sys.exit(f"{place}: has jax {found.stdout.strip() or found.stderr}, and not {jax}")
        made.write_text(wanted)
    return python


def constraints(pinned: str, jax: str, whole: bool) -> str:
    """Those of the repository; or without the lines that depend on Python's version, and with another jax."""
    if whole:
        return pinned
    lines = [line for line in pinned.splitlines() if "python_version" not in line]
    return "\n".join([*lines, f"jax=={jax}.*", f"jaxlib=={jax}.*"]) + "\n"


def interpreter(version: str) -> Path | str:
    """A Python of a version: pyenv's newest, else the one on the path."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    there = [path for path in pyenv.glob(f"{version}.*/bin/python") if re.fullmatch(r"[\d.]+", path.parts[-3])]
    return max(there, key=lambda path: int(path.parts[-3].split(".")[2]), default=f"python{version}")


if __name__ == "__main__":
    main()
