"""With a precision, seeds are added in rounds to the conditions that need them, and the rows alone decide."""

import json
import random
import signal
import time

import pandas as pd
import pytest

import analysis
from sweeps.rounds import expected
from sweeps.spec import load_spec

pytestmark = pytest.mark.slow

ROUNDS = {"diverge_share": {"0.5": 0.5, "1.0": 0.185}}
"""Rates of the label incapable; 0 at diversity 0."""
ASKED = ["--set", "seeds=8", "--set", "precision=0.2", "--set", "max_seeds=40", "--set", "run.chunk=8"]
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
    # Half-widths at 0 of 8 and of 16: 0.219 and 0.133; at 2 of 16 and of 32: 0.238 and 0.140; at 16 of 32 and 20 of 40:
    # 0.258 and 0.237; at 8 of 32 and 10 of 40: 0.226 and 0.207. From n seeds to 2n at most, in eights.
    df = analysis.load(toy.folder / "whole")
    first = df[df["seed"] < 16].groupby("env.diversity")["diverged"].sum()
    assert first[0.0] == 0 and first[0.5] > 4 and first[1.0] == 2, "what the stand-in draws"
    assert layers == [
        dict.fromkeys((0.0, 0.5, 1.0), [0, 8]),
        dict.fromkeys((0.0, 0.5, 1.0), [8, 16]),
        dict.fromkeys((0.5, 1.0), [16, 32]),
        dict.fromkeys((0.5, 1.0), [32, 40]),
    ]
    assert df["adaptive"].all() and len(df) == 16 + 40 + 40
    table = analysis.rates(df, "env.diversity")
    half = ((table["high"] - table["low"]) / 2).groupby(table["env.diversity"]).max()
    assert half[0.0] <= 0.2 and half[1.0] <= 0.2 < half[0.5]
    assert "  1 condition at max_seeds, whose rates are not known to the precision\n" in done.stdout
    assert "chisel: 3 of 3 conditions have rates that are not known to +-0.2; 3 get more seeds." in done.stderr
    lanes = len(df)
    assert done.stdout.startswith(f"{lanes} of {lanes} lanes in whole, {lanes} of them trained now\n")


def test_lanes_are_those_of_a_folder_that_had_all_seeds_at_once(finished):
    toy, _ = finished
    toy(
        "run",
        "toy.toml",
        "--out",
        "fixed",
        "--executor",
        "inline",
        "--set",
        "seeds=16",
        "--set",
        "run.chunk=8",
        fake=ROUNDS,
    )
    df, fixed = (analysis.load(toy.folder / name) for name in ("whole", "fixed"))
    early = df[df["seed"] < 16].reset_index(drop=True)
    assert not fixed.pop("adaptive").any() and early.pop("adaptive").all()
    pd.testing.assert_frame_equal(early, fixed, check_exact=True)


def test_a_run_that_fails_and_is_killed_ends_with_the_same_seeds_and_bytes(finished, contents):
    toy, _ = finished
    moments = random.Random(4)
    failed = toy(*COMMAND, "--out", "out", fake=ROUNDS | {"fail_at": 1.0})
    assert failed.returncode == 4 and len(seeds_of(toy.folder / "out")) == 1, (
        "nothing is decided before a round is whole"
    )
    for kill in (1, 2):
        process = toy.start(*COMMAND, "--out", "out", fake=ROUNDS | {"sleep": 0.01})
        while len(seeds_of(toy.folder / "out")) <= kill:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert toy(*COMMAND, "--out", "out", fake=ROUNDS).returncode == 0
    assert contents(toy.folder / "out") == contents(toy.folder / "whole")
    again = toy(*COMMAND, "--out", "out", fake=ROUNDS)
    assert again.stdout.startswith("Complete already: 96 of 96 lanes in out\n")


def test_status_and_rates_know_of_rounds(finished):
    toy, _ = finished
    status = json.loads(toy("status", "whole", "--json").stdout)["rounds"]
    assert (status["precision"], status["max_seeds"]) == (0.2, 40)
    told = {one["factors"]["env.diversity"]: (one["seeds"], one["rounds"]) for one in status["conditions"]}
    assert told == {0.0: (16, 2), 0.5: (40, 4), 1.0: (40, 4)}
    assert "16 seeds in 2 rounds  env.diversity = 0.0" in toy("status", "whole").stdout
    shown = toy("rates", "whole")
    assert shown.stdout.endswith("its 95% confidence sequence over seeds, valid however seeds were added\n")
    assert shown.stderr == ""
    fixed = toy("rates", "whole", "--method", "clopper-pearson")
    assert "clopper-pearson intervals are for numbers of seeds fixed before" in fixed.stderr
    with pytest.warns(UserWarning, match="these tests and intervals are for numbers of seeds fixed before"):
        analysis.compare(analysis.load(toy.folder / "whole"), "env.diversity", label="incapable")


def test_a_sharper_precision_goes_on_from_what_is_there_and_parts_are_refused(finished):
    toy, _ = finished
    command = ["run", "toy.toml", "--executor", "inline", "--out", "sharper"]
    coarse = ["--set", "seeds=5", "--set", "precision=0.25", "--set", "max_seeds=8", "--set", "run.chunk=8"]
    assert toy(*command, *coarse, fake=ROUNDS).returncode == 0
    assert [set(map(tuple, layer.values())) for layer in seeds_of(toy.folder / "sharper")] == [{(0, 5)}, {(5, 8)}]
    fine = toy(*command, *ASKED, fake=ROUNDS)
    assert fine.returncode == 0, fine.stderr
    assert seeds_of(toy.folder / "sharper")[2:] == seeds_of(toy.folder / "whole")[1:]
    refused = toy(*COMMAND, "--shards", "1/2")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.startswith(
        "shards: 1/2: with a precision, each round is decided from all of the round before"
    )


def test_a_plan_expects_few_seeds_at_rates_near_nothing_and_all_of_them_at_one_half():
    """0 of 8 is known to +-0.219, and 14 to 18 of 32 to no better than +-0.255."""
    spec = {"name": "a", "world": "coin-line", "seeds": 8, "precision": 0.25, "max_seeds": 32}
    rows = expected(load_spec(spec))
    assert [row["rate"] for row in rows] == [0.001, 0.02, 0.3, 0.5]
    assert 8 <= rows[0]["seeds"] < 8.5 and rows[0]["share"] == 1
    assert rows[3]["seeds"] > 30 and rows[3]["share"] < 0.5
    assert rows[0]["seeds"] < rows[1]["seeds"] < rows[2]["seeds"] < rows[3]["seeds"]
