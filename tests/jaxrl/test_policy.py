"""A policy acts on whatever a world shows, whichever network and learner it comes from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl import probing
from tests.envs.pictured import Pictured
from tests.jaxrl.internals.known import zeros

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


def turns_when_rewarded():
    """In a shaped world: goes left until it sees a reward, and then right."""
    world = envs.make("coin-line", {"shaping.kind": "progress"})
    learner = jaxrl.make("ppo", SMALL | {"learner.previous_reward": True})
    weights = zeros(world, learner)
    layers = weights["params"]
    layers["tower_0"]["kernel"][-1, 0] = layers["tower_1"]["kernel"][0, 0] = 10.0
    layers["policy"]["kernel"][:, 0] = [-20.0, 20.0]
    layers["policy"]["bias"][0] = 1.0
    return jaxrl.Policy(world, world.params_of({}), learner, weights)


def test_a_policy_that_sees_rewards_does_with_what_the_world_earned_what_it_does_on_probes():
    one = turns_when_rewarded()
    world, params = one.world, one.params
    (probe,) = [probe for probe in world.probes() if probe.labels]
    bank, parts = probing.lay_out((probe,), False)
    run = probing.Run("trained", False, bank, parts, {})
    bits = jnp.zeros(probing.bits_needed(world, run), jnp.uint32)

    def apply(seen, context):
        logits, _, memory = one.learner.apply(world, one.weights, seen, context)
        return logits, memory

    @jax.jit
    def probed(bits):
        return probing.probe(world, apply, run, bits, params, one.learner.context(world, 1), watched=[0]).steps.action

    step = jax.jit(world.step_env)
    level = jax.tree.map(lambda leaf: leaf[0], probe.levels)

    def actions(earns):
        state, carry, given = world.reset_to_level(jax.random.key(0), level, params), one.carry, None
        for _ in range(3):
            action, carry = one.act(None, state, carry, given)
            _, state, reward, _, info = step(jax.random.key(0), state, action, params)
            given = world.earned(state, info["events"], params) if earns else reward
            yield int(action)

    assert list(actions(True)) == probed(bits)[:3, 0].tolist() == [0, 0, 0]
    assert list(actions(False)) == [0, 1, 0], "the coin is to the left: with the first step comes a shaped reward"


def test_the_reward_before_is_of_no_meaning_at_the_beginning_and_asked_for_after_it():
    one = turns_when_rewarded()
    _, state = one.world.reset(jax.random.key(3), one.params)
    logits = one.logits(state)
    assert (logits == one.logits(state, one.carry)).all() and (logits == one.logits(state, one.carry, 5.0)).all()
    _, carry = one.act(None, state, one.carry)
    with pytest.raises(ValueError, match="sees the reward of the step before; expected `reward` beside the carry"):
        one.act(None, state, carry)
    with pytest.raises(ValueError, match="sees the reward of the step before; expected `reward` beside the carry"):
        jax.jit(one.act)(None, state, one.carry)
