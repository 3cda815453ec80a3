"""Attributions are exact where a policy is linear, and add up where it is not."""

import jax
import numpy as np
import pytest

import envs
import jaxrl
from envs import dense
from jaxrl.internals import Attribution
from jaxrl.internals.attribution import named_inputs, relaxed
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import WORLD, drawn, lanes_of

LINEAR = jaxrl.PPO(network="jaxrl.networks:Linear")


def test_of_a_linear_policy_they_are_weights_times_inputs():
    policy = drawn(WORLD, LINEAR)
    found = Attribution(WORLD, LINEAR, (), chunk=1)(lanes_of([policy], ["a"]))
    assert found["input"].tolist() == [["agent", "coin"]]
    assert found["goal"].tolist() == [["coin"] * 2] and found["rival"].tolist() == [["right-end"] * 2]
    # The fork: the agent in the middle, 4, the coin at 0; left is towards the coin, right towards the right end.
    kernel, bias = policy["params"]["policy"]["kernel"], policy["params"]["policy"]["bias"]
    left_over_right = kernel[:, 0] - kernel[:, 1]
    assert np.allclose(found["attribution"], [[left_over_right[4], left_over_right[9 + 0]]], atol=1e-5)
    assert np.allclose(found["hidden"], bias[0] - bias[1], atol=1e-5) and found["error"].max() < 1e-5
    assert np.allclose(found["margin"], found["hidden"] + found["attribution"].sum(), atol=1e-5)
    assert np.allclose(found["absolute"], np.abs(found["attribution"]))


@pytest.mark.parametrize(("activation", "tolerance"), [("tanh", 1e-4), ("relu", 0.1)])  # kinks are not met exactly
def test_of_any_policy_they_add_up_to_the_difference_that_seeing_makes(activation, tolerance):
    world, learner = envs.make("coin-run"), jaxrl.PPO(width=8, activation=activation, memory="gru")
    policies = [drawn(world, learner, seed) for seed in range(2)]
    found = Attribution(world, learner, (), chunk=2)(lanes_of(policies, ["a", "a"], world))
    assert found["input"][0].tolist() == ["row", "column", "coin_down", "coin_right"]
    difference = (found["margin"] - found["hidden"])[:, 0]
    assert np.allclose(found["attribution"].sum(axis=1), difference, atol=tolerance)
    assert found["error"].max() < tolerance < np.abs(difference).max()
    assert (found["absolute"] >= np.abs(found["attribution"]) - 1e-6).all()


@pytest.mark.parametrize(
    ("world", "learner"),
    [
        (Pictured(), jaxrl.PPO(width=8, network="convolutional")),
        (envs.make("coin-run"), jaxrl.PQN(width=8, previous_reward=True)),
        (WORLD, jaxrl.ES(width=8)),
    ],
)
def test_what_is_seen_as_numbers_is_what_is_seen(world, learner):
    params = world.params_of({})
    level = jax.tree.map(lambda leaf: leaf[0], world.probes()[0].levels)
    seen = world.features(world.reset_to_level(jax.random.key(0), level, params), params)
    one, context = jax.tree.map(lambda leaf: leaf[None], seen), learner.context(world, 1)
    policy = drawn(world, learner)
    inputs = dense(one, world.cardinalities)
    expected = getattr(learner, "forward", learner.apply)(world, policy, one, context)[0]
    assert np.allclose(relaxed(world, learner, policy, inputs, context), expected, rtol=1e-4, atol=1e-4)
    names, group = named_inputs(world)
    parts = [one.partition("=")[0].partition("[")[0] for one in world.layout.input_names]
    assert [names[i] for i in group] == parts
