"""What other people's tools get: the same numbers, in forms that they read."""

import io
import itertools
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

import analysis
from analysis.export import summary, trackers
from analysis.export.export import FORMS
from analysis.export.summary import Summary
from analysis.folder import as_place
from sweeps.cli import arguments, main

RESULTS = str(Path(analysis.__file__).parent / "notebooks" / "results")


@pytest.fixture(scope="module")
def found():
    return Summary(as_place(RESULTS))


def test_curves_are_means_and_quantiles_over_the_seeds_of_a_condition(found):
    curves = analysis.load_curves(RESULTS)
    row = found.curves[found.curves["measure"] == "return_mean"].iloc[77]
    one = curves[(curves["condition"] == row["condition"]) & (curves["update"] == row["update"])]
    values = one["return_mean"].to_numpy(float)
    assert row["seeds"] == len(values) == 16 and row["env_step"] == one["env_step"].iloc[0]
    assert row["mean"] == pytest.approx(values.mean())
    np.testing.assert_allclose([row["quantile_10"], row["quantile_90"]], np.quantile(values, [0.1, 0.9]))
    assert row["env.diversity"] == one["env.diversity"].iloc[0]
    assert len(found.curves) == 10 * 50 * found.curves["measure"].nunique()


def test_rates_are_those_of_analysis_rates_beside_the_factors(found):
    expected = analysis.rates(found.frame, by=found.factors)
    pd.testing.assert_frame_equal(
        found.rates.drop(columns="condition").sort_values([*found.factors, "label"], ignore_index=True),
        expected.astype({"label": "str"}).sort_values([*found.factors, "label"], ignore_index=True),
    )


def test_csv_and_parquet_hold_the_frame_of_load(tmp_path, capsys):
    assert main(["export", RESULTS, "--to", "csv", "--out", str(tmp_path / "csv")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'csv'}\n"
    hub = analysis.export(RESULTS, "huggingface", tmp_path / "hub")
    df = analysis.load(RESULTS)
    for policies in (pd.read_csv(tmp_path / "csv" / "policies.csv"), pd.read_parquet(hub / "policies.parquet")):
        assert list(policies) == list(df) and list(policies["label"]) == list(df["label"].astype(str))
        pd.testing.assert_frame_equal(policies.select_dtypes("number"), df.select_dtypes("number"), check_dtype=False)


def test_the_card_names_each_table_as_the_hub_reads_it(tmp_path, found):
    hub = analysis.export(RESULTS, "huggingface", tmp_path)
    _, front, text = (hub / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    tables = {one["config_name"]: pd.read_parquet(hub / one["data_files"]) for one in card["configs"]}
    assert {name: len(table) for name, table in tables.items()} == {
        "policies": 160, "rates": 50, "curves": len(found.curves)
    }  # fmt: skip
    assert [one["config_name"] for one in card["configs"] if one.get("default")] == ["policies"]
    assert "- `env.diversity`: 0.01, 0.03, 0.1, 0.3, 1\n- `learner.total_steps`: 51200, 204800" in text


def test_a_world_without_goals_has_no_rates(found, monkeypatch, tmp_path):
    bare = found.frame[[name for name in found.frame if not name.startswith("share.")]]
    monkeypatch.setattr(summary, "load", lambda folder: bare)
    assert Summary(as_place(RESULTS)).rates is None
    assert "config_name: rates" not in (analysis.export(RESULTS, "huggingface", tmp_path) / "README.md").read_text()


@pytest.fixture
def summary_of(found, monkeypatch):
    """A summary of the same folder with other curves, of two points."""

    def of(change):
        curves = analysis.load_curves(RESULTS).astype({"env_step": "float64"})
        curves = curves[curves["update"].isin(sorted(curves["update"].unique())[::49])].copy()
        monkeypatch.setattr(summary, "load_curves", lambda folder: change(curves))
        one = Summary(found.folder)
        one.__dict__["frame"] = found.frame
        return one

    return of


def test_curves_go_along_updates_where_a_learner_takes_no_steps(summary_of, found):
    first, second = found.conditions.index[:2]

    def without_steps(curves):
        curves.loc[curves["condition"] == first, "env_step"] = np.nan
        return curves

    mixed = summary_of(without_steps)
    table = mixed.curves
    assert table.loc[table["condition"] == first, "env_step"].isna().all() and str(table["env_step"].dtype) == "Int64"
    assert table.loc[table["condition"] == second, "env_step"].notna().all()
    every = list(trackers.runs(mixed))
    exact = summary_of(lambda curves: curves.drop(columns="env_step"))
    assert "env_step" not in exact.curves and len(exact.curves) == len(table)
    for one, other in zip(every, trackers.runs(exact), strict=True):
        assert one.points == other.points and [at for at, _ in one.points] == sorted(set(one.curves["update"]))


def test_a_condition_whose_curves_have_no_number_has_its_rates_alone(summary_of, found, tmp_path, monkeypatch):
    first = found.conditions.index[0]

    def empty(curves):
        numbers = list(curves.select_dtypes("float").columns.difference(["env_step", *found.factors]))
        return curves.assign(**{name: curves[name].where(curves["condition"] != first) for name in numbers}).drop(
            columns=["episodes"]
        )

    monkeypatch.setattr(trackers, "_picture", lambda found: None)
    one = summary_of(empty)
    run = next(trackers.runs(one))
    assert run.settings["condition"] == first and run.points == [] and run.last == 0 and run.finals["seeds"] == 16
    trackers.write_tensorboard(one, tmp_path)
    assert {event.step for event in events(tmp_path / run.name) for value in event.summary.value} == {0}


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path):
    hub = analysis.export(RESULTS, "huggingface", tmp_path / "hub")
    (hub / ".gitattributes").write_text("")
    analysis.export(RESULTS, "huggingface", hub)
    (hub / "README.md").write_text("my own project")
    with pytest.raises(ValueError, match="hub: has README.md, which no earlier export wrote; give another folder"):
        analysis.export(RESULTS, "huggingface", hub)
    assert (hub / "README.md").read_text() == "my own project"
    with pytest.raises(ValueError, match="hub: has README.md, which no earlier export wrote; give another folder"):
        analysis.export(RESULTS, "csv", hub)


@pytest.mark.parametrize(("form", "name"), [("csv", "policies.csv"), ("huggingface", "policies.parquet")])
def test_a_table_of_somebody_else_is_not_replaced(form, name, tmp_path):
    """An export left its tables all together; one that is alone is the user's own."""
    (tmp_path / name).write_text("my own")
    with pytest.raises(ValueError, match=f"has {name}, which no earlier export wrote; give another folder"):
        analysis.export(RESULTS, form, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["my own"]
    (tmp_path / name).unlink()
    analysis.export(RESULTS, form, tmp_path)
    written = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(written[:100])
    analysis.export(RESULTS, form, tmp_path)
    assert (tmp_path / name).read_bytes() == written


@pytest.mark.parametrize("form", ["csv", "huggingface", "tensorboard"])
def test_an_export_to_a_bucket_is_refused(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"s3://bucket/x: an export is written to this machine; give a folder for it"):
        analysis.export(RESULTS, form, "s3://bucket/x")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_told_in_one_line(tmp_path, capsys):
    assert tuple(FORMS) == arguments.FORMS
    (tmp_path / "file").write_text("")
    copy = shutil.copytree(RESULTS, tmp_path / "copy")
    for given, said in {
        ("export", str(tmp_path), "--to", "csv"): "is not a results folder: it has no manifest.json",
        ("export", str(copy), "--to", "excel"): "invalid choice: 'excel'",
        ("export", str(copy), "--to", "csv", "--out", str(tmp_path / "file" / "x")): "cannot be written (Not a direct",
    }.items():
        assert main(list(given)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    with pytest.raises(ValueError, match="no form named 'cvs'; nearest: csv"):
        analysis.export(copy, "cvs")
    assert not (copy / "csv").exists()


@pytest.fixture
def one_run(monkeypatch):
    """Only the first condition is written, and it is returned; the figure is a stand-in of a few pixels."""
    every = trackers.runs
    monkeypatch.setattr(trackers, "runs", lambda found: itertools.islice(every(found), 1))
    file = io.BytesIO()
    Image.new("RGB", (4, 2), (255, 0, 0)).save(file, "PNG")
    monkeypatch.setattr(trackers, "_picture", lambda found: file.getvalue())
    return next(every(Summary(as_place(RESULTS))))


def test_a_run_has_a_conditions_settings_curves_and_rates(found):
    df = found.frame
    every = list(trackers.runs(found))
    assert len(every) == 10 and every[3].name.startswith("env.diversity=0.03,learner.total_steps=204800-")
    one, lanes = every[3], df[df["condition"] == every[3].settings["condition"]]
    assert one.settings["env.diversity"] == 0.03 and one.settings["learner.n_envs"] == 32
    assert one.finals["seeds"] == 16 and one.finals["mean/share.coin"] == pytest.approx(lanes["share.coin"].mean())
    assert one.finals["mean/return_mean"] == pytest.approx(lanes["return_mean"].mean())
    assert one.finals["rate/proxy:right-end"] == (lanes["label"] == "proxy:right-end").mean()
    steps = [step for step, _ in one.points]
    assert steps == sorted(set(steps)) and len(steps) == 50 and steps[-1] == 204800
    last = found.curves[(found.curves["condition"] == one.settings["condition"]) & (found.curves["env_step"] == 204800)]
    assert one.points[-1][1]["entropy/mean"] == last.set_index("measure")["mean"]["entropy"]


def events(folder):
    """Those of TensorBoard's files: a length, a checksum of it, the event and a checksum."""
    (file,) = folder.glob("events.*")
    content, place = file.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        yield Event.FromString(content[place + 12 : place + 12 + length])
        place += 12 + length + 4


def test_tensorboard_has_a_run_a_condition(tmp_path, one_run):
    out = analysis.export(RESULTS, "tensorboard", tmp_path / "tb")
    assert sorted(path.name for path in out.iterdir()) == sorted([one_run.name, "sweep"])
    scalars = {
        (value.tag, event.step): value.simple_value
        for event in events(out / one_run.name) for value in event.summary.value if value.HasField("simple_value")
    }  # fmt: skip
    step, values = one_run.points[20]
    assert scalars["return_mean/quantile_10", step] == pytest.approx(values["return_mean/quantile_10"], rel=1e-6)
    last = one_run.points[-1][0]
    assert scalars["rate/proxy_right-end", last] == pytest.approx(one_run.finals["rate/proxy:right-end"])
    assert [value.image.width for event in events(out / "sweep") for value in event.summary.value] == [4]
    with pytest.raises(ValueError, match="tb: is not empty, and tensorboard would add to it; remove it, or give anoth"):
        analysis.export(RESULTS, "tensorboard", out)


def test_mlflow_has_a_run_a_condition(tmp_path, one_run, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    out = analysis.export(RESULTS, "mlflow", tmp_path / "mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(out.as_uri())
    experiment = client.get_experiment_by_name("coin-run")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {one_run.name, "sweep"}
    run = runs[one_run.name]
    assert run.data.params["env.diversity"] == str(one_run.settings["env.diversity"])
    assert run.data.metrics["rate/proxy:right-end"] == one_run.finals["rate/proxy:right-end"]
    history = client.get_metric_history(run.info.run_id, "return_mean/mean")
    assert [(one.step, one.value) for one in history] == [
        (step, values["return_mean/mean"]) for step, values in one_run.points
    ]
    assert [one.path for one in client.list_artifacts(runs["sweep"].info.run_id)] == ["overview.png"]
    with pytest.raises(ValueError, match="^file://.*: has an experiment coin-run with runs, and mlflow would add"):
        analysis.export(RESULTS, "mlflow", out.as_uri())
    assert len(client.search_runs([experiment.experiment_id])) == 2
    with pytest.raises(ValueError, match=f"^nonsense://{tmp_path}: ") as error:
        analysis.export(RESULTS, "mlflow", f"nonsense://{tmp_path}")
    assert len(str(error.value).splitlines()) == 1


def test_wandb_has_a_run_a_condition_that_waits_to_be_sent(tmp_path, one_run):
    pytest.importorskip("wandb")
    out = analysis.export(RESULTS, "wandb", tmp_path / "wandb")
    contents = [path.read_bytes() for path in out.glob("wandb/offline-run-*/run-*.wandb")]
    assert len(contents) == 2
    (of_condition,) = [content for content in contents if one_run.name.encode() in content]
    assert all(name in of_condition for name in (b"return_mean/quantile_90", b"rate/proxy:right-end", b"env.diversity"))


def test_a_tracker_that_is_not_installed_is_told_with_its_extra(monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["analysis.export.export"], "find_spec", lambda name: None)
    assert main(["export", RESULTS, "--to", "wandb"]) == 2
    assert capsys.readouterr().err == "wandb: needs wandb, which is not installed; pip install 'chisel-rl[wandb]'\n"
