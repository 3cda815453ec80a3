"""Shards that are stopped in their midst: what is written of them, on notice too, and what of it is believed.

That no bit tells of it is tested on real training, in test_training.py.
"""

import io
import os
import re
import signal
import time

import numpy as np
import pyarrow as pa
import pytest

from analysis.folder import SHARD_TABLES
from sweeps import checkpoints, load_spec, make_plan
from sweeps.cli import main


def from_checkpoints(done):
    """Lane-updates that a run says it found in checkpoints."""
    found = re.search(r"([\d,]+) of their updates came from checkpoints", done.stdout)
    return int(found[1].replace(",", "")) if found else 0


def until(found, process):
    deadline = time.monotonic() + 60
    while not (there := found()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return there


@pytest.mark.slow
@pytest.mark.parametrize("every", [None, "1000"])
def test_on_sigterm_a_run_exits_3_within_seconds_and_loses_nothing(toy, complete, contents, every):
    arguments = ["run", "toy.toml", "--out", "out", *(["--checkpoint-every", every] if every else [])]
    process = toy.start(*arguments, fake={"sleep": 0.3, "draw_for": 30}, own_session=True)
    until(lambda: list((toy.folder / "out").glob("outcomes/*.parquet")), process)
    time.sleep(0.5)  # and then workers are at the next shards
    os.killpg(process.pid, signal.SIGTERM)
    sent = time.monotonic()
    time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)  # as some schedulers do
    _, err = process.communicate(timeout=60)
    assert (process.returncode, time.monotonic() - sent < 10) == (3, True), err
    assert "Traceback" not in err and "died" not in err and "killed" not in err
    assert toy.workers() == []
    done = toy.run()
    assert done.returncode == 0, done.stderr
    assert (from_checkpoints(done) > 0) == (every is not None)
    assert contents(toy.folder / "out") == contents(complete)


def forged(path, change):
    """Rewritten with a digest that is right: change takes and gives its line of JSON and its arrays."""
    head, body = path.read_bytes().split(b"\n", 2)[1:]
    head, body = change(head, body)
    content = head + b"\n" + body
    path.write_bytes(checkpoints._digest(content) + b"\n" + content)


def arrays(**given):
    file = io.BytesIO()
    np.savez(file, **given)
    return file.getvalue()


def test_a_checkpoint_comes_back_whole_and_anything_else_does_not(tmp_path):
    spec = {"name": "a", "world": "coin-line", "seeds": 6, "run": {"chunk": 2, "shard_chunks": 2}}
    shard, other = make_plan(load_spec(spec)).shards()
    rows = pa.table({"x": pa.array([1.0, float("nan")], pa.float32()), "s": ["a", "b"]})
    state = [np.array(3), np.arange(4, dtype=np.uint32).reshape(2, 2)]
    given = checkpoints.Checkpoint(2, dict.fromkeys(SHARD_TABLES, rows), [np.ones((2, 3))], state)
    checkpoints.write(tmp_path, shard, True, given)
    found, why = checkpoints.read(tmp_path, shard, True)
    assert (found.lanes, why) == (2, "")
    np.testing.assert_equal(found.state, state)
    np.testing.assert_equal(found.policies, given.policies)
    assert all(table.schema == rows.schema and str(table) == str(rows) for table in found.tables.values())

    def reason(shard=shard, policies=True):
        found, why = checkpoints.read(tmp_path, shard, policies)
        assert found is None
        return why

    path = tmp_path / "checkpoints" / f"{shard.id}.checkpoint"
    good = path.read_bytes()
    assert reason(other) == ""
    assert reason(policies=False) == "of another policies"
    path.with_stem(other.id).write_bytes(good)
    assert reason(other) == "of another shard"
    for spoilt in (good[:-1], good[:100], b"", good[:500] + b"?" + good[501:]):
        path.write_bytes(spoilt)
        assert reason() == "its content does not match its digest"
    for change, expected in {
        lambda head, body: (head.replace(b'"jax": "', b'"jax": "9.'), body): "of another versions",
        lambda head, body: (head.replace(b'"lanes": 2', b'"lanes": 4'), body): "it has another number of lanes",
        lambda head, body: (head, body[:-30]): "BadZipFile",
        lambda head, body: (head, arrays(**{"state.0": np.array([{}])})): "ValueError: Object arrays cannot be loaded",
        lambda head, body: (head, arrays(outcomes=np.zeros(9, np.uint8))): "ArrowInvalid",
        lambda head, body: (b"[1]", body): "TypeError",
    }.items():
        path.write_bytes(good)
        forged(path, change)
        assert reason().startswith(expected)


@pytest.mark.slow
def test_a_checkpoint_of_no_use_is_told_and_its_shard_trained_anew(toy, complete, contents):
    out = toy.folder / "out"
    process = toy.start(
        "run", "toy.toml", "--out", "out", "--workers", "2", "--checkpoint-every", "0.01", fake={"sleep": 0.5}
    )
    until(lambda: len(list(out.glob("checkpoints/*.checkpoint"))) == 2, process)
    process.kill()
    process.communicate()
    one, other = out.glob("checkpoints/*.checkpoint")
    one.write_bytes(one.read_bytes()[:-1])
    forged(other, lambda head, body: (head, arrays(**{"state.0": np.array([1, 2])})))
    done = toy.run()
    assert (done.returncode, from_checkpoints(done)) == (0, 0), done.stderr
    said = "its checkpoint could not be used"
    assert f"chisel: shard {one.stem}: {said} (its content does not match its digest); trained again." in done.stderr
    assert f"chisel: shard {other.stem}: {said} (not of this program); trained again." in done.stderr
    assert contents(out) == contents(complete)


@pytest.mark.parametrize("given", ["0", "-1", "nan", "soon"])
def test_seconds_that_are_none_are_one_line(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "coin-line", f"--checkpoint-every={given}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_notice_whose_exception_was_lost_ends_the_run_after_the_shard(toy):
    """As where a signal comes while the interpreter is in a callback, which swallows what it raises."""
    done = toy.python(
        "import contextlib, threading\n"
        "from sweeps import running\n"
        "noticed = threading.Event()\n"
        "noticed.set()\n"
        "running._terminable = lambda: contextlib.nullcontext(noticed)\n"
        "try:\n"
        "    running.run('toy.toml', 'out', executor_name='inline', quiet=True)\n"
        "except running.Interrupted as error:\n"
        "    print(error)\n"
    )
    assert done.stdout.endswith("lanes are on disk in out; run again to continue.\n"), done.stderr
    there, _, planned, *_ = done.stdout.split()
    assert 0 < int(there) < int(planned)
