"""Difference vectors of policies whose goal was put into one direction."""

import jax
import numpy as np
import pandas as pd
import pytest

import envs
import jaxrl
from jaxrl.internals import Difference
from jaxrl.internals.difference import next_seed
from tests.jaxrl.internals.known import LEARNER, WORLD, goes_to_the_coin_by, lanes_of, zeros


@pytest.fixture(scope="module")
def found():
    """One seed whose goal sits in unit 0, and one in unit 1; another condition with one seed; and one of three seeds,
    of which the second diverged, and the third has nothing in its layers."""
    policies = [goes_to_the_coin_by(unit) for unit in (0, 1, 0, 0)]
    diverged = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), policies[0])
    lanes = lanes_of([*policies, diverged, zeros()], ["a", "a", "b", "c", "c", "c"])
    columns = Difference(WORLD, LEARNER, ["tower_0", "tower_1"], chunk=2)(lanes)
    every = [pd.DataFrame({name: values[lane] for name, values in columns.items()}) for lane in range(6)]
    return [one.set_index(["layer", "vector", "sign"]).sort_index() for one in every]


@pytest.mark.parametrize("layer", ["tower_0", "tower_1"])
def test_taking_the_direction_away_takes_the_goal_away_and_giving_it_gives_the_goal(found, layer):
    own = found[0].loc[layer, "own"]
    assert own["share"].to_dict() == {-1: 0.0, 1: 1.0}
    assert own["blind.share"].to_dict() == {-1: 0.0, 1: 1.0}
    assert set(own["unsteered.share"]) == {1.0} and set(own["unsteered.blind.share"]) == {0.0}
    assert np.allclose(own["norm"], 6) and np.allclose(own["activation"], 3)


@pytest.mark.parametrize("layer", ["tower_0", "tower_1"])
@pytest.mark.parametrize("vector", ["random", "other"])
def test_as_long_a_random_vector_and_one_of_another_direction_change_nothing(found, layer, vector):
    assert set(found[0].loc[(layer, vector), "share"]) == {1.0}
    assert set(found[0].loc[(layer, vector), "blind.share"]) == {0.0}


def test_a_condition_of_one_seed_has_no_other(found):
    assert found[2].loc[("tower_0", "other"), ["share", "blind.share"]].isna().all(axis=None)
    assert found[2].loc[("tower_0", "own"), "share"].to_list() == [0.0, 1.0]
    assert next_seed(np.array(["a", "b", "a", "a"])).tolist() == [2, 1, 3, 0]


def test_a_diverged_seed_and_one_without_a_direction_are_no_control(found):
    shares = ["share", "undecided", "blind.share", "blind.undecided"]
    for lane in (3, 4):  # before the diverged one, and before the empty one
        assert found[lane].loc[("tower_0", "other"), shares].isna().all(axis=None), lane
    assert found[3].loc[("tower_0", "own"), "share"].to_list() == [0.0, 1.0]
    assert found[3].loc[("tower_0", "random"), "share"].to_list() == [1.0, 1.0]
    assert found[5].loc[("tower_0", "other"), "undecided"].notna().all(), "the one after the empty one is healthy"


def test_no_layout_is_steered_by_a_vector_that_it_has_a_part_in():
    method = Difference(envs.make("coin-run"), jaxrl.PPO(), ["tower_0"], chunk=2)
    layout = method.choice.layout
    for episode, half in enumerate(method.episode):
        assert method.among[half][layout == layout[episode]].sum() == 0
    assert np.allclose(method.among.sum(axis=1), 1) and set(method.episode) == {0, 1}
