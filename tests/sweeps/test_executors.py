"""What every executor promises, on a stand-in that takes no time: each shard once, whatever dies or fails."""

import importlib.util
import random
import re
import sys
import time

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
EXECUTORS = ["inline", "processes", "ray"]
ON_LOOPBACK = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster of two cores that the drivers of this module share."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ON_LOOPBACK.items():
            patch.setenv(name, value)
        import ray  # which reads them

        context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture
def start(toy, executor, request):
    """Starts a run of toy.toml in `out`, on the executor that the test is for."""
    if executor == "ray":
        address = request.getfixturevalue("cluster")
        toy.variables |= {"RAY_ADDRESS": address, **ON_LOOPBACK}
    return lambda *more, **given: toy.start("run", "toy.toml", "--out", "out", "--executor", executor, *more, **given)


def ended(process):
    """Exit code, stdout and stderr."""
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def lanes(folder):
    table = pq.read_table(folder / "outcomes", columns=["condition", "seed"]).to_pylist()
    return {tuple(lane.values()) for lane in table}, len(table)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_lane_is_one_row_the_same_on_all_and_a_second_run_has_nothing_to_do(toy, start, complete, contents):
    code, out, err = ended(start())
    assert (code, out.splitlines()[0]) == (0, "15 of 15 lanes in out, 15 of them trained now"), err
    found, rows = lanes(toy.folder / "out")
    assert len(found) == rows == 15
    assert contents(toy.folder / "out") == contents(complete)
    code, out, err = ended(start())
    assert (code, err) == (0, "") and out.startswith("Complete already: 15 of 15 lanes in out")
    assert contents(toy.folder / "out") == contents(complete)


@LINUX
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_driver_that_is_killed_and_run_again_ends_with_the_same_bytes(toy, start, complete, contents, executor):
    """With checkpoints, too: what they say of a shard has to be as true as its tables."""
    moments = random.Random(executor)
    for more in [], ["--checkpoint-every", "0.01"]:
        process = start(*more, fake={"sleep": 0.2})
        there = len(list((toy.folder / "out").glob("outcomes/*.parquet")))
        while len(list((toy.folder / "out").glob("outcomes/*.parquet"))) == there:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.5))
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 60  # one that is still importing reads its pipe when it is through
        while toy.workers():
            assert time.monotonic() < deadline, "workers outlive the driver"
            time.sleep(0.05)
    code, out, err = ended(start())
    assert code == 0 and not out.startswith("Complete already"), err
    assert contents(toy.folder / "out") == contents(complete)


@pytest.mark.parametrize("executor", EXECUTORS[1:])
def test_a_worker_that_dies_is_told_and_its_shard_trained_again(toy, start, complete, contents):
    code, _, err = ended(start(fake={"die_at": 0.5, "once": str(toy.folder / "died")}))
    assert code == 0, err
    assert (toy.folder / "died").exists()
    (line,) = [line for line in err.splitlines() if "worker" in line]
    assert re.fullmatch(
        r"chisel: shard \w{16}: its worker was (killed by SIGKILL|lost \(.*\)); if memory ran out, "
        r"take fewer --workers, or plan with --set run.chunk=1 and another --out; trying once more\.",
        line,
    )
    assert contents(toy.folder / "out") == contents(complete)


@pytest.mark.parametrize(
    ("executor", "how", "reason"),
    [
        *((executor, {"fail_at": 1.0}, "RuntimeError: no luck (jaxrl.py:") for executor in EXECUTORS),
        ("processes", {"die_at": 1.0}, "its worker was killed by SIGKILL; if memory ran out, take fewer --workers"),
        (
            "processes",
            {"fail_at": 1.0, "reason": "RESOURCE_EXHAUSTED: 7 GB"},
            "a chunk of 2 lanes does not fit into the device's memory; plan with --set run.chunk=1 and another --out",
        ),
    ],
)
def test_shards_that_always_fail_exit_4_with_the_reason_while_others_finish(toy, start, how, reason, executor):
    code, _, err = ended(start(fake=how))
    assert code == 4
    assert sum(reason in line and " failed: " in line for line in err.splitlines()) == 3
    assert "Traceback" not in err
    assert lanes(toy.folder / "out")[1] == 10  # the two whole diversities: their five shards of two lanes
    if executor == "processes" and how == {"fail_at": 1.0}:
        assert ended(start())[0] == 0
        assert lanes(toy.folder / "out")[1] == 15


@pytest.mark.parametrize("executor", EXECUTORS)
def test_two_drivers_that_start_at_once_on_one_folder_train_no_shard_twice(toy, start, complete, contents):
    both = [ended(process) for process in [start(fake={"sleep": 0.1}), start(fake={"sleep": 0.1})]]
    codes = sorted(code for code, *_ in both)
    assert codes in ([0, 2], [0, 0]), both
    trained = [int(out.split(", ")[1].split()[0]) for _, out, _ in both if "of them trained now" in out]
    assert trained == [15], both
    assert all("another run is training these shards" in err for code, _, err in both if code == 2)
    assert contents(toy.folder / "out") == contents(complete)


def test_a_cluster_that_does_not_answer_is_one_line(toy):
    toy.variables["RAY_ADDRESS"] = "127.0.0.1:9"
    refused = toy.run("--executor", "ray")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.startswith("RAY_ADDRESS: 127.0.0.1:9 cannot be reached (Connection refused)")


def test_without_ray_there_is_one_line_that_names_the_extra(toy):
    (toy.folder / "ray.py").write_text("raise ImportError")  # the command's own folder comes first
    refused = toy.run("--executor", "ray")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "--executor ray: Ray is not installed; pip install 'chisel-rl[ray]'.\n"
    assert not (toy.folder / "out").exists()
