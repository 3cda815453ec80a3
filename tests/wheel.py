"""Builds the sdist and from it the wheel, installs that into a fresh environment, and works with it in an empty folder.

`make wheel` runs it. It takes minutes and a package index, so it is no part of the suite; tests/test_wheel.py is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAY = """
import analysis, envs, jaxrl, sweeps
from pathlib import Path

lane = analysis.load("results/coin-run").iloc[0]
assert str(lane["label"]), "a policy has a label"
shipped = analysis.load(Path(analysis.__file__).parent / "notebooks" / "results")
assert len(shipped) > 100, "example results are there"
assert len(sweeps.worlds()) >= len(envs.WORLDS)
for package in (analysis, envs, jaxrl, sweeps):
    assert "site-packages" in package.__file__, package.__file__
print("played")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--constraint", default=ROOT / "constraints.txt", help="the versions to install")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chisel-wheel-") as place:
        folder = Path(place)
        wheel = build(folder)
        binaries = install(wheel, folder / "environment", Path(arguments.constraint))
        empty = folder / "empty"
        empty.mkdir()
        work(binaries, empty)
        shadowed(binaries, empty)
        shutil.copytree(folder / "dist", ROOT / "dist", dirs_exist_ok=True)
    print(f"the wheel works; it is in {ROOT / 'dist'}")


def build(folder: Path) -> Path:
    """The wheel, made from the sdist, so that this holds all that it takes."""
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder / "tools", "build")
    tools = os.environ | {"PYTHONPATH": str(folder / "tools")}
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, variables=tools)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def install(wheel: Path | str, environment: Path, constraint: Path) -> Path:
    """Into a fresh environment, without any extra but those in brackets after it; returns its folder of programs."""
    run(sys.executable, "-m", "venv", environment)
    binaries = environment / "bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--constraint", constraint, wheel)
    run(binaries / "python", "-m", "pip", "check")
    return binaries


def work(binaries: Path, folder: Path) -> None:
    """What someone does who has only the wheel."""
    chisel = binaries / "chisel"
    run(chisel, "worlds", "trash-room", cwd=folder)
    run(chisel, "run", "coin-run", "--set", "seeds=2", cwd=folder)
    run(chisel, "rates", "results/coin-run", "--by", "env.diversity", cwd=folder)
    run(chisel, "figure", "results/coin-run", "--x", "env.diversity", cwd=folder)
    run(chisel, "report", "results/coin-run", cwd=folder)
    assert (folder / "results" / "coin-run" / "report.html").is_file()
    run(binaries / "python", "-c", PLAY, cwd=folder)


def shadowed(binaries: Path, folder: Path) -> None:
    """A folder of the user's own, and a file of another distribution, in place of a package: one line, exit code 2."""
    own = folder / "envs" / "__init__.py"
    own.parent.mkdir()
    own.write_text("")
    refused(binaries / "python", "-m", "sweeps.cli", "worlds", naming=own, cwd=folder)
    run(binaries / "chisel", "worlds", "trash-room", cwd=folder)  # the command does not look in the working folder
    shutil.rmtree(own.parent)
    (installed,) = binaries.parent.glob("lib/python*/site-packages/envs/__init__.py")
    installed.write_text("")
    refused(binaries / "chisel", "worlds", naming=installed, cwd=folder)


def refused(*command: object, naming: Path, cwd: Path) -> None:
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=outside(), capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith(f"{naming.resolve()}: "), done


def outside() -> dict[str, str]:
    """This process's variables, without this repository on Python's path."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(*command: object, cwd: Path | None = None, variables: dict[str, str] | None = None) -> None:
    """Shows a command, runs it without this repository on Python's path, and says how long it took."""
    print("$", *command, flush=True)
    began = time.monotonic()
    subprocess.run(list(map(str, command)), cwd=cwd, env=variables or outside(), check=True)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
