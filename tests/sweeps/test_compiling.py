import contextlib
import functools
import itertools
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from sweeps import compiling
from sweeps.cli.training import _compiling


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "new"))


def functions(called, *names):
    """What is compiled notes its name."""
    return {name: lambda name=name: functools.partial(called.append, name) for name in names}


@contextlib.contextmanager
def another_process(program):
    """It compiles the first function until it is let go."""
    folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    folder.mkdir()
    path = folder / compiling.LOCK
    code = "import fcntl, sys; file = open(sys.argv[1], 'ab'); fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2])); "
    code += "print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, path, str(zlib.crc32(f"{program} advance".encode()))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.stdin.close


def test_what_another_process_compiles_is_waited_for_and_holds_up_nothing_else():
    called = []
    given = functions(called, "advance", "init", "probe")
    with another_process("a") as let_go:
        found = compiling._shared("a", given | {"probe": lambda: lambda: [called.append("probe"), let_go()]})
    assert sorted(called[:2]) == ["init", "probe"] and called[2:] == ["advance"]
    assert list(found) == ["advance", "init", "probe"]


def test_another_program_is_not_waited_for():
    with another_process("b"):
        assert len(compiling._shared("a", functions([], "advance"))) == 1


def test_a_function_is_compiled_while_the_next_is_lowered():
    compiled = threading.Event()

    def lower():
        assert compiled.wait(10)
        return lambda: None

    compiling._shared("a", {"advance": lambda: compiled.set, "init": lower})


def test_how_long_compiling_took_is_known_once_the_last_function_is_there(monkeypatch):
    clock = iter([0.0, 0.5, 1.0, 4.0, 5.0, 7.0])
    monkeypatch.setattr(compiling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for name in ("init", "advance"):
        compiling._shared("a", functions([], name))
    assert compiling.seconds("a") is None
    compiling._shared("a", functions([], compiling.LAST))
    assert compiling.seconds("a") == 3.0 + 2.0
    assert compiling.seconds("b") is None


def test_what_jax_reads_from_its_cache_does_not_count_as_compiling():
    def lower():
        return jax.jit(lambda x: x * np.float32(3.25)).lower(np.float32(1)).compile

    least = "jax_persistent_cache_min_compile_time_secs"
    before = jax.config.values[least]
    jax.config.update(least, 0.0)
    try:
        for name in "a", "b":
            compiling._shared(name, {compiling.LAST: lower})
    finally:
        jax.config.update(least, before)
    assert compiling.seconds("a") > 0 and compiling.seconds("b") is None


class Built:
    """A program in name."""

    def __init__(self, number):
        self.number = number

    def compile(self, get):
        pass

    def memory(self):
        return {"per_lane_bytes": self.number}


def test_memory_is_read_from_the_record_until_a_function_is_compiled_again():
    built = map(Built, itertools.count())
    asked = functools.partial(compiling.memory, build=lambda: next(built))
    assert [asked("a")["per_lane_bytes"] for _ in range(2)] == [0, 0]
    assert asked("b")["per_lane_bytes"] == 1
    compiling._shared("a", functions([], compiling.LAST))
    assert [asked(name)["per_lane_bytes"] for name in "ab"] == [2, 1]


@pytest.mark.parametrize(
    ("programs", "timed", "seconds", "said"),
    [
        (1, 0, None, "compiling has not been timed here"),
        (1, 1, 24.0, "compiling takes 24 s here, once"),
        (3, 1, 130.0, "compiling takes 2 min a program here (1 of 3 timed), once"),
    ],
)
def test_a_plan_says_what_compiling_takes(programs, timed, seconds, said):
    assert _compiling(programs, timed, seconds) == said


@pytest.mark.parametrize("folder", [None, "gs://bucket/cache"])
def test_without_a_cache_on_disk_each_process_compiles_all(folder, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    if folder:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
    called = []
    compiling._shared("a", functions(called, "advance", "init", "probe"))
    assert called == ["advance", "init", "probe"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_pinned_process_has_all_cores_while_it_compiles():
    everywhere = os.sched_getaffinity(0)
    one = {min(everywhere)}
    try:
        compiling._pin(one)
        with compiling.all_cores():
            assert os.sched_getaffinity(0) == everywhere
        assert os.sched_getaffinity(0) == one
    finally:
        compiling._pin(everywhere)
