"""Asking helps where a policy knows what it does not know, and an ensemble where its members part."""

import itertools

import jax
import numpy as np
import pandas as pd
import pytest

import jaxrl
from jaxrl.internals import Deployment
from jaxrl.internals.deployment import THRESHOLDS, Rule, ensembles
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import WORLD, drawn, lanes_of, zeros

LINEAR = jaxrl.PPO(network="jaxrl.networks:Linear")
FORK = 4
"""The cell where episodes begin; the coin is at 0, and the right end at 8."""


def moving(*right):
    """A policy that goes right at each cell with so much more of a logit than left."""
    policy = zeros(learner=LINEAR)
    policy["params"]["policy"]["kernel"][: len(right), 1] = right
    return policy


LEFT, RIGHT = moving(*[-40] * 9), moving(*[40] * 9)
PARTED = moving(*[-40] * FORK, *[40] * 5)
"""Goes to whichever end is nearer, and at the fork to the right."""
TORN = moving(*[-40] * FORK, 0, *[40] * FORK)
"""Knows the way but at the fork."""


@pytest.fixture(scope="module")
def found():
    """By condition, a frame a seed."""
    diverged = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), TORN)
    by = {
        "certain": [RIGHT],
        "uniform": [zeros(learner=LINEAR)],
        "torn": [TORN],
        "two": [LEFT, PARTED],
        "copies": [TORN, diverged, TORN, TORN, TORN, TORN],
    }
    conditions = [name for name, policies in by.items() for _ in policies]
    lanes = lanes_of([policy for policies in by.values() for policy in policies], conditions)
    columns = Deployment(WORLD, LINEAR, (), chunk=4)(lanes)
    every = [pd.DataFrame({name: values[lane] for name, values in columns.items()}) for lane in range(len(conditions))]
    return {name: [one for one, of in zip(every, conditions, strict=True) if of == name] for name in by}


def rows(frame, asks, members=1):
    """share, undecided and asked of some rows, and the differing ones among them."""
    chosen = frame.loc[(frame["asks"] == asks) & (frame["members"] == members), ["share", "undecided", "asked"]]
    assert len(chosen) == (len(THRESHOLDS) if asks in ("uncertain", "random") and members == 1 else 1)
    return chosen.drop_duplicates().to_numpy().tolist()


def test_the_oracle_reaches_the_intended_goal_and_who_never_asks_is_the_policy(found):
    for seed in (found["certain"][0], found["uniform"][0], found["torn"][0], *found["two"]):
        assert rows(seed, "always") == [[1, 0, 1]]
    left, parted = found["two"]
    assert rows(left, "never") == [[1, 0, 0]] and rows(parted, "never") == [[0, 0, 0]]
    assert (left["share"] + left["share.right-end"])[left["undecided"] < 1].eq(1).all()


def test_who_is_certain_of_the_wrong_goal_is_not_helped(found):
    assert rows(found["certain"][0], "uncertain") == rows(found["certain"][0], "never") == [[0, 0, 0]]
    assert rows(found["certain"][0], "random") == [[0, 0, 0]], "as often, which is never"


def test_who_knows_nothing_always_asks(found):
    assert rows(found["uniform"][0], "uncertain") == [[1, 0, 1]]
    assert rows(found["uniform"][0], "never")[0][0] < 0.8


def test_asking_where_it_matters_helps_more_than_as_often_at_random(found):
    torn = found["torn"][0]
    assert rows(torn, "uncertain") == [[1, 0, 1 / FORK]]
    ((never, *_),), ((random, _, asked),) = rows(torn, "never"), rows(torn, "random")
    assert 0.3 < never < 0.7 and never < random < 0.9
    assert asked == pytest.approx(1 / FORK, abs=0.06)


def test_members_that_must_agree_ask_where_their_ways_part(found):
    first, second = found["two"]
    assert rows(first, "differing", 2) == [[1, 0, 1 / FORK]]
    assert rows(first, "never", 2)[0][0] < 1 and rows(first, "random", 2)[0][0] < 1
    assert second.loc[second["members"] > 1, ["share", "undecided", "asked"]].isna().all(axis=None)
    assert first.loc[first["members"] > 2, ["share", "undecided", "asked"]].isna().all(axis=None)


def test_an_ensemble_of_copies_is_the_policy_and_those_that_diverged_are_in_none(found):
    seeds = found["copies"]
    for members, asks in itertools.product((2, 3, 5), ("never", "differing", "random")):
        assert rows(seeds[0], asks, members) == rows(seeds[0], "never")
    firsts = {
        size: [i for i, one in enumerate(seeds) if rows(one, "always", size) == [[1, 0, 1]]] for size in (2, 3, 5)
    }
    assert firsts == {2: [0, 3], 3: [0], 5: [0]}
    assert ensembles(np.array(list("abaaa")), np.arange(5) != 2, 2)[:, :3].tolist() == [[0, 3, -1]]


def test_members_have_memories_of_their_own_whatever_they_see():
    """Recurrent policies that see pictures, with the same random numbers: alone, beside a copy, and beside another."""
    world, learner = Pictured(), jaxrl.PPO(width=8, network="convolutional", memory="gru")
    lanes = lanes_of([drawn(world, learner, seed) for seed in (0, 0, 1)], ["a"] * 3, world)
    lanes = lanes._replace(key=np.zeros_like(lanes.key))
    groups, must_agree = np.array([[0, -1], [0, 1], [0, 2], [2, 0]]), Rule(1.0, np.array([0.0, 1.0]), 0.0)
    columns = Deployment(world, learner, (), chunk=4)._asking(lanes, groups, must_agree)
    shares, asked = columns["share"], columns["asked"][:, 2]
    assert np.array_equal(shares[0], shares[1]) and not np.array_equal(shares[0], shares[2])
    assert np.array_equal(shares[2], shares[3]), "in whichever order"
    assert asked[0] == asked[1] == 0 < asked[2] == asked[3]


def test_a_world_without_an_oracle_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(type(WORLD), "offers", lambda self, ability: False)
    with pytest.raises(ValueError, match=r"^coin-line does not list its states, so there is no oracle to ask$"):
        Deployment(WORLD, LINEAR, (), chunk=1)
