"""Several runs on one folder: they train disjoint parts, or the second is refused; a dead one holds nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from analysis.folder.locks import BusyError, FileLock, holder
from sweeps import SpecError, load_spec, make_plan
from sweeps.cli import main
from sweeps.layers import Part


def at_work(toy, *arguments):
    """A run that has taken its shards, and will not finish one."""
    process = toy.start("run", "toy.toml", "--out", "out", "--executor", "inline", *arguments, fake={"sleep": 60})
    while holder(toy.folder / "out") is None:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_works_and_takes_over_when_it_is_killed(toy, complete, contents):
    first = at_work(toy)
    refused = toy.run()
    assert (refused.returncode, refused.stdout) == (2, "")
    who = f"process {first.pid}" if sys.platform.startswith("linux") else "another process"
    hint = "wait until it ends, or share the work: --shards I/N"
    assert refused.stderr == f"out: another run is training these shards ({who}); {hint}.\n"
    assert json.loads(toy("status", "out", "--json").stdout)["running"] == who
    before = contents(toy.folder / "out")
    assert toy.run("--set", "seeds=9").returncode == 2
    assert contents(toy.folder / "out") == before, "a folder that is busy does not grow"
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert json.loads(toy("status", "out", "--json").stdout)["running"] is None
    second = toy.run()
    assert second.returncode == 0, second.stderr
    assert contents(toy.folder / "out") == contents(complete)


@pytest.mark.slow
def test_parts_that_start_at_once_share_a_folder_and_train_no_shard_twice(toy, complete, contents):
    """Each begins the folder, or finds that another has; then two run into each other's parts."""
    parts = [
        toy.start("run", "toy.toml", "--out", "out", "--executor", "inline", "--shards", f"{i}/3") for i in (1, 2, 3)
    ]
    said = [part.communicate(timeout=100) for part in parts]
    assert [part.returncode for part in parts] == [0, 0, 0], said
    trained = [int(out.split(", ")[1].split()[0]) for out, _ in said]
    assert sum(trained) == 15 and min(trained) >= 4, said
    assert said[0][0].startswith(f"{trained[0]} of {trained[0]} lanes in part 1/3 of out, {trained[0]} of them trained")
    assert contents(toy.folder / "out") == contents(complete)


@pytest.mark.slow
def test_parts_that_overlap_are_refused_and_others_are_not(toy):
    first = at_work(toy, "--shards", "1/2")
    assert toy.run("--shards", "2/3").returncode == 2
    assert toy.run().returncode == 2
    assert toy.run("--shards", "2/2").returncode == 0
    first.kill()
    first.communicate()
    assert "15 of 15 lanes in out" in toy.run().stdout


def test_parts_cover_every_shard_once_and_take_equal_shares_of_each_layer():
    spec = {"name": "a", "world": "coin-line", "factors": {"env.length": [6, 8], "env.diversity": [0.0, 1.0]}}
    plan = make_plan(load_spec({**spec, "seeds": 37, "run": {"chunk": 4}}))
    flops = {one.program.id: one.flops for one in plan.programs}
    cost = [flops[shard.program.id] * -(-len(shard.lanes) // 4) for shard in plan.shards()]
    for n in (1, 2, 3, 16, 1000):
        parts = [Part(i + 1, n).of_layer(plan) for i in range(n)]
        assert [place for part in parts for place in part] == list(range(len(plan.shard_ids)))
        shares = np.array([sum(cost[place] for place in part) for part in parts])
        assert shares.max() - shares.min() <= 2 * max(cost)
    with pytest.raises(SpecError, match="shards: 4/3 is not a part; expected I/N, I from 1 to N"):
        Part(4, 3)


@pytest.mark.parametrize("given", ["3", "0/3", "4/3", "a/b", "-1/3", "1/9999999", "1/", "1/2/3", "²/3"])
def test_a_part_that_is_none_is_one_line(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "coin-line", "--shards", given]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_given_back_by_the_death_of_its_holder_alone(tmp_path):
    code = """
import sys, time
from pathlib import Path
from analysis.folder.locks import FileLock
with FileLock(Path(sys.argv[1])) as lock:
    lock.take([range(3), range(10, 12)])
    print(flush=True)
    time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    other.stdout.readline()
    with FileLock(tmp_path) as lock:
        lock.take([range(3, 10), range(12, 10**6)])
        for held in (range(3), range(2, 4), range(11, 12), range(10**6)):
            with pytest.raises(BusyError):
                lock.take([held])
        assert holder(tmp_path) == "this process"
        with pytest.raises(BusyError, match="this process"):
            FileLock(tmp_path)
        os.kill(other.pid, signal.SIGSTOP)  # a process that sleeps is no dead one
        with pytest.raises(BusyError):
            lock.take([range(3)])
        other.kill()
        other.wait()
        lock.take([range(10**6)])
    assert holder(tmp_path) is None


def test_where_a_file_system_has_no_locks_a_run_says_so_and_goes_on(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.lockf", none)
    with FileLock(tmp_path) as lock, lock.of_manifest():
        lock.take([range(3)])
        assert not lock.works
