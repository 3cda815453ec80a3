"""What other people's tools get: the same numbers, in forms that they read."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import analysis
from analysis.export import summary
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
