"""Callers ask for some columns and rows, and get what they would have picked from the whole."""

import pandas as pd
import pyarrow.compute as pc
import pytest

import analysis
from analysis.folder import table_path
from tests.analysis.conftest import shard, transition


def test_columns_and_rows_are_those_of_the_whole_frame(sweep_folder):
    whole = analysis.load(sweep_folder)
    early, late = pc.field("env.diversity") < 0.05, pc.field("label") == "intended"
    for where, chosen in ((early, whole["env.diversity"] < 0.05), (late, whole["label"] == "intended")):
        rows = analysis.load(sweep_folder, filter=where)
        pd.testing.assert_frame_equal(rows, whole[chosen].reset_index(drop=True))
    both = early & late
    columns = ["label", "share.coin", "env.diversity"]
    some = analysis.load(sweep_folder, columns=columns, filter=both)
    expected = whole[(whole["env.diversity"] < 0.05) & (whole["label"] == "intended")]
    pd.testing.assert_frame_equal(some, expected[columns].reset_index(drop=True))
    assert some.attrs["factors"] == ["env.diversity"] and 0 < len(some) < len(whole)
    nothing = analysis.load(sweep_folder, filter=pc.field("env.diversity") > 1)
    pd.testing.assert_frame_equal(nothing, whole[:0], check_index_type=False)


def test_probes_and_curves_too(sweep_folder):
    probes, curves = analysis.load_probes(sweep_folder), analysis.load_curves(sweep_folder)
    where = (pc.field("probe") == "fork") & (pc.field("share.coin") > 0.5) & (pc.field("env.diversity") == 0.1)
    mask = (probes["probe"] == "fork") & (probes["share.coin"] > 0.5) & (probes["env.diversity"] == 0.1)
    columns = ["seed", "share.coin", "probe"]
    some = analysis.load_probes(sweep_folder, columns=columns, filter=where)
    pd.testing.assert_frame_equal(some, probes.loc[mask, columns].reset_index(drop=True))
    last = analysis.load_curves(sweep_folder, columns=["return_mean"], filter=pc.field("update") == 100)
    pd.testing.assert_frame_equal(last, curves.loc[curves["update"] == 100, ["return_mean"]].reset_index(drop=True))


def test_what_is_not_needed_is_not_read(write_results):
    """Neither the probes, nor the raw lists of episodes."""
    path = write_results("lean", [({"env.diversity": 0.5}, {}, 4)])
    for table, name in (("probes", shard(0)), ("curves", shard(0))):
        table_path(path, table, name).write_bytes(b"")
    assert analysis.load(path, columns=["seed", "return_mean", "env.diversity"])["seed"].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="probes/.*cannot be read"):
        analysis.load(path, columns=["label"])


def test_a_column_of_one_folder_of_several_has_no_value_in_the_others(write_results):
    """Its values neither raise nor are true of anything."""
    a = write_results("a", transition(seeds=4))
    b = write_results("b", [({"learner.discount": 0.9}, {}, 2)], first_seed=50, totals=lambda factors, seed: 1.0)
    for field in ("return_total", "success.fork-mirrored"):
        df = analysis.load([a, b], columns=["seed", "return_total"], filter=pc.field(field) > 0.5)
        assert len(df) == (
            2 if field == "return_total" else len(analysis.load([a, b]).query("`success.fork-mirrored` > 0.5"))
        )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"columns": ["lable"]}, "no column named 'lable'; nearest: label"),
        ({"columns": "label"}, "columns: expected a list of names, found 'label'"),
        (
            {"filter": pc.field("env.divresity") > 0},
            "no column to filter by named 'env.divresity'; nearest: env.diversity",
        ),
        ({"filter": "env.diversity > 0"}, "filter: expected a pyarrow expression such as pyarrow.compute.field"),
        ({"filter": pc.field("program") > 1}, "filter: Function 'greater' has no kernel matching input types"),
    ],
    ids=str,
)
def test_what_does_not_exist_is_named_in_one_line(sweep_folder, asked, said):
    for read in (analysis.load, analysis.load_probes, analysis.load_curves):
        if read is analysis.load_curves and "program" in str(asked):
            continue
        if read is not analysis.load and "columns" in asked and isinstance(asked["columns"], list):
            said = said.partition(";")[0]
        with pytest.raises(ValueError) as error:
            read(sweep_folder, **asked)
        assert str(error.value).startswith(said) and "\n" not in str(error.value)
