"""The table of predictors."""

import numpy as np
import pandas as pd
import pytest

from analysis.prediction import PREDICTORS, Measured, Pipeline, Pipelines, compare_predictors, predict
from analysis.prediction.judging import details
from analysis.prediction.measured import between_halves, divergences
from analysis.prediction.tables import measured_of
from tests.analysis.prediction.made import drawn, played

CHEAP = {name: PREDICTORS[name] for name in ("half", "nearest")}


@pytest.fixture(scope="module")
def pipelines():
    return drawn(30, 2, 2)


@pytest.fixture(scope="module")
def measured(pipelines):
    return played(pipelines, np.random.default_rng(0).uniform(0.1, 0.9, (30, 6)))


def test_a_row_is_the_mean_over_pipelines_and_over_the_families_held_out(pipelines, measured):
    table = compare_predictors(measured, pipelines, ["3 stages"], CHEAP, folds=3).set_index("predictor")
    assert [*table.index] == ["half", "nearest", "halves of the seeds"]
    out = np.array([one.family == "3 stages" for one in pipelines])
    half = divergences(measured, np.full((30, 6), 0.5))
    assert table.loc["half", "pipelines"] == pytest.approx(half[~out].mean())
    assert table.loc["half", "families"] == pytest.approx(half[out].mean())
    floor = between_halves(measured)
    assert table.loc["halves of the seeds", "families"] == pytest.approx(floor[out].mean())
    assert (table["pipelines.low"] < table["pipelines"]).all() and (table["families"] < table["families.high"]).all()


def test_intervals_are_those_of_a_mean_over_pipelines(pipelines, measured):
    row = compare_predictors(measured, pipelines, [], CHEAP, folds=2).iloc[0]
    values = divergences(measured, np.full((30, 6), 0.5))
    error = values.std() / np.sqrt(len(values))
    assert row["pipelines.high"] - row["pipelines.low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert np.isnan(row["families"]) and np.isnan(row["families.high"])


def test_every_pipeline_is_predicted_from_others(pipelines, measured):
    """Each fit is told which pipelines it has, and each is asked about the rest of its fold, or of the families."""
    seen = []

    def fit(given, _):
        def model(asked):
            seen.append((set(given.names), set(asked.names)))
            return np.full((len(asked), 6), 0.5)

        return model

    details(measured, pipelines, ["3 stages"], {"mine": fit}, folds=3)
    out = {one.name for one in pipelines if one.family == "3 stages"}
    *folds, families = seen
    assert sorted(name for _, asked in folds for name in asked) == sorted(set(pipelines.names) - out)
    assert all(given | asked == set(pipelines.names) - out and not given & asked for given, asked in folds)
    assert families == (set(pipelines.names) - out, out)


def test_pipelines_that_are_the_same_stay_in_one_fold(pipelines):
    """Otherwise a fit would be refused, as it has the pipeline under another name."""
    twice = [one._replace(name=f"{one.name}-again") for one in pipelines]
    doubled = Pipelines(2, 2, (*pipelines, *twice))
    measured = played(doubled, np.full((60, 6), 0.5))
    assert len(compare_predictors(measured, doubled, [], CHEAP, folds=4)) == 3


def test_the_same_pipeline_in_a_held_out_family_is_refused(pipelines, measured):
    doubled = Pipelines(2, 2, (*pipelines, Pipeline("again", "new", *pipelines[0][2:])))
    both = played(doubled, np.full((31, 6), 0.5))
    with pytest.raises(ValueError, match="half: was fitted on pipeline again, as made-0, and cannot be judged on it"):
        compare_predictors(both, doubled, ["new"], CHEAP)


def test_a_family_that_there_is_not_and_too_many_folds_are_refused(pipelines, measured):
    with pytest.raises(ValueError, match="no family of pipelines named '3 stage'; nearest: 3 stages"):
        compare_predictors(measured, pipelines, ["3 stage"], CHEAP)
    with pytest.raises(ValueError, match="folds: 9 of 5 different pipelines; expected at most as many"):
        compare_predictors(measured, pipelines.only(np.arange(5)), [], CHEAP, folds=9)


@pytest.fixture
def table(pipelines, measured):
    """As preferences are stored: a row a lane, checkpoint and pair, in no order."""
    rows = [
        (name, f"c-{name}", seed, 1.0, *pair, measured.first[i, seed, j], 8 - measured.first[i, seed, j], 0)
        for i, name in enumerate(measured.names)
        for seed in range(3)
        for j, pair in enumerate(pipelines.pairs.tolist())
    ]
    columns = ["pipeline", "condition", "seed", "checkpoint", "kind", "rival", "kind_first", "rival_first", "undecided"]
    df = pd.DataFrame(rows, columns=columns)
    early = df.assign(checkpoint=0.5, kind_first=8, rival_first=0)
    return pd.concat([early, df]).sample(frac=1, random_state=0)


def test_a_table_of_preferences_is_counted_at_its_last_checkpoint(pipelines, measured, table):
    found = measured_of(table[table["pipeline"] != "made-3"], pipelines)
    assert found.names == tuple(name for name in pipelines.names if name != "made-3")
    kept = np.arange(30) != 3
    np.testing.assert_array_equal(found.first, measured.first[kept, :3])
    assert (found.decided == 8).all()


def test_a_seed_that_a_pipeline_has_not_decides_nothing(pipelines, table):
    found = measured_of(table[(table["pipeline"] != "made-0") | (table["seed"] < 2)], pipelines)
    assert (found.decided[0, 2] == 0).all() and (found.decided[1:] == 8).all()


def test_what_was_not_measured_is_predicted_from_what_was(pipelines, measured, table):
    stages = [one.stages for one in pipelines]
    asked = [one.name for one in pipelines if stages.count(one.stages) == 1][:2]
    df = predict(table[~table["pipeline"].isin(asked)], pipelines, "nearest")
    assert [*df.columns] == ["pipeline", "kind", "rival", "probability"] and [*df["pipeline"].unique()] == asked
    rest = np.isin(pipelines.names, asked)
    model = PREDICTORS["nearest"](pipelines.only(~rest), measured.of_seeds(np.arange(3)).only(~rest))
    np.testing.assert_allclose(df["probability"], model(pipelines.only(rest)).ravel())
    np.testing.assert_array_equal(df[["kind", "rival"]], np.tile(pipelines.pairs, (2, 1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda df: df.drop(columns="rival"), "preferences: no column rival; expected pipeline, condition"),
        (
            lambda df: df.assign(condition=df["seed"].astype(str)),
            "pipeline made-0: 3 conditions; choose the rows of",
        ),
        (lambda df: df.assign(rival=9), "preferences: pairs of other kinds than those of 2 colours x 2 shapes"),
        (lambda df: df, "pipelines: all were measured; expected some that are to be predicted"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(pipelines, table, change, message):
    with pytest.raises(ValueError, match=message):
        predict(change(table), pipelines, "half")


def test_nothing_measured_is_nothing_to_fit_to(pipelines):
    with pytest.raises(ValueError, match="half: no pipelines to fit to"):
        predict(Measured((), np.zeros((0, 2, 6), int), np.zeros((0, 2, 6), int)), pipelines, "half")
