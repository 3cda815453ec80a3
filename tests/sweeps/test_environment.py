"""Numbers do not depend on how the user has set up jax, XLA, Python's path, a device or standard streams."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from importlib.metadata import PathDistribution
from types import SimpleNamespace

import jax
import pytest

import sweeps
from analysis.folder import as_place, read_manifest
from envs import CoinLine
from sweeps.cli import main
from sweeps.environment import environment, ignored, pinned
from sweeps.executors import Progress
from sweeps.progress import Meter, say
from sweeps.running import _drawing

PATH = {"PYTHONPATH": os.getcwd()}
HOSTILE = {
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DISABLE_JIT": "1",
    "FLAX_FIX_RNG_SEPARATOR": "1",
    "LIBTPU_INIT_ARGS": "--xla_tpu_rwb_fusion=false",
    "NVIDIA_TF32_OVERRIDE": "1",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}


def test_what_decides_numbers_is_left_out_of_a_workers_environment():
    harmless = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": "/cache", "JAX_TRACEBACK_FILTERING": "off"}
    given = harmless | HOSTILE | {"XLA_FLAGS": "--xla_dump_to=/dump --xla_cpu_enable_fast_math=true"}
    assert ignored(given) == HOSTILE
    found = environment(given, "cpu")
    assert found.items() >= (harmless | {"XLA_FLAGS": "--xla_dump_to=/dump", "NPROC": "1"}).items()
    assert found["JAX_DEFAULT_MATMUL_PRECISION"] == "float32"
    assert found.keys().isdisjoint(HOSTILE.keys() - {"XLA_FLAGS", "JAX_DEFAULT_MATMUL_PRECISION"})
    assert ignored(found) == {}


def test_a_worker_on_a_gpu_takes_its_share_of_memory_at_once_and_a_driver_what_it_needs():
    share, at_once = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE"
    driver = environment({}, "cpu")
    assert (driver[share], driver[at_once]) == ("0.9", "false")
    worker = environment(driver, "gpu")
    assert (worker[share], worker[at_once]) == ("0.9", "true")
    assert environment({share: "0.4"}, "gpu")[share] == "0.4"
    older = "XLA_PYTHON_CLIENT_MEM_FRACTION"
    assert environment({older: "0.4"}, "gpu").keys() & {older, share} == {older}, "jax refuses both"


DRAW = """
from sweeps.environment import prepare
assert prepare()
import jax
print(jax.random.bits(jax.random.key(0), (3,)).tolist(), jax.random.normal(jax.random.key(0), (3,)).tolist())
print(jax.numpy.zeros(1, float).dtype, jax.config.jax_default_matmul_precision)
"""


def test_a_process_that_trains_draws_the_same_numbers_whatever_its_environment_says():
    """As this one does with what jax has by default, but for the last bits, which the suite's XLA_FLAGS change."""
    command = [sys.executable, "-c", DRAW]
    done = subprocess.run(command, env=os.environ | PATH | HOSTILE, capture_output=True, text=True)
    drawn, kind = done.stdout.splitlines()
    bits, normal = map(json.loads, drawn.replace("] [", "]\n[").splitlines())
    assert bits == jax.random.bits(jax.random.key(0), (3,)).tolist() and kind == "float32 float32"
    assert normal == pytest.approx(jax.random.normal(jax.random.key(0), (3,)).tolist(), rel=1e-6)


def test_in_a_process_that_has_imported_jax_its_settings_hold_for_the_time_being():
    with jax.threefry_partitionable(False), jax.numpy_dtype_promotion("strict"):
        theirs = jax.random.bits(jax.random.key(0), (3,)).tolist()
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", False)
    try:
        with pinned():
            ours = jax.random.bits(jax.random.key(0), (3,)).tolist()
        assert jax.config.jax_threefry_partitionable is False
    finally:
        jax.config.update("jax_threefry_partitionable", before)
    with pinned():
        assert ours == jax.random.bits(jax.random.key(0), (3,)).tolist() != theirs


def test_what_can_no_longer_be_pinned_is_recorded_and_a_mixture_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sweeps.executors.inline._execute", lambda job, shards: (one for one in ()))  # trains nothing
    spec = ["coin-run", "--executor", "inline", "--quiet", "--out", str(tmp_path / "out")]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert main(["run", *spec]) == 0
    (layer,) = read_manifest(tmp_path / "out").layers
    assert layer.versions["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"
    monkeypatch.setenv("XLA_FLAGS", "")
    assert main(["run", *spec]) == 2
    line = capsys.readouterr().err
    assert 'versions.XLA_FLAGS "--xla_cpu_enable_fast_math=true" there, not given here' in line
    assert len(line.splitlines()) == 1


VERBS = """
import contextlib, io, json
from sweeps.cli import main
for verb in ["plan", "coin-run"], ["run", "coin-run", "--out", "out", "--executor", "inline"], ["doctor"]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(verb)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def test_a_device_that_does_not_start_is_one_line(tmp_path):
    clean = {key: value for key, value in os.environ.items() if key not in ignored(os.environ)}
    variables = clean | PATH | {"JAX_PLATFORMS": "nonesuch"}
    command = [sys.executable, "-c", VERBS]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
    *refused, (code, printed, said) = map(json.loads, ended.stdout.splitlines())
    for one, _, err in refused:
        assert one == 2 and len(err.splitlines()) == 1
        assert err.startswith("JAX_PLATFORMS=nonesuch: this device cannot be started here (")
    line = next(line for line in printed.splitlines() if line.startswith("FAIL  device: "))
    assert "JAX_PLATFORMS=nonesuch: this device cannot be started here" in line and code == 1
    assert "Traceback" not in said + ended.stderr


def test_a_device_that_jax_knows_and_has_no_plugin_for_is_one_line(monkeypatch, capsys):
    def missing():
        raise AssertionError  # what jax does under JAX_PLATFORMS=cuda where its CUDA plugin is not installed

    monkeypatch.setattr(jax, "default_backend", missing)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    assert main(["plan", "coin-run"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("JAX_PLATFORMS=cuda: this device cannot be started here (") and len(line.splitlines()) == 1


@pytest.mark.parametrize("name", ["analysis.py", "analysis/__init__.py", "envs/__init__.py", "jaxrl.py"])
def test_a_file_that_shadows_a_package_is_named_and_not_run(name, tmp_path):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('ran')")
    variables = os.environ | {"PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-m", "sweeps.cli", "plan", "coin-line"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
    package = name.split("/")[0].removesuffix(".py")
    line = f"{file}: shadows Chisel's package {package} on Python's path; rename it, or run from another folder.\n"
    assert (done.returncode, done.stderr) == (2, line)
    code = "import sweeps\ntry: sweeps.run\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == line, done.stderr


@pytest.mark.parametrize("foreign", [True, False])
def test_a_file_that_another_distribution_has_put_over_ours_is_named(tmp_path, monkeypatch, capsys, foreign):
    (tmp_path / "envs").mkdir()
    file = tmp_path / "envs" / "__init__.py"
    file.write_text("ours = True\n")
    record = tmp_path / "chisel_rl-0.1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).decode().rstrip("=")
    record.write_text(f"envs/__init__.py,sha256={digest},12\nchisel_rl-0.1.0.dist-info/RECORD,,\n")
    (record.parent / "METADATA").write_text("Metadata-Version: 2.4\nName: chisel-rl\nVersion: 0.1.0\n")
    monkeypatch.setattr("sweeps.shadowing.distribution", lambda name: PathDistribution(record.parent))
    if foreign:
        file.write_text("theirs = True\n")

    def missing(_):
        raise ImportError("cannot import name 'Drawn' from 'envs'")

    monkeypatch.setattr("sweeps.cli._main", missing)
    if not foreign:
        with pytest.raises(ImportError):
            main(["worlds"])
        return
    assert main(["worlds"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: is not Chisel's: another package has put a file of the same name there; install")
    assert line.endswith("It lacks what is needed here: cannot import name 'Drawn' from 'envs'.")


def test_a_run_without_a_stderr_trains_and_says_nothing(toy):
    command = f"exec {sys.executable} -m sweeps.cli run toy.toml --out out --executor inline 2>&-"
    variables = toy.variables | {"CHISEL_FAKE": json.dumps({"draw_for": 0.5})}
    done = subprocess.run(["sh", "-c", command], cwd=toy.folder, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("15 of 15 lanes in out")


def test_without_a_stderr_a_meter_is_quiet(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    say("nobody hears this")
    assert Meter([]).quiet


def test_the_drawing_thread_is_joined_on_any_error(monkeypatch, tmp_path):
    going, ended = threading.Event(), threading.Event()

    def draw(folder, plan):
        going.wait(10)
        ended.set()

    monkeypatch.setattr("sweeps.running.leave_sheets", draw)
    with pytest.raises(ZeroDivisionError), _drawing(tmp_path, None) as begin:
        begin()
        threading.Timer(0.1, going.set).start()
        _ = 1 / 0
    assert ended.is_set()


def test_no_command_hangs_on_docstrings(monkeypatch, capsys):
    """`python -OO` leaves them out; that no other code reads one is a test of envs."""
    variables = os.environ | PATH | {"PYTHONOPTIMIZE": "2"}
    command = [sys.executable, "-m", "sweeps.cli", "plan", "--help"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and len(done.stdout.splitlines()) > 5
    first = CoinLine.__doc__.splitlines()[0]
    monkeypatch.setattr(CoinLine, "__doc__", None)
    assert main(["worlds", "coin-line"]) == 0
    assert first in capsys.readouterr().out


def test_public_names_are_complete_and_lazy():
    code = "import sys, sweeps; print(sorted(set(sweeps.__all__) - set(dir(sweeps))), 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[] False\n", done.stderr
    for name in sweeps.__all__:
        assert callable(getattr(sweeps, name)), name
    assert set(sweeps.__all__) == set(sweeps._HOMES)


@pytest.mark.slow
def test_the_commands_that_a_run_advises_work_after_one_condition_too(toy):
    done = toy.run("--set", "factors={}", "--set", "fixed.env.diversity=0.5", out="one")
    lines = done.stdout.split("next:")[1].splitlines()
    assert [line.split() for line in lines] == [["chisel", "rates", "one"], ["chisel", "figure", "one"]], done.stderr
    for line in lines:
        assert main([line.split()[1], str(toy.folder / "one")]) == 0


def test_after_an_error_of_the_code_the_next_step_is_to_mend_it(toy):
    fail = {"fail_at": 0.5, "reason": "no such cell"}
    done = toy.run("--set", "factors.env.diversity=[0.5]", fake=fail)
    assert done.returncode == 4 and "next:" not in done.stdout and "tables:" not in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "chisel: 3 shards failed; an error in the code will occur again, so fix it before you run again: "
    )
    assert "RuntimeError: no such cell" in last


def test_a_world_and_a_learner_of_ones_own_are_described(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine_of_catalogue.py").write_text(
        "import dataclasses, envs, jaxrl\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Line(envs.CoinLine):\n    '''A line of mine.'''\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Learner(jaxrl.PPO):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["worlds", "mine_of_catalogue:Line"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mine_of_catalogue:Line  goals: coin (intended)") and "A line of mine." in out
    assert main(["worlds", "mine_of_catalogue:Learner"]) == 0
    assert capsys.readouterr().out.startswith("learner mine_of_catalogue:Learner\n  learner.")
    assert main(["worlds", "mine_of_catalogue:Lime"]) == 2
    assert capsys.readouterr().err.startswith("mine_of_catalogue:Lime: cannot be imported (AttributeError: ")


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_place("~/x") == tmp_path / "x"


class _Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


def test_there_is_no_time_left_before_there_is_a_rate(monkeypatch, capsys):
    clock = _Clock()
    monkeypatch.setattr("sweeps.progress.time", clock)
    meter = Meter([])
    meter.total_lanes, meter.total_updates, meter.total_steps = 8, 800, 80_000
    meter.updates_of, meter.steps_of = {"p": 100}, {"p": 10_000}
    task = SimpleNamespace(lanes=8, shard=SimpleNamespace(id="s", lanes=range(8), program=SimpleNamespace(id="p")))
    with meter:
        list(meter.handing_out([task]))
        for seconds, updates in ((60, 8), (4, 40), (6, 120)):  # a minute of compiling, then 80 updates in 10 s
            clock.now += seconds
            meter.see(Progress("s", updates))
        lines = capsys.readouterr().err.splitlines()
        assert lines[1:] == [
            "chisel: 0 of 8 lanes, 8 of 800 updates",
            "chisel: 0 of 8 lanes, 120 of 800 updates, 1,120 updates/s, 1:01 left",
        ]


def test_plan_and_run_look_at_a_worlds_contract_before_anything_else(monkeypatch, tmp_path, capsys):
    def broken(world):
        raise ValueError(
            f"world: {tmp_path}/mine.py:7: indices reach 9 where 4 values are declared; envs.check(Mine())"
        )

    monkeypatch.setattr("envs.check_contract", broken)
    for verb in (["plan", "coin-run"], ["run", "coin-run", "--executor", "inline", "--out", str(tmp_path / "out")]):
        assert main(verb) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"coin-run: world: {tmp_path}/mine.py:7: indices reach 9") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
