"""The same promises with real worlds and a real learner: small, because each process compiles.

Commands compile as a user's do, into a cache that the tests share; the first run of a program has one worker, so that
it is compiled once. Minibatches have 1024 rows, from where on the number of threads decides the last bits.
"""

import random
import shutil
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import sweeps
from analysis import load_policy
from tests.sweeps.conftest import Chisel

pytestmark = pytest.mark.slow

TINY = """
name = "tiny"
world = "coin-line"
seeds = 3
[fixed]
learner.total_steps = 65536
learner.n_envs = 64
learner.n_steps = 64
[arms.plain]
env.diversity = [0.0, 1.0]
learner.learning_rate = [1e-3, 3e-3]
[sampled]
learner.entropy_coef = { low = 0.0, high = 0.02 }
[run]
chunk = 4
shard_chunks = 2
[save]
policies = true
"""
PART = ["seeds=2", "arms.plain.env.diversity=[1.0]", "arms.plain.learner.learning_rate=[3e-3]"]
"""One condition of the four, and two of its lanes."""


def tables(folder, kind="outcomes"):
    return pq.read_table(folder / kind).to_pandas()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """`chisel` with all of tiny.toml in `whole`, by two workers, and two lanes of it in `part`."""
    chisel = Chisel(tmp_path_factory.mktemp("tiny"), fake=False)
    (chisel.folder / "tiny.toml").write_text(TINY)
    changes = [word for change in PART for word in ("--set", change)]
    done = chisel("run", "tiny.toml", "--out", "part", "--executor", "inline", *changes)
    assert done.returncode == 0, done.stderr
    code = "from sweeps import run\ndone = run('tiny.toml', 'whole', workers=2)\nprint(done.trained, done.compiles)"
    done = chisel.python(code)
    assert done.stdout == "12 2\n", done.stderr  # one compile a worker
    return chisel


def test_traced_factors_are_one_program_and_each_lane_draws_its_own(tiny):
    df = tables(tiny.folder / "whole")
    assert len(df) == 12 and df["program"].nunique() == 1 and set(df["arm"]) == {"plain"}
    assert len(df.groupby(["env.diversity", "learner.learning_rate"])) == 4
    assert df["learner.entropy_coef"].between(0, 0.02).all() and df["learner.entropy_coef"].nunique() == 12


def test_killed_in_the_midst_of_a_shard_and_run_again_ends_with_the_same_bits(tiny, contents):
    """Killed, then given notice, then left to end; with another number of workers than the uninterrupted run has."""
    out, given = tiny.folder / "out", ["run", "tiny.toml", "--out", "out"]

    process = tiny.start(*given, "--executor", "inline", "--checkpoint-every", "0.02")
    while not (found := list(out.glob("checkpoints/*.checkpoint"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(random.Random(1).uniform(0, 0.3))
    process.kill()
    process.communicate()
    began = found[0].stat().st_mtime_ns

    process = tiny.start(*given, "--workers", "1", "--checkpoint-every", "1000")
    while "updates" not in process.said():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.terminate()
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, time.monotonic() - sent < 10) == (3, True), err
    assert err.splitlines()[-1] == "chisel: interrupted. 0 of 12 lanes are on disk in out; run again to continue."
    assert found[0].stat().st_mtime_ns > began, "one was written on notice"

    done = tiny(*given, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "of their updates came from checkpoints" in done.stdout
    assert not list(out.glob("checkpoints/*.checkpoint"))

    assert finished(contents(out)) == finished(contents(tiny.folder / "whole"))
    for row in tables(out).itertuples():
        pairs = [load_policy(tiny.folder / name, row.condition, row.seed) for name in ("whole", "out")]
        leaves = [list(_leaves(pair)) for pair in pairs]
        assert leaves[0]
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(one, other)


def test_lanes_are_as_in_a_sweep_of_their_own_and_a_folder_that_grows_has_the_bits_of_one_that_was_begun_whole(tiny):
    """Lanes of other layers have other neighbours, and another place in their chunk."""
    shutil.copytree(tiny.folder / "part", tiny.folder / "grown")
    done = tiny("run", "tiny.toml", "--out", "grown", "--executor", "inline")
    assert done.returncode == 0, done.stderr
    lanes = tables(tiny.folder / "part")[["condition", "seed"]]
    assert len(lanes) == 2
    for kind in ("outcomes", "probes", "curves"):
        order = ["condition", "seed"] + ["update"] * (kind == "curves")
        order += ["probe", "actor", "sampled", "checkpoint"] * (kind == "probes")
        part, grown, whole = (
            tables(tiny.folder / name, kind).sort_values(order, ignore_index=True)
            for name in ("part", "grown", "whole")
        )
        pd.testing.assert_frame_equal(grown, whole, check_exact=True)
        pd.testing.assert_frame_equal(part, lanes.merge(whole)[part.columns], check_exact=True)
    assert len(list((tiny.folder / "grown" / "policies").iterdir())) == 1 + 2
    lane = whole.iloc[-1]
    pairs = [load_policy(tiny.folder / name, lane["condition"], lane["seed"]) for name in ("grown", "whole")]
    for one, other in zip(*(list(_leaves(pair)) for pair in pairs), strict=True):
        np.testing.assert_array_equal(one, other)
    lanes = [whole.iloc[place] for place in (0, -1)]
    leaves = [_leaves(load_policy(tiny.folder / "whole", one["condition"], one["seed"])) for one in lanes]
    assert any((one != other).any() for one, other in zip(*leaves, strict=True)), "policies of lanes differ"
    with pytest.raises(ValueError, match="has no lane of condition 'none' and seed 0"):
        load_policy(tiny.folder / "whole", "none", 0)


def test_a_mistyped_threshold_is_found_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr("sweeps.training.run", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match="no threshold named 'reliabilty'; nearest: reliability"):
        sweeps.train("coin-run", reliabilty=0.9)
    with pytest.raises(ValueError, match=r"reliability: 7.5 is not a share in \[0.5, 1\]"):
        sweeps.train("coin-run", reliability=7.5)


def finished(files):
    """All but the policies, whose files say when they were written."""
    return {path: content for path, content in files.items() if not path.startswith("policies")}


def _leaves(tree):
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from _leaves(tree[key])
    else:
        yield tree


def test_executors_and_workers_do_not_matter_where_a_matmul_has_1024_rows(tiny, contents):
    """One process, one worker and two are held against each other above; here a batch of 4096 has four parts too."""
    pytest.importorskip("ray")
    done = tiny("run", "tiny.toml", "--out", "ray", "--executor", "ray", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert finished(contents(tiny.folder / "ray")) == finished(contents(tiny.folder / "whole"))
