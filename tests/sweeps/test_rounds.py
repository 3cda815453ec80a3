"""With a precision, seeds are added in rounds to the conditions that need them, and the rows alone decide."""

import json
import random
import signal
import time

import pandas as pd
import pytest

import analysis
from sweeps import SpecError, make_plan
from sweeps.spec import load_spec

ROUNDS = {"diverge_share": {"0.5": 0.5, "1.0": 0.05}}
"""Rates of the label incapable: 0, 0.5 and 0.05."""
ASKED = ["--set", "seeds=8", "--set", "precision=0.15", "--set", "max_seeds=90"]
COMMAND = ["run", "toy.toml", "--executor", "inline", *ASKED]


def seeds_of(folder):
    """By layer, the seeds [start, stop) of each diversity."""
    layers = json.loads((folder / "manifest.json").read_text())["layers"]
    named = {one: {**layer["settings"], **own} for layer in layers for one, own in layer["conditions"].items()}
    return [{named[one]["env.diversity"]: span for one, span in layer["seeds"].items()} for layer in layers]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder whose rounds have ended, and what the run said."""
    from tests.sweeps.conftest import TOY, Chisel

    toy = Chisel(tmp_path_factory.mktemp("rounds"), fake=True)
    (toy.folder / "toy.toml").write_text(TOY)
    done = toy(*COMMAND, "--out", "whole", fake=ROUNDS)
    assert done.returncode == 0, done.stderr
    return toy, done


def test_rounds_end_where_every_rate_is_known_or_seeds_run_out(finished):
    toy, done = finished
    layers = seeds_of(toy.folder / "whole")
    # By hand: after 8 of 8 the sequence is (0.5, 1], 0.25 to either side; after 16 of 16 it is (0.73, 1].
    assert layers[0] == dict.fromkeys((0.0, 0.5, 1.0), [0, 8])
    assert layers[1] == dict.fromkeys((0.0, 0.5, 1.0), [8, 16])
    assert layers[2].keys() == {0.5, 1.0} and all(span == [16, 32] for span in layers[2].values())
    assert layers[-1] == {0.5: [64, 90]}, "the last round ends at max_seeds"
    df = analysis.load(toy.folder / "whole")
    assert df.attrs["adaptive"] and len(df) == sum(stop - start for one in layers for start, stop in one.values())
    table = analysis.rates(df, "env.diversity")
    half = ((table["high"] - table["low"]) / 2).groupby(table["env.diversity"]).max()
    assert half[0.0] <= 0.15 and half[1.0] <= 0.15
    assert (half[0.5] > 0.15) == ("1 condition at max_seeds" in done.stdout)
    assert "chisel: 3 of 3 conditions have rates that are not known to +-0.15; 3 get more seeds." in done.stderr
    lanes = len(df)
    assert done.stdout.startswith(f"{lanes} of {lanes} lanes in whole, {lanes} of them trained now\n")


def test_lanes_are_those_of_a_folder_that_had_all_seeds_at_once(finished):
    toy, _ = finished
    toy("run", "toy.toml", "--out", "fixed", "--executor", "inline", "--set", "seeds=16", fake=ROUNDS)
    df, fixed = (analysis.load(toy.folder / name) for name in ("whole", "fixed"))
    early = df[df["seed"] < 16].reset_index(drop=True)
    assert not fixed.attrs.pop("adaptive") and early.attrs.pop("adaptive")
    pd.testing.assert_frame_equal(early, fixed, check_exact=True)


def test_a_run_that_is_killed_ends_with_the_same_seeds_and_bytes(finished, contents):
    toy, _ = finished
    moments = random.Random(4)
    for kill in range(3):
        process = toy.start(*COMMAND, "--out", "out", fake=ROUNDS | {"sleep": 0.01})
        manifest = toy.folder / "out" / "manifest.json"
        while not manifest.exists() or len(seeds_of(toy.folder / "out")) <= kill:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert toy(*COMMAND, "--out", "out", fake=ROUNDS).returncode == 0
    assert contents(toy.folder / "out") == contents(toy.folder / "whole")
    again = toy(*COMMAND, "--out", "out", fake=ROUNDS)
    assert again.stdout.startswith("Complete already") and contents(toy.folder / "out") == contents(
        toy.folder / "whole"
    )


def test_a_round_with_a_failed_shard_is_not_decided_on(finished):
    toy, _ = finished
    failed = toy(*COMMAND, "--out", "failed", fake=ROUNDS | {"fail_at": 1.0})
    assert failed.returncode == 4 and len(seeds_of(toy.folder / "failed")) == 1
    assert toy(*COMMAND, "--out", "failed", fake=ROUNDS).returncode == 0
    assert seeds_of(toy.folder / "failed") == seeds_of(toy.folder / "whole")


def test_status_and_rates_know_of_rounds(finished):
    toy, _ = finished
    status = json.loads(toy("status", "whole", "--json").stdout)["rounds"]
    assert (status["precision"], status["max_seeds"]) == (0.15, 90)
    told = {one["factors"]["env.diversity"]: (one["seeds"], one["rounds"]) for one in status["conditions"]}
    assert told[0.0] == (16, 2) and told[0.5] == (90, len(seeds_of(toy.folder / "whole")))
    assert "16 seeds in 2 rounds  env.diversity = 0.0" in toy("status", "whole").stdout
    shown = toy("rates", "whole")
    assert shown.stdout.endswith("its 95% confidence sequence over seeds, valid however seeds were added\n")
    assert shown.stderr == ""
    wilson = toy("rates", "whole", "--method", "wilson")
    assert "wilson intervals are for numbers of seeds fixed before" in wilson.stderr
    with pytest.warns(UserWarning, match="these tests and intervals are for numbers of seeds fixed before"):
        analysis.compare(analysis.load(toy.folder / "whole"), "env.diversity", label="incapable")


def test_a_sharper_precision_goes_on_from_what_is_there_and_parts_are_refused(finished):
    toy, _ = finished
    command = ["run", "toy.toml", "--executor", "inline", "--out", "sharper"]
    coarse = ["--set", "precision=0.3", "--set", "max_seeds=8"]
    assert toy(*command, *coarse, fake=ROUNDS).returncode == 0
    assert [set(map(tuple, layer.values())) for layer in seeds_of(toy.folder / "sharper")] == [{(0, 5)}, {(5, 8)}]
    fine = toy(*command, *ASKED, fake=ROUNDS)
    assert fine.returncode == 0, fine.stderr
    merged = [seeds_of(toy.folder / name)[-1] for name in ("sharper", "whole")]
    assert merged[0] == merged[1]
    refused = toy(*COMMAND, "--shards", "1/2")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.startswith("shards: 1/2: what a sweep with a precision trains next is decided when")


def test_a_world_without_goals_has_no_rates_to_be_precise_about():
    spec = {"name": "a", "world": "gymnax:CartPole-v1", "seeds": 2, "precision": 0.1, "max_seeds": 8}
    with pytest.raises(SpecError, match="spec: precision: gymnax:CartPole-v1 has no goals, so no rates of labels"):
        make_plan(load_spec(spec))
