"""A policy acts on whatever a world shows, whichever network and learner it comes from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from tests.envs.pictured import Pictured

SMALL = {"learner.width": 4}
CASES = {
    "mlp": ("coin-line", "ppo", {}),
    "q-values": ("coin-line", "pqn", {}),
    "convolutional": ("pictured", "a2c", {"learner.network": "convolutional", "learner.channels": 2}),
    "evolved": ("coin-line", "es", {}),
    "recurrent": ("pictured", "reinforce", {"learner.network": "convolutional", "learner.memory": "gru"}),
}


def policy(case):
    """With weights drawn at random, larger than at the beginning of training, so that probabilities differ."""
    name, learner, values = CASES[case]
    world = Pictured() if name == "pictured" else envs.make(name)
    trains = jaxrl.make(learner, SMALL | values)
    settings = jaxrl.Settings(world.params_of({}), trains.Params(), {})
    begun = jax.eval_shape(lambda key: trains.init(world, key, settings)[0], jax.random.key(0))
    generator = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: generator.normal(0, 1, leaf.shape).astype(leaf.dtype), trains.finish(begun).policy
    )
    if learner == "pqn":
        weights["exploration"]["epsilon"] = np.float32(0.1)
    return jaxrl.Policy(world, settings.env, trains, weights)


@pytest.mark.parametrize("case", CASES)
def test_a_state_its_features_and_the_dense_vector_are_the_same_to_a_policy(case):
    one = policy(case)
    observation, state = one.world.reset(jax.random.key(3), one.params)
    features = one.world.features(state, one.params)
    expected, _, _ = one.learner.apply(
        one.world, one.weights, *jax.tree.map(lambda leaf: leaf[None], (features, one.carry))
    )
    for seen in (state, features, observation, np.asarray(observation)):
        np.testing.assert_allclose(one.logits(seen), expected[0], rtol=1e-5, atol=1e-6)
    action, carry = one.act(None, state)
    assert action == jnp.argmax(expected[0]) and action.dtype == jnp.int32
    assert jax.tree.structure(carry) == jax.tree.structure(one.carry)
    assert any(leaf.any() for leaf in jax.tree.leaves(carry.memory)) == (case == "recurrent")


def test_actions_are_sampled_in_proportion_to_their_probabilities():
    one = policy("mlp")
    _, state = one.world.reset(jax.random.key(3), one.params)
    keys = jax.random.split(jax.random.key(0), 4000)
    actions, _ = jax.vmap(lambda key: one.act(key, state))(keys)
    chances = jax.nn.softmax(one.logits(state))
    shares = np.bincount(actions, minlength=len(chances)) / len(keys)
    np.testing.assert_allclose(shares, chances, atol=4 * 0.5 / np.sqrt(len(keys)))
