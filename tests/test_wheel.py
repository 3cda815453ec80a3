"""What the wheel holds. tests/wheel.py builds and installs it."""

import sys
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tests import wheel

ROOT = Path(__file__).parents[1]
UNTRACKED = {"__pycache__", ".ipynb_checkpoints", ".lock"}


def test_the_wheel_holds_all_of_the_four_packages_and_nothing_else():
    held = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    rooms = [path for name in ("analysis", "envs", "jaxrl", "sweeps") for path in (ROOT / name).rglob("*")]
    assert held == {str(path.relative_to(ROOT)) for path in rooms if path.is_file() and not UNTRACKED & {*path.parts}}
    assert {
        "sweeps/presets/coin-run.toml",
        "analysis/report/page.html",
        "analysis/browse/page.js",
        "analysis/notebooks/first-steps.ipynb",
    } < held
    assert {"analysis/notebooks/results/manifest.json"} < held
    assert any(name.startswith("analysis/notebooks/results/outcomes/") for name in held)


def test_the_container_is_built_from_what_the_wheel_is():
    lines = [line.split() for line in (ROOT / "docs" / "Dockerfile").read_text().splitlines()]
    copied = {name for word, *names in filter(None, lines) if word == "COPY" for name in names[:-1]}
    ignored = (ROOT / "docs" / "Dockerfile.dockerignore").read_text().split()
    assert copied == {name.removeprefix("!") for name in ignored if name.startswith("!")}
    assert copied == {
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
        "analysis",
        "envs",
        "jaxrl",
        "sweeps",
    }


def test_the_sdist_holds_what_builds_and_tests_it():
    held = {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "tests/test_wheel.py",
        "docs/python.md",
    } < held
    assert not [name for name in held if name.startswith((".ci", ".github", "results/", ".venv"))]


def test_what_was_installed_is_tried_without_a_path_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "import os, sys; print(sys.argv[1] + ': x', file=sys.stderr); sys.exit(2 + ('PYTHONPATH' in os.environ))"
    wheel.refused(sys.executable, "-c", code, tmp_path, naming=tmp_path, cwd=tmp_path)
