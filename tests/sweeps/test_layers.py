"""A folder grows by layers of what is new, each lane as in a folder that was begun with all of them."""

import json
import random
import re
import shutil
import signal
import time

import pandas as pd
import pytest

import analysis

LANE = ["condition", "seed"]


def rows(folder, columns=None):
    df = analysis.load(folder).sort_values(LANE, ignore_index=True)
    return df if columns is None else df[columns]


def layers(folder):
    return json.loads((folder / "manifest.json").read_text())["layers"]


def run(toy, out, *changes, **options):
    given = [part for change in changes for part in ("--set", change)]
    return toy.run(*given, out=out, **options)


GROWTH = {
    "seeds": (["seeds=8"], 9),
    "seeds and values": (["seeds=7", "factors.env.diversity=[0.0, 0.25]"], 2 + 7),
    "a factor whose values hold what the folder had": (["factors.learner.learning_rate=[1e-3, 1e-2]"], 15),
    "a static factor": (["factors.env.size=[4, 5]"], 15),
    "an arm for what was there, and another": (
        ["fixed.env.size=4", "arms.there={learner.learning_rate=1e-3}", "arms.more={learner.learning_rate=1e-2}"],
        15,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", GROWTH)
def test_what_a_spec_has_more_is_trained_and_each_lane_is_as_in_a_fresh_folder(trained, contents, how):
    changes, new = GROWTH[how]
    before = contents(trained.folder / "out")
    grown = run(trained, "out", *changes)
    assert grown.returncode == 0, grown.stderr
    assert f"chisel: out grows by {new} lanes, to {15 + new}." in grown.stderr.splitlines()
    after = contents(trained.folder / "out")
    assert {path: after[path] for path in before if path != "manifest.json"} | {
        "manifest.json": before["manifest.json"]
    } == before, "what was there is untouched"
    first, second = layers(trained.folder / "out")
    assert first == json.loads(before["manifest.json"])["layers"][0]
    assert sum(stop - start for start, stop in second["seeds"].values()) == new
    assert run(trained, "fresh", *changes).returncode == 0
    fresh, whole = rows(trained.folder / "fresh"), rows(trained.folder / "out")
    assert len(whole) == 15 + new and not whole[LANE].duplicated().any()
    both = whole.merge(fresh[LANE], on=LANE)[fresh.columns]
    pd.testing.assert_frame_equal(both, fresh, check_exact=True)
    assert analysis.rates(whole, by=whole.attrs["factors"])["n"].sum() == len(whole) * len(
        whole["label"].cat.categories
    )
    for kind in (analysis.load_probes, analysis.load_curves):
        assert len(kind(trained.folder / "out")[LANE].drop_duplicates()) == 15 + new
    status = json.loads(trained("status", "out", "--json").stdout)
    assert (status["lanes"]["done"], status["layers"]) == (15 + new, [15, new])
    again = run(trained, "out", *changes)
    assert again.stdout.startswith("Complete already") and contents(trained.folder / "out") == after


@pytest.mark.slow
def test_a_factor_that_a_later_layer_brings_has_its_constant_in_the_rows_before(toy):
    run(toy, "out", "seeds=2")
    run(toy, "out", "seeds=2", "factors.learner.learning_rate=[1e-3, 1e-2]", "factors.env.size=[4, 5]")
    df = analysis.load(toy.folder / "out")
    assert df.attrs["factors"] == ["env.diversity", "learner.learning_rate", "env.size"]
    counts = df.groupby(["env.size", "learner.learning_rate"]).size()
    assert counts.to_dict() == {(4, 1e-3): 6, (4, 1e-2): 6, (5, 1e-3): 6, (5, 1e-2): 6}
    assert df["env.size"].dtype == "int64"
    assert toy("figure", "out", "--out", "picture.png").returncode == 0
    assert toy("rates", "out", "--label", "mixed").stdout.count("\n") == 12 + 2


@pytest.mark.slow
def test_a_smaller_spec_has_nothing_to_do_in_a_larger_folder_and_trains_its_own_lanes_of_an_unfinished_one(
    toy, contents
):
    run(toy, "out", "seeds=8", fake={"fail_at": 1.0})
    there = rows(toy.folder / "out")
    assert set(there["env.diversity"]) == {0.0, 0.5}
    before = contents(toy.folder / "out")
    less = run(toy, "out", "seeds=2", "factors.env.diversity=[0.0, 0.5]")
    assert less.stdout.startswith("Complete already: 4 of 4 lanes in out, which has 20 that are not in this spec\n")
    assert contents(toy.folder / "out") == before
    part = run(toy, "out", "seeds=2")
    assert part.stdout.startswith("6 of 6 lanes in out, 2 of them trained now\n")
    found = rows(toy.folder / "out")
    assert found[found["env.diversity"] == 1.0]["seed"].tolist() == [0, 1], "a shard, not the whole folder"
    assert len(layers(toy.folder / "out")) == 1


@pytest.mark.slow
def test_a_folder_that_grows_thrice_is_completed_by_any_spec_that_has_the_lanes(toy):
    for changes in ([], ["seeds=6"], ["seeds=6", "factors.env.diversity=[0.0, 0.1]"]):
        assert run(toy, "out", *changes, fake={"fail_at": 0.0}).returncode == 4
    assert [len(layer["shards"]) for layer in layers(toy.folder / "out")] == [8, 2, 3]
    whole = ["seeds=6", "factors.env.diversity=[0.0, 0.5, 1.0, 0.1]"]
    assert run(toy, "out", *whole).stdout.startswith("24 of 24 lanes in out, ")
    assert len(rows(toy.folder / "out")) == 24
    run(toy, "fresh", *whole)
    pd.testing.assert_frame_equal(rows(toy.folder / "out"), rows(toy.folder / "fresh"), check_exact=True)


@pytest.mark.slow
def test_killed_within_a_later_layer_and_run_again_ends_with_the_same_bytes(trained, contents):
    shutil.copytree(trained.folder / "out", trained.folder / "whole")
    run(trained, "whole", "seeds=12")
    moments = random.Random(2)
    command = ["run", "toy.toml", "--out", "out", "--executor", "inline", "--set", "seeds=12"]
    for _ in range(2):
        process = trained.start(*command, fake={"sleep": 0.05})
        while len(layers(trained.folder / "out")) < 2:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.1, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert run(trained, "out", "seeds=12").returncode == 0
    assert contents(trained.folder / "out") == contents(trained.folder / "whole")


CONFUSED = {
    "two conditions of the same factors": (
        ["arms.one={learner.learning_rate=0.1}", "arms.two={env.size=5}"],
        ["arms.one={learner.learning_rate=0.1}", "arms.two={env.size=6}"],
        "arms.two.env.size 5 there, 6 here",
    ),
    "a condition in no arm": (
        ["arms.one={learner.learning_rate=0.1}", "arms.two={env.size=5}"],
        ["factors.learner.learning_rate=[0.1, 0.2]"],
        "conditions of one are in no arm of the other",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", CONFUSED)
def test_a_layer_whose_conditions_could_not_be_told_apart_is_refused(toy, contents, how):
    first, second, shown = CONFUSED[how]
    assert run(toy, "out", *first).returncode == 0
    before = contents(toy.folder / "out")
    refused = run(toy, "out", *second)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert re.match(r"out: holds the run of another spec \(.*\); give another --out", refused.stderr)
    assert shown in refused.stderr
    assert contents(toy.folder / "out") == before


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["seeds", "settings", "spec", "shards", "versions"])
def test_a_layer_that_its_spec_does_not_make_is_refused(trained, spoil):
    (layer,) = layers(trained.folder / "out")
    match spoil:
        case "seeds":
            layer["seeds"] = {condition: [0, 9] for condition in layer["seeds"]}
        case "settings":
            layer["settings"]["env.size"] = 5
        case "spec":
            layer["spec"]["factors.env.diversity"] = [[]]
        case "shards":
            layer["shards"][0] = "0" * 16
        case "versions":
            layer["versions"]["jax"] = "0"
    (trained.folder / "out" / "manifest.json").write_text(json.dumps({"layers": [layer]}))
    refused = run(trained, "out")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    why = "out/manifest.json: is not the manifest of" if spoil == "seeds" else "out: holds the run of "
    assert refused.stderr.startswith(why)
