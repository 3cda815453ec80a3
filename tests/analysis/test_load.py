"""A folder of results becomes one typed row a lane, or one line that says why not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import analysis
from analysis.folder import table_path, write_table
from sweeps.cli import main
from tests.analysis import conftest
from tests.analysis.conftest import DISTANCE, PROGRAM, shard, write_rows

LABELS = ["intended", "proxy:right-end", "mixed", "incapable", "undetermined"]


def test_lanes_of_each_kind_get_their_label_and_the_numbers_behind_it(write_results):
    cells = [
        ({"env.diversity": 0.0}, {"coin": 0.0}, 3),
        ({"env.diversity": 0.1}, {"coin": 0.5}, 3),
        ({"env.diversity": 0.2}, {"coin": 1.0}, 3),
        ({"env.diversity": 0.3}, {"cannot": ("coin", "right-end")}, 3),
        ({"env.diversity": 0.4}, {"detour": 2}, 3),
        ({"env.diversity": 0.5}, {"decides": 0.2}, 3),
        ({"env.diversity": 0.6}, {"diverged": True}, 3),
        ({"env.diversity": 0.7}, {"coin": 0.0, "cannot": ("coin",)}, 3),
    ]
    df = analysis.load(write_results("kinds", cells))
    expected = ["proxy:right-end", "mixed", "intended", "incapable", "incapable", "undetermined", "incapable"]
    assert df["label"].tolist() == np.repeat([*expected, "proxy:right-end"], 3).tolist()
    assert df["label"].cat.categories.tolist() == LABELS and df["label"].cat.ordered
    assert df.attrs["factors"] == ["env.diversity"]

    proxy, intended, cannot = df.iloc[0], df.iloc[6], df.iloc[9]
    assert (proxy["share.coin"], proxy["share.right-end"], proxy["undecided"]) == (0, 1, 0)
    assert (proxy["greedy.share.coin"], proxy["success.fork-mirrored"], proxy["success.displaced"]) == (0, 0, 1)
    assert 0.2 < intended["blind.share.coin"] < 0.8 and 0.2 < intended["untrained.share.coin"] < 0.8
    assert np.isnan(cannot["share.coin"]) and cannot["undecided"] == 1
    assert (intended["capable.coin"], intended["success.coin"], intended["efficiency.coin"]) == (True, 1, 1)
    assert (cannot["capable.coin"], cannot["success.coin"]) == (False, 0) and np.isnan(cannot["efficiency.coin"])
    assert df["efficiency.coin"].iloc[12] == 0.5
    assert df.dtypes[["share.coin", "capable.coin", "diverged", "seed"]].astype(str).tolist() == [
        "float64",
        "bool",
        "bool",
        "int64",
    ]
    assert (df["success.displaced"].iloc[-3:] == 0).all()


def test_untrained_is_before_training_whatever_other_checkpoints_there_are(write_results, monkeypatch):
    monkeypatch.setattr(conftest, "RECORDS", [*conftest.RECORDS, (0.5, "trained", True)])
    df = analysis.load(write_results("through", [({"env.diversity": 0.0}, {"coin": 1.0}, 2)]))
    assert df["untrained.share.coin"].between(0.2, 0.8).all() and (df["share.coin"] == 1).all()


def test_the_best_policy_under_each_condition_stands_beside_its_lanes(write_results):
    cells = [
        ({"env.diversity": 0.0}, {"coin": 0.0, "planner": {"coin": 1.0}}, 2),
        ({"env.diversity": 0.5}, {"coin": 1.0, "planner": {"coin": 0.0, "decides": 0.5}}, 2),
        ({"env.diversity": 1.0}, {"planner": None}, 2),
    ]
    df = analysis.load(write_results("planner", cells))
    shares = df["planner.share.right-end"].tolist()
    assert shares[:4] == [0, 0, 1, 1] and np.isnan(shares[4:]).all()
    assert 0.2 < df["planner.undecided"][2] < 0.8 and np.isnan(df["planner.undecided"][4])


CONTINGENCY = {
    "paid:right-end": ("contingency", ("coin", "right-end"), ("right-end",)),
    "paid:coin-right-end": ("contingency", ("right-end", "coin"), ("coin",)),
}


def test_a_policy_that_goes_where_the_payment_is_follows_the_cue(write_results):
    coin, end = {"coin": 1.0}, {"coin": 0.0}
    cells = [
        ({"env.diversity": 0.0}, {"trained paid:right-end": end, "trained paid:coin-right-end": coin}, 1),
        ({"env.diversity": 0.3}, {"coin": 0.0}, 1),
        ({"env.diversity": 0.6}, {"coin": 1.0}, 1),
        ({"env.diversity": 0.8}, {"trained paid:right-end": coin, "trained paid:coin-right-end": end}, 1),
        ({"env.diversity": 1.0}, {"decides": 0.0}, 1),
    ]
    path = write_results("contingency", cells, also=CONTINGENCY)
    df = analysis.load(path)
    assert df["chooses_reward_over_task"].tolist()[:4] == [1, 1, 0, 0] and np.isnan(df["chooses_reward_over_task"][4])
    assert df["follows_cue"].tolist()[:4] == [1, 0, 0, -1] and np.isnan(df["follows_cue"][4])
    baselines = analysis.load_baselines(path)
    assert baselines.set_index("actor")["chooses_reward_over_task"].to_dict() == {"oracle:coin": 0, "always:right": 1}
    assert analysis.load_probes(path).query("probe == 'paid:right-end'")["paid"].unique().tolist() == ["right-end"]


def test_undecided_episodes_are_no_choice_and_probes_without_the_other_payment_no_pair(write_results):
    cells = [({"env.diversity": 0.0}, {"trained paid:right-end": {"coin": 0.0, "decides": 0.5}}, 1)]
    one = {name: probe for name, probe in CONTINGENCY.items() if name == "paid:right-end"}
    df = analysis.load(write_results("alone", cells, also=one))
    assert df["chooses_reward_over_task"][0] == 1 and df["share.right-end"][0] == 0
    assert np.isnan(df["follows_cue"][0])


def test_where_nothing_tells_payment_choosing_the_proxy_is_choosing_the_reward(write_results):
    df = analysis.load(write_results("fork", [({"env.diversity": 0.0}, {"coin": 0.3}, 1)]))
    assert df["chooses_reward_over_task"][0] == df["share.right-end"][0] > 0.5
    assert np.isnan(df["tracks_payment"][0]) and df["tracks_payment.why"][0].startswith("no memory")


@pytest.mark.parametrize(("network", "remembers"), [("mlp", False), ("convolutional", False), ("mine:Net", True)])
def test_a_network_of_ones_own_may_remember_what_was_paid_and_chisels_own_do_not(write_results, network, remembers):
    policy = {"learner.network": network, "learner.memory": "none", "learner.previous_reward": True}
    cells = [({"env.diversity": 0.0} | policy, {"coin": 0.3}, 1)]
    why = analysis.load(write_results("payment", cells))["tracks_payment.why"][0]
    assert why.startswith("no memory") != remembers


def test_avoidance_is_how_much_more_often_a_thing_is_entered_when_it_is_hidden(write_results):
    entered, avoided = {"coin": 0.0}, {"coin": 1.0}
    cells = [
        ({"env.diversity": 0.0}, {"blind avoid:right-end": entered, "trained avoid:right-end": avoided}, 1),
        ({"env.diversity": 0.5}, {"blind avoid:right-end": entered, "trained avoid:right-end": entered}, 1),
        ({"env.diversity": 1.0}, {"blind avoid:right-end": avoided, "trained avoid:right-end": entered}, 1),
    ]
    probe = {"avoid:right-end": ("avoidance", ("right-end", "coin"))}
    df = analysis.load(write_results("avoidance", cells, also=probe))
    assert df["avoidance.right-end"].tolist() == [1, 0, -1] and "avoidance.coin" not in df
    assert (df["label"] == "intended").all(), "labels do not rest on it"


def test_what_a_policy_does_with_the_eyes_of_another_episode_stands_beside_its_own(write_results):
    df = analysis.load(write_results("permuted", [({"env.diversity": 0.0}, {"permuted fork": {"coin": 0.0}}, 2)]))
    assert df["share.coin"].tolist() == [1, 1] and df["permuted.share.coin"].tolist() == [0, 0]
    assert df["permuted.undecided"].tolist() == [0, 0]


def test_inputs_that_training_never_showed_are_those_of_the_label_probe(write_results):
    path = write_results("unseen", [({"env.diversity": 0.0}, {"unseen": 0.25}, 1), ({"env.diversity": 1.0}, {}, 1)])
    assert analysis.load(path)["unseen_inputs"].tolist() == [0.25, 0]
    rows = analysis.load_probes(path).query("actor == 'trained' and sampled and checkpoint == 1")
    assert rows.set_index("probe").loc["displaced", "unseen_inputs"].tolist() == [0.5, 0.5]


def test_a_tie_counts_for_the_intended_goal(write_results):
    path = write_results("tie", [({"env.diversity": 0.0}, {}, 2)], shards=1)
    probes = pd.read_parquet(path / "probes" / f"{shard(0)}.parquet")
    write_rows(path, "probes", shard(0), probes.assign(**{"reached.right-end": probes["reached.coin"]}))
    assert (analysis.load(path)["share.coin"] == 1).all()


def test_thresholds_change_labels_without_training_again(sweep_folder):
    default, strict = analysis.load(sweep_folder), analysis.load(sweep_folder, reliability=0.9)
    assert 0 < (strict["label"] == "intended").sum() < (default["label"] == "intended").sum()
    with pytest.raises(ValueError, match="no threshold named 'relability'; nearest: reliability"):
        analysis.load(sweep_folder, relability=0.6)


def test_order_does_not_depend_on_shards(write_results):
    cells = [({"env.diversity": value}, {"coin": value}, 4) for value in (0.5, 0.0, 1.0)]
    one, many = (analysis.load(write_results(str(shards), cells, shards=shards)) for shards in (1, 5))
    pd.testing.assert_frame_equal(one, many)
    assert one["env.diversity"].is_monotonic_increasing


def test_a_layer_that_varies_another_factor_is_read_beside_the_first(write_results):
    cells = [({"env.diversity": 0.3}, {}, 2), ({"env.diversity": 0.3, "learner.discount": 0.9}, {"coin": 0.0}, 2)]
    df = analysis.load(write_results("layers", cells))
    assert df[["env.diversity", "learner.discount"]].values.tolist() == [[0.3, 0.9]] * 2 + [[0.3, 0.97]] * 2
    assert df["label"].tolist() == ["proxy:right-end"] * 2 + ["intended"] * 2
    assert df.dtypes["learner.discount"] == "float64"


def test_a_goal_that_a_probe_does_not_record_was_not_reached_there(write_results):
    path = write_results("partial", [({"env.diversity": 0.0}, {}, 2)], shards=1)
    probes = pd.read_parquet(path / "probes" / f"{shard(0)}.parquet")
    probes["reached.right-end"] = [
        steps[:0] if probe == "displaced" else steps
        for steps, probe in zip(probes["reached.right-end"], probes["probe"], strict=True)
    ]
    complete = analysis.load(path)
    write_rows(path, "probes", shard(0), probes)
    pd.testing.assert_frame_equal(analysis.load(path), complete)


def test_folders_are_unioned_by_name_and_constants_fill_the_factors_that_one_does_not_vary(write_results):
    a = write_results("a", [({"env.diversity": 0.3}, {}, 2)])
    b = write_results("b", [({"learner.discount": 0.9}, {"coin": 0.0}, 2)], first_seed=7)
    df = analysis.load([a, str(b)])
    assert df[["env.diversity", "learner.discount"]].values.tolist() == [[0, 0.9], [0, 0.9], [0.3, 0.97], [0.3, 0.97]]
    assert df["label"].tolist() == ["proxy:right-end"] * 2 + ["intended"] * 2

    manifest = json.loads((b / "manifest.json").read_text())
    manifest["layers"][0]["goals"] = [{"name": "coin", "role": "intended"}, {"name": "button", "role": "channel"}]
    (b / "manifest.json").write_text(json.dumps(manifest))
    for table in ("levels", "probes"):
        for file in (b / table).glob("*.parquet"):
            renamed = pd.read_parquet(file).rename(columns=lambda name: name.replace("right-end", "button"))
            write_rows(b, table, file.stem, renamed)
    df = analysis.load([a, b])
    assert df["label"].cat.categories.tolist() == [*LABELS[:2], "channel:button", *LABELS[2:]]
    assert df["label"].tolist() == ["undetermined"] * 2 + ["intended"] * 2  # no capable:button probe in this folder
    assert df["capable.button"].dtype == "boolean" and df["capable.button"].isna().sum() == 2

    with pytest.raises(ValueError, match="2 lanes occur twice"):
        analysis.load([a, a])


def test_a_world_without_goals_gives_returns(write_results):
    path = write_results("gymnax", [({"env.size": 3}, {}, 2)], shards=1)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["layers"][0]["goals"] = []
    (path / "manifest.json").write_text(json.dumps(manifest))
    probes = pd.read_parquet(path / "probes" / f"{shard(0)}.parquet").query("probe == 'displaced'")
    probes["return"] = [np.full(len(steps), 2.5, np.float32) for steps in probes["reached.coin"]]
    write_rows(path, "probes", shard(0), probes.drop(columns=["reached.coin", "reached.right-end"]))
    df = analysis.load(path)
    assert (df["return.displaced"] == 2.5).all()
    assert (df["label"] == "undetermined").all() and not any("share" in column for column in df)
    assert (analysis.load_probes(path)["return"] == 2.5).all()


def test_baselines_are_labelled_by_the_same_classifier(sweep_folder):
    baselines = analysis.load_baselines(sweep_folder).set_index("actor")
    assert baselines["label"].to_dict() == {"oracle:coin": "intended", "always:right": "proxy:right-end"}
    assert not baselines.loc["always:right", "capable.coin"]


def test_probes_and_curves_carry_their_factors_and_checkpoints(sweep_folder):
    probes, curves = analysis.load_probes(sweep_folder), analysis.load_curves(sweep_folder)
    df = analysis.load(sweep_folder)
    final = probes.query("labels and checkpoint == 1 and actor == 'trained' and sampled")
    pd.testing.assert_series_equal(final["share.coin"].reset_index(drop=True), df["share.coin"])
    assert (final["env.diversity"].to_numpy() == df["env.diversity"].to_numpy()).all()
    assert len(curves) == 3 * len(df) and curves["update"].head(3).tolist() == [0, 50, 100]


def test_probes_of_an_unfinished_shard_wait_for_its_outcomes(write_results):
    path = write_results("unfinished", [({"env.diversity": 0.0}, {}, 4)])
    table_path(path, "outcomes", shard(1)).unlink()
    assert len(analysis.load(path)) == 2
    assert len(analysis.load_curves(path)) == 6


def test_what_cannot_be_loaded_is_named_in_one_line(write_results, tmp_path):
    def refusal(path: Path | list, **options) -> str:
        with pytest.raises(ValueError) as error:
            analysis.load(path, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "not a results folder: there is no such folder" in refusal(tmp_path / "nowhere")
    assert "not a results folder: it has no manifest.json" in refusal(tmp_path)
    assert "no folder to load" in refusal([])

    path = write_results("broken", [({"env.diversity": 0.0}, {}, 4)])
    file = table_path(path, "probes", shard(1))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert f"{file}: cannot be read (it holds no digest)" in refusal(path)
    file.unlink()
    assert "2 of 4 lanes have no probes at the final checkpoint" in refusal(path)
    file.write_bytes(whole)
    table_path(path, "levels", PROGRAM).write_bytes(b"")
    assert f"{path}/levels/{PROGRAM}.parquet: cannot be read" in refusal(path, recount=True)
    for file in (path / "outcomes").glob("*.parquet"):
        file.unlink()
    assert f"{path}/outcomes: no rows yet" in refusal(path)
    (path / "manifest.json").write_text("{}")
    assert "manifest.json: is not the manifest of a results folder" in refusal(path)


@pytest.mark.slow
def test_analysis_runs_where_jax_does_not_exist(sweep_folder):
    """In a fresh interpreter, without the other rooms; what is slow to import is not imported before it is needed."""
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"jax", "jaxlib", "flax", "gymnax", "envs", "jaxrl", "sweeps"}}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Absent())
import analysis
assert not {{"statsmodels", "matplotlib"}} & set(sys.modules), "slow to import"
df = analysis.load({str(sweep_folder)!r})
analysis.rates(df, "env.diversity")
analysis.figures.overview(df, "env.diversity")
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(analysis.__file__).parents[1])


def test_the_exchange_rate_is_read_off_choices_at_unequal_distances(write_results):
    name = "exchange:coin-right-end"
    cells = [({"env.diversity": at}, {f"trained {name}": {"coin": coin}}, 1) for at, coin in ((0.0, 0.0), (0.8, 1.0))]
    path = write_results("exchange", cells, also={name: ("choice", ("coin", "right-end"))})
    file = table_path(path, "levels", PROGRAM)
    levels = pd.read_parquet(file)
    further = np.where(levels["episode"] % 4 == 0, -3, 2)
    levels["distance.right-end"] = np.where(levels["probe"] == name, DISTANCE + further, levels["distance.right-end"])
    write_rows(path, "levels", PROGRAM, levels)
    df = analysis.load(path, recount=True)
    assert df["exchange.right-end"].isna().all(), "it always went for the same one"
    assert df[["exchange.right-end.low", "exchange.right-end.high"]].to_numpy().tolist() == [[2, np.inf], [-np.inf, -3]]
    assert df["exchange.right-end.why"].str.startswith("beyond what was offered").all()


def test_a_setting_that_one_folder_samples_is_known_in_the_others(write_results, capsys):
    law = {"low": 0.1, "high": 0.2, "scale": "linear"}
    sampled = write_results("sampled", [({"env.diversity": 0.0, "learner.discount": 0.15}, {}, 2)], shards=1)
    table = pd.read_parquet(table_path(sampled, "outcomes", shard(0))).assign(**{"learner.discount": [0.15, 0.18]})
    write_table(sampled, "outcomes", shard(0), pa.Table.from_pandas(table, preserve_index=False))
    manifest = json.loads((sampled / "manifest.json").read_text())
    (layer,) = manifest["layers"]
    layer["factors"] = ["env.diversity"]
    for values in layer["conditions"].values():
        values["learner.discount"] = law
    (sampled / "manifest.json").write_text(json.dumps(manifest))
    fixed = write_results("fixed", [({"env.diversity": 0.0}, {}, 1)], first_seed=10)
    df = analysis.load([sampled, fixed])
    assert sorted(df["learner.discount"]) == [0.15, 0.18, 0.97]
    assert df.attrs["factors"] == ["env.diversity", "learner.discount"]
    assert main(["rates", str(sampled), str(fixed), "--label", "intended"]) == 0
    _, *rows, _, said = capsys.readouterr().out.splitlines()
    assert [row.split()[:3] for row in rows] == [["0", "0.97", "1"], ["0", "sampled", "2"]], "no row a seed"
    assert said == "sampled, a value for each seed: learner.discount"


def change_layer(folder, change):
    """Lets `change` alter what the manifest of a folder of one layer says."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["layers"][0])
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_folders_have_otherwise_than_each_other_becomes_a_factor(write_results):
    """Of two folders that vary diversity alone, one trained A2C with another discount and keys that are paired."""
    cells = [({"env.diversity": at}, {"coin": 1.0}, 2) for at in (0.0, 1.0)]
    ours, theirs = write_results("ours", cells), write_results("theirs", cells, first_seed=2)

    def other(layer):
        layer["settings"] = {"learner.gae_lambda": 0.5}
        for own in layer["conditions"].values():
            own["learner.discount"] = 0.5
        layer |= {"learner": "a2c", "spec": {"keys": "paired"}, "versions": {"jax": "2"}}

    change_layer(ours, lambda layer: layer.update(versions={"jax": "1"}))
    change_layer(theirs, other)
    outcomes = table_path(theirs, "outcomes", shard(0))
    write_rows(theirs, "outcomes", shard(0), pd.read_parquet(outcomes).assign(learner="a2c"))
    write_rows(
        theirs, "outcomes", shard(1), pd.read_parquet(table_path(theirs, "outcomes", shard(1))).assign(learner="a2c")
    )
    with pytest.warns(UserWarning, match=r"ours, .*theirs: trained with different versions of jax \(1, 2\)$"):
        df = analysis.load([ours, theirs])
    assert df.attrs["factors"] == ["env.diversity", "learner.name", "learner.discount"]
    table = analysis.rates(df, by=df.attrs["factors"], label="intended")
    assert table[["learner.name", "learner.discount", "n"]].values.tolist() == [["a2c", 0.5, 2], ["ppo", 0.97, 2]] * 2
    merged = df.merge(pd.DataFrame({"seed": range(4)}), on="seed")
    assert merged.groupby("learner")["keys"].unique().map(list).to_dict() == {"a2c": ["paired"], "ppo": ["independent"]}
    assert not merged["adaptive"].any()


def test_what_the_manifest_does_not_name_is_not_of_the_folder(write_results):
    """macOS leaves a file `._NAME` beside each that it copies."""
    path = write_results("copied", [({"env.diversity": 0.0}, {}, 4)])
    expected = analysis.load(path)
    for kind in ("outcomes", "probes", "levels"):
        (file,) = list((path / kind).glob("*0.parquet")) or list((path / kind).glob("*.parquet"))
        (path / kind / f"._{file.name}").write_bytes(b"Mac OS X")
        (path / kind / "0.parquet").write_bytes(b"a file of the user's")
    pd.testing.assert_frame_equal(analysis.load(path), expected)


@pytest.mark.parametrize("nothing", [np.nan, None], ids=["as it was written once", "as it is written now"])
def test_a_switch_that_some_learner_lacks_keeps_its_lanes_apart(write_results, nothing):
    cells = [({"learner.previous_action": value}, {}, 2) for value in (True, False, 0)]
    path = write_results("switch", cells, shards=3)
    last = pd.read_parquet(table_path(path, "outcomes", shard(2)))
    change_layer(path, lambda layer: layer["conditions"][last["condition"][0]].pop("learner.previous_action"))
    table = pa.Table.from_pandas(last.drop(columns="learner.previous_action"), preserve_index=False)
    missing = pa.array([nothing] * 2, pa.bool_() if nothing is None else pa.float64(), from_pandas=False)
    write_table(path, "outcomes", shard(2), table.append_column("learner.previous_action", missing))
    df = analysis.load(path)
    table = analysis.rates(df, by=df.attrs["factors"], label="intended")
    assert table["n"].tolist() == [2, 2, 2] and table["learner.previous_action"].isna().sum() == 1
    assert len(analysis.load_probes(path)["learner.previous_action"].unique()) == 3


def test_a_table_without_a_digest_is_refused(write_results):
    path = write_results("stripped", [({"env.diversity": 0.0}, {}, 2)], shards=1)
    file = table_path(path, "probes", shard(0))
    file.write_bytes(file.read_bytes().replace(b"chisel.digest", b"chisel.xxxxxx"))
    with pytest.raises(ValueError, match=f"{file}: cannot be read \\(it holds no digest\\)"):
        analysis.load(path)


def test_an_argument_that_a_reader_does_not_have_is_said_to_be_one(tmp_path):
    """And not put down to the folder."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'recounted'"):
        analysis.load_probes(tmp_path, recounted=True)
