"""Layouts: inputs in order and by name, and a goal taken out of what is seen."""

import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN, NUMBER, Channel, Feature, Image, Layout, dense
from tests.envs.pictured import Coloured, Pictured

LAYOUT = Layout(
    (
        Feature("row", 2),
        Feature("smell", NUMBER, "cheese", 2),
        Feature("cheese_down", 3, "cheese"),
        Feature("light", NUMBER),
    )
)


def test_values_are_laid_out_in_the_declared_order_whatever_the_order_in_which_they_are_given():
    seen = LAYOUT.observe({"light": 0.5, "cheese_down": 2, "row": jnp.int32(1), "smell": [0.25, 0.75]})
    assert seen.indices.tolist() == [1, 2] and seen.indices.dtype == jnp.int32
    assert seen.vector.tolist() == [0.25, 0.75, 0.5] and seen.image == ()
    assert (LAYOUT.cardinalities, LAYOUT.vector_size) == ((2, 3), 3)


def test_inputs_have_the_names_of_what_is_one_in_them():
    names = ("row=0", "row=1", "cheese_down=0", "cheese_down=1", "cheese_down=2", "smell[0]", "smell[1]", "light")
    assert LAYOUT.input_names == names
    seen = LAYOUT.observe({"row": 1, "cheese_down": 0, "smell": [0, 1], "light": 0})
    hot = [name for name, value in zip(names, dense(seen, LAYOUT.cardinalities), strict=True) if value]
    assert hot == ["row=1", "cheese_down=0", "smell[1]"]


def test_hiding_a_goal_hides_its_features_and_no_other():
    many = LAYOUT.observe({"row": 1, "cheese_down": 2, "smell": [0.25, 0.75], "light": 0.5})
    hidden = LAYOUT.hide(
        many._replace(indices=np.tile(many.indices, (4, 1)), vector=np.tile(many.vector, (4, 1))), "cheese"
    )
    np.testing.assert_array_equal(hidden.indices, [[1, HIDDEN]] * 4)
    np.testing.assert_array_equal(hidden.vector, [[0, 0, 0.5]] * 4)
    assert LAYOUT.goals == {"cheese"}
    with pytest.raises(ValueError, match="no feature belongs to dish"):
        LAYOUT.hide(many, "dish")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"row": 1, "smell": [0, 0], "light": 0}, "the feature cheese_down is missing"),
        ({"row": 1, "smell": [0, 0], "light": 0, "cheese_down": 0, "dish_down": 0}, "dish_down is not declared"),
    ],
)
def test_a_value_too_few_or_too_many_is_refused_by_name(values, said):
    with pytest.raises(ValueError, match=said):
        LAYOUT.observe(values)


def test_two_features_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two features are called row"):
        Layout((Feature("row", 2), Feature("row", 3)))


def test_a_picture_is_bytes_whose_channels_are_hidden_with_their_goals_and_whose_inputs_have_names_and_places():
    world = Pictured()
    seen = world.features(world.read_state("B . . A . . S"), world.default_params)
    assert seen.image.shape == (3, 7, 3) and seen.image.dtype == jnp.uint8 and seen.vector.shape == (1,)
    assert np.argwhere(seen.image == 255).tolist() == [[1, 0, 1], [1, 3, 0], [1, 6, 2]]
    hot = [name for name, value in zip(world.layout.input_names, world.get_obs(
        world.read_state("B . . A . . S"), world.default_params), strict=True) if value == 1]  # fmt: skip
    assert hot == ["berry[1,0]", "agent[1,3]", "sign[1,6]"] and world.layout.size == 1 + 3 * 7 * 3
    blind = world.hide(seen._replace(image=np.tile(seen.image, (4, 1, 1, 1))), "berry").image
    assert blind.shape == (4, 3, 7, 3) and blind.dtype == jnp.uint8
    assert np.argwhere(blind[2]).tolist() == [[1, 3, 0], [1, 6, 2]]
    assert Coloured().layout.goals == frozenset() and Coloured().layout.blank(2).image.shape == (2, 3, 7, 3)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image(3, 0, (Channel("red"),)), r"\(3, 0, 1\) shows nothing"),
        (Image(3, 3, (Channel("row"),)), "are called row"),
    ],
)
def test_a_picture_of_nothing_or_with_a_name_that_is_taken_is_refused(image, said):
    with pytest.raises(ValueError, match=said):
        Layout((Feature("row", 2),), image)


@pytest.mark.parametrize("name", envs.WORLDS)
def test_every_world_declares_an_input_for_each_that_a_network_has_and_goals_that_it_has(name):
    world = envs.make(name)
    assert (
        len(world.layout.input_names) == world.layout.size == len(envs.dense(world.layout.blank(), world.cardinalities))
    )
    assert len(set(world.layout.input_names)) == len(world.layout.input_names)
    assert world.layout.goals <= {goal.name for goal in world.goals}


@pytest.mark.parametrize(
    ("world", "goal", "names"),
    [
        (envs.CoinRun(), "coin", {"coin_down", "coin_right"}),
        (envs.TrashRoom(lamps=True), "button",
         {"button_down", "button_right", "button_glass", "button_lit", "button_lamp"}),
        (envs.TrashRoom(), "task", {"trash_down", "trash_right", "can_down", "can_right", "carrying"}),
        (envs.Overseer(), "task", {"mess_down", "mess_right", "progress"}),
        (envs.MazeKeys(keys=2), "key", {"key_1_down", "key_1_right", "key_2_down", "key_2_right"}),
        (envs.Objects(), "mark-1", {"way_to_mark_1"}),
    ],
)  # fmt: skip
def test_what_hides_a_goal_is_what_shows_it(world, goal, names):
    assert {feature.name for feature in world.layout.features if feature.goal == goal} == names
