"""The same promises with real worlds and a real learner: small, because each process compiles.

Commands compile as a user's do, into a cache that the tests share; the first run of a program has one worker, so that
it is compiled once.
"""

import importlib.util
import json
import random
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis import load_policy
from sweeps.cli import main

pytestmark = pytest.mark.slow

TINY = """
name = "tiny"
world = "coin-line"
seeds = 6
[fixed]
learner.total_steps = 38400
learner.n_envs = 8
learner.n_steps = 16
learner.width = 8
[arms.plain]
env.diversity = [0.0, 1.0]
[sampled]
learner.entropy_coef = { low = 0.0, high = 0.02 }
[run]
chunk = 4
[save]
policies = true
"""


def tables(folder, kind="outcomes"):
    return pq.read_table(folder / kind).to_pandas()


def test_killed_in_the_midst_of_a_shard_and_run_again_ends_with_the_same_bits(chisel, contents):
    """Killed, then given notice, then left to end; with another number of workers than the uninterrupted run has."""
    (chisel.folder / "tiny.toml").write_text(TINY)
    longer = ["--set", "run.shard_chunks=2"]
    out, given = chisel.folder / "out", ["run", "tiny.toml", "--out", "out", *longer, "--workers", "1"]

    process = chisel.start(*given, "--checkpoint-every", "0.02")
    while not (found := list(out.glob("checkpoints/*.checkpoint"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(random.Random(1).uniform(0, 0.5))
    process.kill()
    process.communicate()
    began = found[0].stat().st_mtime_ns

    process = chisel.start(*given, "--checkpoint-every", "1000")
    while "updates" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, time.monotonic() - sent < 10) == (3, True), err
    assert err.splitlines()[-1] == "chisel: interrupted. 0 of 12 lanes are on disk in out; run again to continue."
    assert found[0].stat().st_mtime_ns > began, "one was written on notice"

    done = chisel(*given)
    assert done.returncode == 0, done.stderr
    assert "of their updates came from checkpoints" in done.stdout
    assert not list(out.glob("checkpoints/*.checkpoint"))

    done = chisel("run", "tiny.toml", "--out", "whole", "--workers", "2", *longer)
    assert done.returncode == 0, done.stderr

    def finished(folder):
        return {path: content for path, content in contents(folder).items() if not path.startswith("policies")}

    assert finished(out) == finished(chisel.folder / "whole")
    df = tables(chisel.folder / "whole")
    assert len(df) == 12 and set(df["arm"]) == {"plain"}
    assert df["learner.entropy_coef"].between(0, 0.02).all() and df["learner.entropy_coef"].nunique() == 12
    for row in df.itertuples():
        pairs = [load_policy(chisel.folder / name, row.condition, row.seed) for name in ("whole", "out")]
        leaves = [list(_leaves(pair)) for pair in pairs]
        assert leaves[0]
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_folder_that_grows_has_the_bits_of_one_that_was_begun_whole(chisel):
    """Lanes of later layers have other neighbours, and another place in their chunk."""
    (chisel.folder / "tiny.toml").write_text(TINY)
    part = ["--set", "seeds=3", "--set", "arms.plain.env.diversity=[1.0]"]
    for name, given in (("grown", part), ("grown", []), ("whole", [])):
        done = chisel("run", "tiny.toml", "--out", name, *given)
        assert done.returncode == 0, done.stderr
    for kind in ("outcomes", "probes", "curves"):
        order = ["condition", "seed"] + ["update"] * (kind == "curves")
        order += ["probe", "actor", "sampled", "checkpoint"] * (kind == "probes")
        grown, whole = (
            tables(chisel.folder / name, kind).sort_values(order, ignore_index=True) for name in ("grown", "whole")
        )
        pd.testing.assert_frame_equal(grown, whole, check_exact=True)
    assert len(list((chisel.folder / "grown" / "policies").iterdir())) == 1 + 3
    lane = whole.iloc[-1]
    pairs = [load_policy(chisel.folder / name, lane["condition"], lane["seed"]) for name in ("grown", "whole")]
    for one, other in zip(*(list(_leaves(pair)) for pair in pairs), strict=True):
        np.testing.assert_array_equal(one, other)
    lanes = [whole.iloc[place] for place in (0, -1)]
    leaves = [_leaves(load_policy(chisel.folder / "whole", one["condition"], one["seed"])) for one in lanes]
    assert any((one != other).any() for one, other in zip(*leaves, strict=True)), "policies of lanes differ"
    with pytest.raises(ValueError, match="has no lane of condition 'none' and seed 0"):
        load_policy(chisel.folder / "whole", "none", 0)


def _leaves(tree):
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from _leaves(tree[key])
    else:
        yield tree


GRID = """
name = "grid"
world = "coin-line"
seeds = 16
[fixed]
learner.total_steps = 512
learner.n_envs = 8
learner.n_steps = 16
learner.width = 8
[factors]
learner.learning_rate = [3e-4, 1e-3, 3e-3]
learner.entropy_coef = [0.0, 0.003, 0.01, 0.03]
env.diversity = [0.0, 0.1, 1.0]
[run]
chunk = 4
shard_chunks = 16
"""


def test_a_grid_of_traced_factors_is_one_program_and_each_lane_as_in_a_sweep_of_its_own(chisel):
    (chisel.folder / "grid.toml").write_text(GRID)
    one = {"learner.learning_rate": 1e-3, "learner.entropy_coef": 0.03, "env.diversity": 0.1}
    own = [
        "factors={env.diversity=[0.1]}",
        "fixed.learner.learning_rate=1e-3",
        "fixed.learner.entropy_coef=0.03",
        "seeds=5",
    ]
    alone = chisel("run", "grid.toml", "--out", "own", *(part for change in own for part in ("--set", change)))
    assert alone.returncode == 0, alone.stderr

    code = (
        "import sys; from sweeps import run; "
        "done = run('grid.toml', 'out', workers=int(sys.argv[1]), quiet=True); print(done.trained, done.compiles)"
    )
    done = chisel.python(code, "2")
    assert done.stdout == "576 2\n", done.stderr  # one compile a worker
    df = tables(chisel.folder / "out")
    assert df["program"].nunique() == 1
    theirs = df[np.logical_and.reduce([df[key] == value for key, value in one.items()]) & (df["seed"] < 5)]
    mine = tables(chisel.folder / "own")
    assert set(mine["condition"]) == set(theirs["condition"])
    for kind in ("outcomes", "probes", "curves"):
        whole, part = tables(chisel.folder / "out", kind), tables(chisel.folder / "own", kind)
        whole = whole.merge(mine[["condition", "seed"]], on=["condition", "seed"])[part.columns]
        pd.testing.assert_frame_equal(whole, part, check_exact=True)


LARGE = """
name = "large"
world = "coin-run"
seeds = 1
[fixed]
learner.total_steps = 8192
learner.n_envs = 64
learner.n_steps = 64
[factors]
env.diversity = [0.0, 1.0]
[probes]
at = [1]
[run]
chunk = 1
"""


def test_workers_and_executors_do_not_matter_where_a_matmul_has_1024_rows(chisel, contents):
    (chisel.folder / "large.toml").write_text(LARGE)
    runs = {"one": ["--workers", "1"], "two": ["--workers", "2"], "inline": ["--executor", "inline"]}
    if importlib.util.find_spec("ray"):
        runs["ray"] = ["--executor", "ray"]
    for name, arguments in runs.items():
        done = chisel("run", "large.toml", "--out", name, *arguments)
        assert done.returncode == 0, done.stderr
    first, *others = (contents(chisel.folder / name) for name in runs)
    assert all(other == first for other in others)


def test_plan_trains_nothing_and_prints_json_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "coin-run", "--json", "--set", "factors.env.height=[5, 6]"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["lanes"], len(plan["conditions"]), len(plan["programs"]), plan["shards"]) == (768, 12, 2, 96)
    assert plan["memory"]["device"] > plan["memory"]["temporary"] > 0
    assert plan["half_width"] == pytest.approx(0.1277, abs=1e-4)
    assert plan["found"] == {"pairs": 66, "difference": 0.2639, "with_holm": 0.3735}
    assert plan["rarest"] == pytest.approx(1 - 0.05 ** (1 / 64))
    assert list(tmp_path.iterdir()) == []
