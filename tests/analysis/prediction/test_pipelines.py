"""Stages as numbers, by hand."""

import numpy as np
import pytest

from analysis.prediction import Pipeline, Pipelines, Stage
from tests.analysis.prediction.made import of

ONE = Stage((1.0, 0, 0, 0), (0, 0.25, 0.5, 0), 0.5, 2.0, 3.0)
TWO = Stage((0, 0, 0.5, 0.5), (0, 0, 0, 0), 0.5)


@pytest.fixture
def pipelines():
    return Pipelines(2, 2, (Pipeline("a", "single", (ONE,)), Pipeline("b", "two", (TWO, ONE), 1.0, 4.0)))


def test_a_kind_is_a_colour_and_a_shape(pipelines):
    np.testing.assert_array_equal(pipelines.features, [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
    assert pipelines.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    np.testing.assert_array_equal(pipelines.differences[2], [1, -1, 1, -1])  # kind 0 against 3
    np.testing.assert_array_equal(pipelines.differences[6:], pipelines.features)


def test_a_margin_counts_for_how_often_its_first_thing_pays_beside_the_second(pipelines):
    """Kind 0 pays; beside it is kind 1 in a quarter of the levels, kind 2 in a half, and nothing in a quarter."""
    np.testing.assert_allclose(pipelines.pull[0, 0], [0.25, 0.5, 0, 0, 0, 0, 0.25, 0, 0, 0])
    np.testing.assert_allclose(pipelines.pull[1, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0.5, 0.5])


def test_where_the_second_of_a_pair_pays_its_margin_is_pulled_down():
    stage = Stage((0, 1.0, 0, 0), (1.0, 0, 0, 0), 1.0)
    pull = Pipelines(2, 2, (Pipeline("a", "single", (stage,)),)).pull
    np.testing.assert_array_equal(pull[0, 0], [-1, *[0] * 9])


def test_stages_are_padded_with_none(pipelines):
    np.testing.assert_array_equal(pipelines.share, [[0.5, 0], [0.5, 0.5]])
    assert not pipelines.pull[0, 1].any() and not pipelines.described[0, 1].any()


def test_scales_are_those_of_the_stages_and_of_the_probes(pipelines):
    np.testing.assert_array_equal(pipelines.salience, [[1, 1], [1, 4], [2, 3]])
    np.testing.assert_array_equal(pipelines.salience_of, [[2, 0, 0], [0, 2, 1]])


def test_a_stage_in_short_is_its_features_as_they_were_scaled(pipelines):
    """Kind 0 paid, colour scale 2, shape scale 3; the other was of colour 0 in 1/4 and colour 1 in 1/2."""
    np.testing.assert_allclose(pipelines.described[0, 0], [2, 0, 3, 0, 0.5, 1, 1.5, 0.75, 0.25])


def test_some_pipelines_are_chosen_by_place_or_mask(pipelines):
    assert pipelines.only(np.array([False, True])).names == ["b"] == pipelines.only(np.array([1])).names
    assert len(pipelines.only(np.zeros(2, bool))) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"paid": (1.0, 0)}, r"pipeline a: stage 1: paid is of shape \(2,\); expected a number for each of 4 kinds"),
        ({"paid": (0.5, 0, 0, 0)}, "stage 1: paid sums to 0.5; expected 1"),
        ({"other": (1.0, 0.5, 0, 0)}, "stage 1: other sums to 1.5; expected at most 1"),
        ({"other": (-1.0, 0.5, 0, 0)}, "stage 1: other has a probability below 0"),
        ({"share": 0.0}, r"stage 1: share is 0.0; expected a number in \(0, 1\]"),
    ],
)
def test_an_impossible_stage_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Pipelines(2, 2, (Pipeline("a", "single", (ONE._replace(**changed),)),))


def test_names_are_told_apart_and_a_pipeline_has_a_stage():
    with pytest.raises(ValueError, match="pipeline a: two have this name"):
        Pipelines(2, 2, (Pipeline("a", "x", (ONE,)), Pipeline("a", "x", (TWO,))))
    with pytest.raises(ValueError, match="pipeline a: no stages"):
        Pipelines(2, 2, (Pipeline("a", "x", ()),))


def test_distributions_of_the_tests_are_uniform_over_what_is_left():
    assert of(2, 2, colour=1) == (0, 0, 0.5, 0.5) and of(2, 2, but=(0, 0, 0.5, 0.5)) == (0.5, 0.5, 0, 0)
