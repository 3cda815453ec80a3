"""Accelerators without one: the default chunk from a memory that is made up, and GPUs by a stand-in for jax."""

from types import SimpleNamespace

import jax
import pandas as pd
import pytest

import jaxrl
from analysis.folder import read_manifest
from sweeps import devices
from sweeps.executors import Job
from sweeps.executors.processes import _one_device
from sweeps.spec import SpecError, load_spec
from sweeps.worker import run_shard


@pytest.mark.parametrize(
    ("kind", "count", "limit", "chunk"),
    [
        ("cpu", 1, None, 8),
        ("gpu", 1, 1_000_000, 70),  # 70% of it holds 70 lanes of 10 kB
        ("gpu", 1, 10_000_000, 384),  # room for 700, but the sweep has 384
        ("gpu", 4, 10_000_000, 96),
        ("gpu", 1, 1, 1),
        ("tpu", 1, None, 384),
    ],
)
def test_the_default_chunk_is_what_fits(monkeypatch, kind, count, limit, chunk):
    stats = None if limit is None else {"bytes_limit": limit}
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(memory_stats=lambda: stats)])
    needed = {"per_lane_bytes": 4_000, "temporary_bytes": devices.TRIAL_CHUNK * 6_000}
    monkeypatch.setattr(jaxrl.Program, "memory", lambda self: needed)
    assert devices.default_chunk(load_spec("coin-run"), kind, count) == chunk
    assert devices.default_chunk(load_spec("coin-run", ["run.chunk=5"]), kind, count) == 5


def test_each_worker_has_one_of_the_gpus_that_the_driver_sees(toy):
    toy.variables["CUDA_VISIBLE_DEVICES"] = "3,5"
    of_two = {"gpus": 2, "sleep": 0.02}
    done = toy("run", "toy.toml", "--out", "out", "--quiet", fake=of_two)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(pd.read_parquet(toy.folder / "out" / "outcomes")["gpu"]) == {3, 5}
    (layer,) = read_manifest(toy.folder / "out").layers
    assert layer.platform == "gpu" and layer.versions["products"] == "float32"
    done = toy("run", "toy.toml", "--out", "other", "--workers", "3", fake=of_two)
    assert done.stderr == "workers: 3 for 2 here; each worker needs a GPU, so at most 2.\n"
    assert done.returncode == 2 and not (toy.folder / "other").exists()


@pytest.mark.parametrize(
    ("visible", "chosen", "seen"),
    [
        (None, None, ["0", "1"]),
        ("3,5", None, ["3", "5"]),
        (None, "2,1", ["2", "1"]),
        ("GPU-a,GPU-b,GPU-c", "2,0", ["GPU-c", "GPU-a"]),
    ],
)
def test_the_gpus_of_workers_are_those_that_both_of_a_users_variables_leave(monkeypatch, visible, chosen, seen):
    for name, value in {"CUDA_VISIBLE_DEVICES": visible, "JAX_CUDA_VISIBLE_DEVICES": chosen}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    job = Job(run_shard, "gpu", 2)
    assert [_one_device(job, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == seen
    assert {_one_device(job, slot)["JAX_CUDA_VISIBLE_DEVICES"] for slot in range(2)} == {"all"}


def test_worker_processes_are_refused_on_a_tpu_which_the_driver_has():
    with pytest.raises(SpecError, match=r"^device: a TPU belongs to one process, .*--executor inline\.$"):
        devices.check_workers("tpu", 4, None)
    devices.check_workers("gpu", 4, 4)
    devices.check_workers("cpu", 1, 64)
