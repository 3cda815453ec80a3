import contextlib
import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sweeps import compiling
from sweeps.plan import ProgramSpec

SPEC = ProgramSpec("id", "coin-run", "ppo", {"env.size": 5}, 8, (1.0,))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    return tmp_path


def compilers(called):
    """Of three functions; what is called notes its name."""

    def compiler(name, number):
        called.append(name)
        return jax.jit(lambda x: {"sum": x["x"] + number}).lower({"x": np.float32(1)}).compile()

    return {name: (lambda name=name, i=i: compiler(name, i)) for i, name in enumerate(["advance", "init", "probe"])}


@contextlib.contextmanager
def another_process(spec):
    """It compiles the first function until it is let go."""
    path = f"{os.environ['JAX_COMPILATION_CACHE_DIR']}/{compiling.LOCK}"
    code = "import fcntl, sys; file = open(sys.argv[1], 'ab'); fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2])); "
    code += "print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, path, str(compiling._place(spec, "advance"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.stdin.close


def test_what_another_process_compiles_comes_last_and_is_waited_for():
    called = []
    given = compilers(called)
    with another_process(SPEC) as let_go:
        found = compiling._shared(SPEC, given | {"probe": lambda: [given["probe"](), let_go()][0]})
    assert called == ["init", "probe", "advance"]
    assert list(found) == called


def test_another_program_is_not_waited_for():
    with another_process(dataclasses.replace(SPEC, id="other")):
        assert len(compiling._shared(SPEC, compilers([]))) == 3


def test_what_has_been_compiled_is_neither_traced_nor_compiled_again():
    called = []
    compiling._shared(SPEC, compilers(called))
    found = compiling._shared(SPEC, compilers(called))
    assert called == ["advance", "init", "probe"]
    assert [float(found[name]({"x": np.float32(1)})["sum"]) for name in called] == [1, 2, 3]
    assert found["probe"].out_info["sum"].dtype == np.float32


def test_what_calls_a_library_is_traced_by_each_process():
    """jax tells XLA where LAPACK's functions are only when it lowers one of them; without, the process dies."""
    called = []

    def orthogonal():
        called.append("init")
        return jax.jit(jnp.linalg.qr).lower(np.zeros((2, 2), np.float32)).compile()

    compiling._shared(SPEC, {"init": orthogonal})
    compiling._shared(SPEC, {"init": orthogonal})
    assert called == ["init", "init"]


def test_a_damaged_file_is_compiled_anew(cache):
    called = []
    compiling._shared(SPEC, compilers(called))
    for path in cache.glob("*.pickle"):
        path.write_bytes(path.read_bytes()[:-9])
    compiling._shared(SPEC, compilers(called))
    compiling._shared(SPEC, compilers(called))
    assert called == ["advance", "init", "probe"] * 2


@pytest.mark.parametrize("folder", [None, "gs://bucket/cache"])
def test_without_a_cache_on_disk_each_process_compiles_all(folder, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    if folder:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
    called = []
    compiling._shared(SPEC, compilers(called))
    compiling._shared(SPEC, compilers(called))
    assert called == ["advance", "init", "probe"] * 2


def test_what_is_kept_is_named_by_all_that_it_was_made_from(monkeypatch):
    names = {compiling._made_from(SPEC)}
    for change in ({"static": {"env.size": 6}}, {"chunk": 9}, {"learner": "a2c"}, {"world": "gymnax:CartPole-v1"}):
        names.add(compiling._made_from(dataclasses.replace(SPEC, **change)))
    with jax.default_matmul_precision("highest"):
        names.add(compiling._made_from(SPEC))
    monkeypatch.setattr(compiling, "package_versions", lambda: {"jax": "0.0.1"})
    names.add(compiling._made_from(SPEC))
    monkeypatch.undo()
    monkeypatch.setattr(compiling, "_source", lambda: "other code")
    names.add(compiling._made_from(SPEC))
    assert len(names) == 8
    assert None not in names


@pytest.mark.parametrize("change", [{"world": "mine:Room"}, {"static": {"learner.network": "mine:Net"}}])
def test_of_code_of_ones_own_nothing_is_kept(change, cache):
    own = dataclasses.replace(SPEC, **change)
    called = []
    compiling._shared(own, compilers(called))
    compiling._shared(own, compilers(called))
    assert called == ["advance", "init", "probe"] * 2
    assert not list(cache.glob("*.pickle"))


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
