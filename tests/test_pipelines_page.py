"""The comparisons of docs/pipelines.py, on made tables of preferences whose answers are known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("pipelines_page", Path(__file__).parents[1] / "docs" / "pipelines.py")
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)


def going_by(*scores):
    """f64[seeds, kinds, kinds]: for each seed, kinds in the order of a score; of equals each half of 16 episodes."""
    return np.stack([8 + 8 * np.sign(score[:, None] - score[None]) for score in np.array(scores, float)])


COLOUR, SHAPE = np.divmod(np.arange(24), 6)
BY_COLOUR, BY_SHAPE = -COLOUR, -SHAPE


def test_pulls_and_conflicts_of_made_policies():
    table = going_by(BY_COLOUR, BY_SHAPE, np.zeros(24))
    np.testing.assert_array_equal(page.pull("red")(table), [1.0, 0.5, 0.5])
    np.testing.assert_array_equal(page.pull("square", ["red"])(table)[[1, 2]], [1.0, 0.5])
    np.testing.assert_array_equal(page.conflict("red", "square")(table), [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(page.conflict("green", "red")(table), [0.0, 0.5, 0.5])
    assert np.isnan(page.pull("red")(np.zeros((1, 24, 24)))).all(), "nothing was decided"


def test_a_contrast_is_a_sum_of_means_with_the_interval_of_welch():
    """Two seeds each, 1 and 0.5 less 0 and 0.5: 0.5, by hand with variance 1/16 + 1/16, 2 degrees of freedom."""
    found = {("a", 1.0): going_by(BY_COLOUR, np.zeros(24)), ("b", 1.0): going_by(BY_SHAPE, np.zeros(24))}
    measure = page.conflict("red", "square")
    one = page.contrast(found, "x", [(1, "a", 1.0, measure), (-1, "b", 1.0, measure)])
    wide = 4.302652729911275 * np.sqrt(1 / 8)
    assert (one.value, one.low, one.high) == pytest.approx((0.5, 0.5 - wide, 0.5 + wide))
    same = page.contrast(found, "x", [(1, "a", 1.0, measure), (-1, "a", 1.0, measure)])
    assert (same.value, same.low, same.high) == (0, 0, 0), "of the same seeds, a difference is taken seed by seed"


def test_the_rules_read_the_preset():
    """Every pipeline that a comparison asks for is in the preset, and policies that go by what came last follow."""
    from sweeps.spec import load_spec

    scores = {name: np.array([HAS_OF[name][kind] for kind in range(24)], float) for name in HAS_OF}
    rng, found = np.random.default_rng(0), {}
    for pipeline, one in load_spec("pipelines").pipelines.items():
        last = one.stages[-1].split("_")[0]
        score = scores.get(last, np.zeros(24))
        for at in (0.5, 1.0):
            found[pipeline, at] = going_by(*(score + 1e-3 * rng.random(24) for _ in range(3)))
    every = {
        rule: getattr(page, rule)(found) for rule in ("order", "persistence", "inhibition", "salience", "optimiser")
    }
    assert [len(rows) for rows in every.values()] == [16, 31, 5, 6, 12]
    assert all(one.value == pytest.approx(-1) for one in every["order"]), "what came last won"
    assert abs(every["persistence"][-1].value) < 0.1
    said = page.verdicts(every)
    assert said["order"] == "matters in 15 of 15 pairs; as a whole: yes"
    assert said["persistence"] == said["inhibition"] == said["salience"] == "no"


HAS_OF = {name: page.HAS[place] for name, place in page.FEATURES.items()}
