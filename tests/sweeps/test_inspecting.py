"""`chisel inspect` looks into every saved policy once, and what it finds is read beside the factors."""

import dataclasses
import os
import shutil

import jax
import numpy as np
import pandas as pd
import pyarrow.compute
import pytest

import analysis
import envs
import jaxrl
import sweeps
from analysis.folder import save_checkpoints, save_policies, write_manifest, write_table
from analysis.load import INTERNALS
from jaxrl import Trained
from jaxrl.internals import METHODS, Lanes
from sweeps import inspecting, load_spec, make_plan, tables, worker
from sweeps.cli import main
from tests.jaxrl.internals.known import goes_to_the_coin_by, zeros

SPEC = {
    "name": "inspected", "world": "coin-line", "seeds": 2, "factors": {"env.diversity": [0.0, 0.5]},
    "fixed": {"env.encoding": "one-hot"}, "save": {"policies": True}, "run": {"chunk": 2, "shard_chunks": 1},
}  # fmt: skip


def write(folder, spec, make=goes_to_the_coin_by, before=None):
    """A folder as a sweep would leave it, of policies that were built by hand; without the tables of its probes."""
    plan = make_plan(load_spec(spec))
    write_manifest(folder, [plan.layer()])
    for shard in plan.shards():
        n = len(shard.lanes)
        policies = [make(seed) for _, seed in shard.lanes]
        save_policies(folder, shard.id, [jax.tree.map(lambda *leaves: np.stack(leaves), *policies)])
        if before is not None:
            kept = {0.0: [before] * n, 1.0: policies}
            kept = {at: jax.tree.map(lambda *leaves: np.stack(leaves), *each) for at, each in kept.items()}
            save_checkpoints(folder, shard.id, [kept])
        trained = Trained({"diverged": np.zeros(n, bool)}, {}, [], None)
        write_table(folder, "outcomes", shard.id, tables.outcomes(shard, shard.lanes, {}, trained))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("inspecting") / "whole", SPEC)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "folder")


def inspect(folder, what, layers=None):
    return sweeps.inspect(folder, what, layers, executor_name="inline")


def test_what_is_found_is_read_beside_the_factors_and_nothing_is_looked_at_twice(folder, capsys):
    command = ["inspect", str(folder), "--executor", "inline", "--what", "difference"]
    assert main([*command, "--layer", "tower_1"]) == 0
    assert "difference (tower_1): analysed 4 policies; 0 were analysed before" in capsys.readouterr().out
    assert main(command) == 0
    df = analysis.load_internals(folder, "difference")
    spoilt = next((folder / "internals").iterdir())
    spoilt.write_bytes(spoilt.read_bytes()[:-9])
    assert sweeps.status(folder, verify=True)["damaged"] == [f"{spoilt}: its content does not match its digest"]
    again = inspect(folder, "difference", ["tower_1"])
    assert (again.policies, again.ready) == (2, 2)
    assert sweeps.status(folder, verify=True)["damaged"] == []
    at = pyarrow.compute.field("layer") == "tower_1"
    redone = analysis.load_internals(folder, "difference", filter=at)
    pd.testing.assert_frame_equal(redone, df[df["layer"] == "tower_1"].reset_index(drop=True), check_exact=False)

    assert df.columns[:3].to_list() == ["env.diversity", "condition", "seed"] and len(df) == 4 * 2 * 3 * 2
    for _, lane in df[df["vector"] == "own"].groupby(["env.diversity", "seed", "layer"]):
        assert lane["sign"].to_list() == [-1, 1] and lane["share"].to_list() == [0.0, 1.0]
    assert np.allclose(analysis.load_internals(folder, "difference", columns=["norm"]), 6)


def test_each_kind_has_files_of_its_own(folder):
    assert set(METHODS) == set(INTERNALS)
    assert (inspect(folder, "attribution").policies, inspect(folder, "attribution").ready) == (4, 4)
    df = analysis.load_internals(folder, "attribution").set_index("input")
    assert len(df) == 4 * 2 and set(df["goal"]) == {"coin"} and set(df["rival"]) == {"right-end"}
    assert (df.loc["agent", "attribution"] == 0).all()
    coin = df.loc["coin"]
    assert np.allclose(coin["attribution"], coin["margin"] - coin["hidden"], rtol=0.01) and coin["margin"].min() > 30


def test_policies_of_all_checkpoints_are_looked_into(tmp_path):
    spec = SPEC | {"save": {"policies": "checkpoints"}, "factors": {}}
    folder = write(tmp_path / "through", spec, before=zeros())
    assert (inspect(folder, "attribution").policies, inspect(folder, "attribution").ready) == (2, 2)
    df = analysis.load_internals(folder, "attribution", columns=["seed", "checkpoint", "margin"])
    assert df.groupby("seed")["checkpoint"].apply(list).to_list() == 2 * [2 * [0.0] + 2 * [1.0]]
    assert np.allclose(df["margin"][df["checkpoint"] == 0], 0) and df["margin"][df["checkpoint"] == 1].min() > 30


def test_what_cannot_be_looked_into_is_told_in_one_line_before_anything_compiles(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxrl.internals.Difference.__call__", lambda *_: pytest.fail("compiled"))
    nothing = shutil.copytree(folder, tmp_path / "nothing", ignore=shutil.ignore_patterns("policies"))
    absolute = envs.make("coin-line", {"env.encoding": "absolute"})
    unseen = write(tmp_path / "unseen", SPEC | {"fixed": {}}, lambda seed: zeros(absolute))
    network = {"learner.network": "jaxrl.networks:Linear"}
    plain = jaxrl.make("ppo", network)
    linear = write(tmp_path / "linear", SPEC | {"fixed": SPEC["fixed"] | network}, lambda seed: zeros(learner=plain))
    for arguments, said in {
        (nothing, "--what", "difference"): "has no saved policies; run the sweep with save.policies = true.",
        (tmp_path, "--what", "difference"): "is not a results folder: it has no manifest.json.",
        (folder, "--what", "diference"): "--what: no analysis is called 'diference'; nearest: difference.",
        (folder,): "the following arguments are required: --what",
        (folder, "--what", "difference", "--layer", "tower_2"): "no layer 'tower_2'; expected tower_0 or tower_1.",
        (
            folder,
            "--what",
            "attribution",
            "--layer",
            "tower_1",
        ): "attribution does not use layers; leave it out.",
        (
            folder,
            "--what",
            "linear-probes",
        ): "coin-line has too few layouts on its probe fork, 1: linear",
        (linear, "--what", "difference"): "policies of ppo have no layer between inputs and logits.",
        (unseen, "--what", "difference"): "coin-line shows no goal of its probe fork that could be hidden.",
    }.items():
        assert main(["inspect", "--executor", "inline", *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    with pytest.raises(ValueError, match="has no internals of this kind; run chisel inspect"):
        analysis.load_internals(folder, "difference")
    with pytest.raises(ValueError, match="no kind of internals named 'diference'; nearest: difference"):
        analysis.load_internals(folder, "diference")


def test_one_worker_and_two_write_the_same_bytes(folder, tmp_path, capsys):
    both = {1: folder, 2: shutil.copytree(folder, tmp_path / "two")}
    for workers, one in both.items():
        assert main(["inspect", str(one), "--what", "attribution", "--workers", str(workers)]) == 0
        assert "attribution: analysed 4 policies; 0 were analysed before" in capsys.readouterr().out
    files = [sorted((one / "internals").iterdir()) for one in both.values()]
    assert len(files[0]) == 2
    assert [one.read_bytes() for one in files[0]] == [one.read_bytes() for one in files[1]]


def test_a_program_that_was_looked_into_is_not_the_one_that_trains():
    (planned,) = make_plan(load_spec(SPEC | {"probes": {"at": [0.0, 1.0]}, "curriculum": "plr"})).programs
    trains = planned.program
    looks = dataclasses.replace(trains, probe_at=(1.0,), curriculum="random")
    assert worker.built_here(looks) is worker.built_here(looks) is not worker.built_here(trains)
    assert worker.built_here(trains).curriculum is not None and worker.built_here(looks).curriculum is None


def test_a_shard_that_fails_is_told_and_done_when_the_command_is_run_again(folder, capsys, monkeypatch):
    failing = iter([RuntimeError("no luck"), None])
    right = jaxrl.internals.Attribution.__call__

    def call(self, lanes):
        if error := next(failing):
            raise error
        return right(self, lanes)

    command = ["inspect", str(folder), "--executor", "inline", "--what", "attribution"]
    with monkeypatch.context() as patch:
        patch.setattr("jaxrl.internals.Attribution.__call__", call)
        assert main(command) == 4
    out, err = capsys.readouterr()
    assert "analysed 2 policies; 0 were analysed before" in out
    told, last = err.splitlines()
    assert "failed: RuntimeError: no luck (test_inspecting.py:" in told
    assert last.startswith("chisel: 1 shard failed; an error in the code will occur again")
    assert main(command) == 0
    assert "analysed 2 policies; 2 were analysed before" in capsys.readouterr().out


def test_what_workers_cannot_do_is_told_before_they_begin(folder, monkeypatch):
    monkeypatch.setattr("sweeps.inspecting._look_into", lambda *_: pytest.fail("begun"))
    with monkeypatch.context() as patch:
        patch.setattr("analysis.folder.local.LocalStore.write", lambda *_: os.open("/", os.O_WRONLY))
        with pytest.raises(ValueError, match=f"^{folder}: internals .* cannot be written \\(Is a directory\\)\\)\\.$"):
            inspect(folder, "attribution")
    monkeypatch.setattr("sweeps.plan.ProgramSpec.code", ("coin-line", "__main__:Own"))
    with pytest.raises(ValueError, match=f"^{folder}: workers cannot import __main__:Own from a notebook or a script"):
        sweeps.inspect(folder, "attribution", workers=1)


def test_rows_of_a_policy_that_diverged_keep_their_names_and_lose_their_numbers(tmp_path, monkeypatch):
    def diverged(seed):
        return jax.tree.map(lambda leaf: leaf + np.float32(np.nan if seed else 0), goes_to_the_coin_by(seed))

    folder = write(tmp_path / "diverged", SPEC | {"factors": {}}, diverged)
    columns = {"members": 1, "asks": "uncertain", "threshold": 0.5, "share": 0.25}
    found = {name: np.full((2, 1), value) for name, value in columns.items()}
    monkeypatch.setattr("jaxrl.internals.Deployment.__call__", lambda self, lanes: found)
    assert inspect(folder, "deployment").policies == 2 and sweeps.status(folder, verify=True)["damaged"] == []
    assert inspect(folder, "deployment").ready == 2
    df = analysis.load_internals(folder, "deployment", columns=["seed", "threshold", "share"])
    assert df["seed"].to_list() == [0, 1] and df["threshold"].to_list() == [0.5, 0.5]
    assert df["share"].isna().to_list() == [False, True]


def test_no_number_is_given_of_a_policy_that_diverged():
    policy = {"kernel": np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, np.inf]]), "bias": np.zeros(3)}
    finite = Lanes(np.zeros((3, 2)), policy, (), np.zeros(3)).finite
    assert finite.tolist() == [True, False, False]
    assert np.isnan(inspecting._where(finite, np.ones((3, 2)))).all(axis=1).tolist() == [False, True, True]
    signs = np.array([[-1, 1]] * 3, np.int8)
    assert inspecting._where(finite, signs) is signs
