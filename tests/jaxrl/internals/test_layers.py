"""Layers have names, in the order of the calls, and what is added to one goes into the logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl.internals import layers_of, through
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import LEARNER, WORLD, goes_to_the_coin_by, zeros


@pytest.mark.parametrize(
    ("learner", "world", "names"),
    [
        (jaxrl.PPO(width=4, depth=3), WORLD, ("tower_0", "tower_1", "tower_2")),
        (jaxrl.PPO(width=4, towers="separate"), WORLD, ("actor_0", "actor_1")),
        (jaxrl.A2C(width=4, memory="gru", previous_reward=True), WORLD, ("tower_0", "tower_1", "gru")),
        (jaxrl.PQN(width=4, depth=1), WORLD, ("tower_0", "norm_tower_0")),
        (jaxrl.PPO(width=4, depth=1, network="convolutional"), Pictured(), ("tower_eyes", "tower_0")),
        (jaxrl.PPO(network="jaxrl.networks:Linear"), WORLD, ()),
    ],
)
def test_the_layers_are_those_that_the_logits_depend_on(learner, world, names):
    assert layers_of(world, learner, zeros(world, learner)) == names


def test_a_policy_is_what_it_is_and_what_is_added_to_a_layer_goes_on():
    policy, seen = goes_to_the_coin_by(unit=5), jax.tree.map(lambda leaf: leaf[None], WORLD.layout.blank())
    context = LEARNER.context(WORLD, 1)
    plain, _, found = through(WORLD, LEARNER, policy, seen, context)
    assert np.array_equal(plain, LEARNER.apply(WORLD, policy, seen, context)[0])
    added = jnp.zeros((1, 64)).at[:, 5].set(-6.0)
    logits, _, steered = through(WORLD, LEARNER, policy, seen, context, {"tower_0": added})
    assert np.array_equal(steered["tower_0"], found["tower_0"] + added)
    assert np.allclose(logits, -plain) and plain[0, 0] > 10
