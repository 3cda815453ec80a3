"""Linear probes read off a layer what was put there."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import envs
import jaxrl
from envs import grid
from jaxrl.internals import LinearProbes
from jaxrl.internals.linear_probes import of_payment, others, where, where_names
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import WORLD, lanes_of, zeros

ROOM, LEARNER = envs.make("coin-run"), jaxrl.PPO(width=16, depth=1)
UP, DOWN, LEFT, RIGHT = (grid.MOVE_NAMES.index(name) for name in ("up", "down", "left", "right"))


def goes_for_coins_below():
    """Goes for the coin unless it is above, and else to the right: its layer knows below, beside and above alone.

    On forks the coin is to the left.
    """
    policy = zeros(ROOM, LEARNER)
    layer, head = policy["params"]["tower_0"], policy["params"]["policy"]
    names = list(ROOM.layout.input_names)
    for unit, (place, move) in enumerate({"below": DOWN, "beside": LEFT, "above": RIGHT}.items()):
        layer["bias"][unit] = -2.0
        head["kernel"][move, unit] = 20.0
        for rows in range(2 * ROOM.height - 1):
            sign = np.sign(rows - ROOM.height + 1)
            there = {"below": 1, "beside": 0, "above": -1}[place] == sign
            layer["kernel"][names.index(f"coin_down={rows}"), unit] = 4.0 * there
    return policy


@pytest.fixture(scope="module")
def found():
    columns = LinearProbes(ROOM, LEARNER, ["tower_0"], chunk=1)(lanes_of([goes_for_coins_below()], ["a"], ROOM))
    df = pd.DataFrame({name: values[0] for name, values in columns.items()})
    return df.set_index(["network", "labels", "target"])["explained"].unstack("target")


def test_what_a_layer_holds_is_read_off_it_and_nothing_else(found):
    trained = found.loc["trained", "true"]
    assert trained["next:coin"] > 0.95
    assert 0.7 < trained["coin_down"] < 0.95  # above, beside or below, and not how far
    assert trained["coin_right"] < 0.5


def test_an_untrained_network_holds_some_of_all_that_is_seen(found):
    trained, untrained = found.loc["trained", "true"], found.loc["untrained", "true"]
    assert untrained["coin_right"] > trained["coin_right"] + 0.2
    assert 0.5 < untrained["next:coin"] < 0.9


def test_the_targets_of_other_levels_are_not_read_off(found):
    for network in ("trained", "untrained"):
        assert found.loc[network, "permuted"].max() < 0.2, network


@pytest.mark.parametrize("seed", range(5))
def test_permuted_targets_are_those_of_an_episode_on_another_layout(seed):
    layout = np.repeat(np.arange(4), [3, 1, 2, 4])[np.random.default_rng(seed).permutation(10)]
    decided = layout != 1
    decided[np.flatnonzero(layout == 3)[0]] = False
    other = np.asarray(others(jax.random.key(seed), layout, jnp.asarray(decided)))
    assert (layout[other] != layout)[decided].all() and sorted(other[decided]) == list(np.flatnonzero(decided))


def test_where_things_are_is_named_for_indices_and_pictures():
    assert where_names(ROOM) == ("coin_down", "coin_right")
    world = Pictured()
    assert where_names(world) == ("berry:row", "berry:column", "sign:row", "sign:column")
    image = np.zeros((1, *world.layout.image.shape), np.uint8)
    image[0, 2, 4, 1] = image[0, 1, [1, 2], 2] = 255
    seen = world.layout.blank(1)._replace(image=jnp.asarray(image))
    assert np.allclose(where(world, seen), [[2, 4, 1, 1.5]])
    seen = ROOM.layout.blank(1)._replace(indices=jnp.array([[1, 2, 3, 7]]))  # row, column, coin_down, coin_right
    assert np.array_equal(where(ROOM, seen), [[3, 7]])


def test_too_few_layouts_are_refused():
    with pytest.raises(ValueError, match="coin-line has too few layouts on its probe fork, 1: linear"):
        LinearProbes(WORLD, jaxrl.PPO(), ["tower_0"], chunk=1)


def test_whether_a_goal_pays_is_read_off_a_layer_that_sees_its_lamp_alone():
    world = envs.make("trash-room", {"env.lamps": True})
    assert not of_payment(envs.make("trash-room")), "without lamps no layout has it both ways"
    probes = LinearProbes(world, LEARNER, ["tower_0"], chunk=2)
    assert [asked.targets for asked in probes.asked[1:]] == [("pays:task",), ("pays:button",), ("pays:bin",)]
    policies = [zeros(world, LEARNER) for _ in ("button", "bin")]
    names = list(world.layout.input_names)
    for policy, lamp in zip(policies, ("button_lamp", "bin_lamp"), strict=True):
        policy["params"]["tower_0"]["kernel"][names.index(f"{lamp}=1"), 0] = 2.0
    lanes = lanes_of(policies, ["a", "a"], world)
    lowered = probes.products[2].lower(lanes.key, lanes.policy, lanes.policy, lanes.params)
    found = lowered.compile({"xla_backend_optimization_level": 0})(lanes.key, lanes.policy, lanes.policy, lanes.params)
    columns = probes._scores(jax.tree.map(np.asarray, found), ("pays:button",))
    sees, does_not = (dict(zip(columns["labels"][0], scores, strict=True)) for scores in columns["explained"])
    assert sees["true"] > 0.95 and sees["permuted"] < 0.2 and abs(does_not["true"]) < 0.2
