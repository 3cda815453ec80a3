import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.cli import main
from tests.sweeps.commands import Command, Server

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).parent / "fake"

TOY = """
name = "toy"
world = "toy"
seeds = 5
[factors]
env.diversity = [0.0, 0.5, 1.0]
[run]
chunk = 2
"""


@pytest.fixture(scope="session", autouse=True)
def _own_cache():
    """The user's compilation cache is neither read nor written; the tests of a run of the suite share one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]) / "commands"))
        yield


_servers: dict[str, Server] = {}
"""By Python's path."""


@pytest.fixture(scope="session", autouse=True)
def _end_servers():
    yield
    while _servers:
        _servers.popitem()[1].close()


class Chisel:
    """Runs `chisel` in a process of its own, in a folder of its own."""

    def __init__(self, folder: Path, fake: bool):
        self.folder = folder
        self.path = os.pathsep.join(map(str, [FAKE, ROOT] if fake else [ROOT]))

        # The suite's own settings of jax must not stand in for the command's.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("NPROC", "JAX_", "XLA_"))}
        self.variables = {**inherited, "PYTHONPATH": self.path}

    def start(self, *arguments: str, fake: dict | None = None, own_session: bool = False) -> Command:
        variables = {**self.variables, "CHISEL_FAKE": json.dumps(fake or {})}
        if "RAY_ADDRESS" in variables:  # a cluster does not inherit the driver's variables
            given = {"runtime_env": {"env_vars": {"CHISEL_FAKE": variables["CHISEL_FAKE"]}}}
            variables["RAY_JOB_CONFIG_JSON_ENV_VAR"] = json.dumps(given)
        if self.path not in _servers:
            _servers[self.path] = Server(self.path)
        return Command(_servers[self.path], arguments, self.folder, variables, own_session)

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess:
        """Runs a script that imports sweeps; without a guard on __main__, as users write them."""
        script = self.folder / "script.py"
        script.write_text(code)
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=280)

    def __call__(self, *arguments: str, fake: dict | None = None) -> subprocess.CompletedProcess:
        """Runs a command to its end: one that only reads a folder, which needs no world, in this process."""
        if arguments[0] in ("status", "rates", "figure"):
            with (
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(io.StringIO()) as out,
                contextlib.redirect_stderr(io.StringIO()) as err,
            ):
                code = main(list(arguments))
            return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
        command = self.start(*arguments, fake=fake)
        out, err = command.communicate(timeout=280)
        return subprocess.CompletedProcess(arguments, command.returncode, out, err)

    def run(self, *more: str, out: str = "out", fake: dict | None = None) -> subprocess.CompletedProcess:
        """Runs toy.toml, or what of it is missing in a folder, without workers."""
        return self("run", "toy.toml", "--out", out, "--executor", "inline", *more, fake=fake)

    def workers(self) -> list[int]:
        """Process ids of living workers that a run in this folder has started."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                ours = os.readlink(entry / "cwd") == str(self.folder)
                if ours and b"processes import serve" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@pytest.fixture(scope="session")
def complete(tmp_path_factory):
    """The folder of toy.toml, all of it trained."""
    folder = tmp_path_factory.mktemp("complete")
    (folder / "toy.toml").write_text(TOY)
    assert Chisel(folder, fake=True).run().returncode == 0
    return folder / "out"


@pytest.fixture
def toy(tmp_path) -> Chisel:
    """`chisel` over a stand-in world and learner, with the spec toy.toml: 15 lanes in 8 shards."""
    (tmp_path / "toy.toml").write_text(TOY)
    return Chisel(tmp_path, fake=True)


@pytest.fixture
def trained(toy, complete) -> Chisel:
    """`toy` with all of toy.toml trained in `out`."""
    shutil.copytree(complete, toy.folder / "out")
    return toy


@pytest.fixture
def chisel(tmp_path) -> Chisel:
    """`chisel` itself."""
    return Chisel(tmp_path, fake=False)


@pytest.fixture
def contents():
    """Every finished file of a results folder, by relative path."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read
