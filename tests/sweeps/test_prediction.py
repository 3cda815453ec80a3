"""Pipelines as predictors know them, from a sweep's manifest."""

import numpy as np
import pytest

from analysis.folder import as_place, write_manifest
from analysis.prediction import pipelines_of
from analysis.prediction.tables import allowed
from envs import Kinds
from sweeps.plan import make_plan
from sweeps.spec import load_spec

STAGES = {
    "red": {"env.paid_colour": 1},
    "square": {"env.paid_colour": 0, "env.paid_shape": 1, "env.pairs": 0.25, "env.scale_shape": 2.0},
    "both": {"env.paid_colour": 1, "env.paid_shape": 1, "env.other_colour": 2, "env.other_shape": 2},
    "alone": {"env.paid_colour": 0, "env.paid_shape": 0, "env.pairs": 0.0},
}
SMALL = {"name": "a", "world": "kinds", "seeds": 2, "fixed": {"env.colours": 2, "env.shapes": 3}, "stages": STAGES}


@pytest.fixture
def folder(tmp_path):
    def write(pipelines, **more):
        write_manifest(as_place(tmp_path), [make_plan(load_spec({**SMALL, "pipelines": pipelines, **more})).layer()])
        return tmp_path

    return write


def test_stages_are_what_conditions_were_set_to(folder):
    """Two colours by three shapes: kinds 0 to 2 are red, 0 and 3 are squares."""
    quarter = [{"stage": "square", "share": 0.25}, {"stage": "red", "share": 0.75}]
    found = pipelines_of(folder({"one-red": ["red"], "two-square-red": quarter, "two-both-alone": ["both", "alone"]}))
    third, half, none = 1 / 3, 0.5, 0.0
    assert [one.family for one in found] == ["one", "two", "two"]
    red, (square, then_red), (both, alone) = found[0].stages[0], found[1].stages, found[2].stages
    assert (red.paid, red.other, red.share) == ((third,) * 3 + (none,) * 3, (none,) * 3 + (third,) * 3, 1.0)
    assert square.paid == (half, none, none, half, none, none) and (square.share, square.shape) == (0.25, 2.0)
    np.testing.assert_allclose(square.other, [0, 1 / 16, 1 / 16, 0, 1 / 16, 1 / 16])
    assert (then_red.paid, then_red.other, then_red.share) == (red.paid, red.other, 0.75)
    assert (both.paid, both.other) == ((1.0,) + (none,) * 5, (none,) * 4 + (1.0, none))
    assert alone.other == (none,) * 6
    np.testing.assert_allclose(alone.paid, np.full(6, 1 / 6))
    assert (found[1].colour, found[1].shape) == (1.0, 2.0)  # probes see what the first stage sets


def test_kinds_are_allowed_as_in_the_world():
    world = Kinds(colours=2, shapes=3)
    for paid in ((0, 1), (2, 0), (1, 3)):
        for other in ((0, 0), (2, 0), (0, 2)):
            named = dict(zip(("paid_colour", "paid_shape", "other_colour", "other_shape"), paid + other, strict=True))
            params = world.default_params.replace(**named)
            np.testing.assert_array_equal(allowed(named, 2, 3), world.allowed(params))


def test_families_may_be_given_and_other_factors_may_vary(folder):
    factors = {"learner.entropy_coef": [0.01, 0.03]}
    found = pipelines_of(folder({"a-red": ["red"], "b-square": ["square"]}, factors=factors), {"a-red": "mine"})
    assert [(one.name, one.family) for one in found] == [("a-red", "mine"), ("b-square", "b")]


def test_other_sweeps_have_no_pipelines(tmp_path):
    write_manifest(as_place(tmp_path), [make_plan(load_spec({"name": "a", "world": "kinds", "seeds": 1})).layer()])
    with pytest.raises(ValueError, match="a sweep over kinds; expected pipelines of stages in the world kinds"):
        pipelines_of(tmp_path)
