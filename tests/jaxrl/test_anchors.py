"""What training is held to: decay by hand, and policies that a reference keeps where they were."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import Observation
from jaxrl.schedules import Settings
from tests.jaxrl import probe_world

SMALL = {"n_envs": 8, "n_steps": 8, "width": 4, "depth": 1, "towers": "separate"}
FREE, DECAYED, HELD, HELD_LATER = range(4)
RATES = {"ppo": 0.001, "a2c": 0.02, "reinforce": 0.02}
SHRUNK = 0.001
"""Of a weight, by what decay takes in a step."""
TINY = 1e-12
"""A gradient's norm that moves no weight."""


def make(name, **static):
    return jaxrl.make(name, {f"learner.{key}": value for key, value in static.items()})


def test_without_gradients_weights_go_by_a_tenth_to_zero_or_to_where_they_began_or_stay():
    """Three steps, the learning rate 0.1 and the decay 1."""
    weights, begun = {"a": jnp.array([4.0, -2.0])}, {"a": jnp.array([1.0, -2.0])}
    expected = {"none": [4.0, -2.0], "zero": [4 * 0.9**3, -2 * 0.9**3], "initial": [1 + 3 * 0.9**3, -2.0]}
    for decays_to, found in expected.items():
        learner = make("ppo", decays_to=decays_to)
        params = learner.Params(learning_rate=0.1, weight_decay=1.0)
        variables, state = weights, learner.optimiser(params).init(weights)
        for _ in range(3):
            variables, state = learner.descend(
                params, variables, state, {"a": jnp.zeros(2)}, learner.first_anchors(begun)
            )
        np.testing.assert_allclose(variables["a"], found, rtol=1e-6)


@functools.cache
def trained(name):
    """What decays and what is held, lanes of one program from the same weights: those, after half and at the end."""
    world, rate = probe_world.ProbeWorld(), RATES[name]
    learner = make(name, total_steps=2560, decays_to="zero", kl_to_reference=True, **SMALL)
    decayed = {"weight_decay": SHRUNK / rate, "max_grad_norm": TINY}
    lanes = [{}, decayed, {"kl_coef": 1e4}, {"kl_coef": 1e4, "reference_at": 0.5}]
    params = [learner.Params(**({"learning_rate": rate, "entropy_coef": 0.0} | lane)) for lane in lanes]
    params = jax.tree.map(lambda *leaves: jnp.array(leaves, jnp.float32), *params)
    of_world = world.params_of({"env.kind": probe_world.ACTION})
    one = Settings(of_world, learner.Params(), {})
    state, _ = jax.jit(lambda key: learner.init(world, key, one))(jax.random.key(0))

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None))
    def advance(state, params, updates):
        return learner.advance(world, state, Settings(of_world, params, {}), updates)[0]

    state = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(lanes)), state)
    half = advance(state, params, jnp.int32(20))
    return learner, state.variables, half.variables, advance(half, params, jnp.int32(20)).variables


@pytest.fixture(scope="module", params=["ppo", "a2c", "reinforce"])
def name(request):
    return request.param


def right(learner, variables):
    """The probability of the action that pays, [lanes]."""
    seen = Observation(jnp.zeros((1, 0), jnp.int32), jnp.array([[1.0, 0.0]]))
    logits, *_ = jax.vmap(lambda policy: learner.apply(probe_world.ProbeWorld(), policy, seen))(variables)
    return np.asarray(jax.nn.softmax(logits)[:, 0, 1])


def test_decay_alone_shrinks_every_weight_once_a_step(name):
    learner, begun, _, end = trained(name)
    steps = 40 * {"ppo": 16}.get(name, 1)
    for old, new in zip(jax.tree.leaves(begun), jax.tree.leaves(end), strict=True):
        np.testing.assert_allclose(new[DECAYED], old[DECAYED] * (1 - SHRUNK) ** steps, rtol=1e-3, atol=1e-5)


def test_a_reference_keeps_the_policy_where_it_was_at_its_time(name):
    learner, begun, half, end = trained(name)
    before, between, after = (right(learner, variables) for variables in (begun, half, end))
    np.testing.assert_allclose(before, 0.5, atol=0.02)
    assert after[FREE] > between[FREE] + 0.02 > 0.6, "free to learn what pays"
    np.testing.assert_allclose([between[HELD], after[HELD]], before[HELD], atol=0.03)
    assert between[HELD_LATER] == between[FREE], "before its time there is no reference"
    np.testing.assert_allclose(after[HELD_LATER], between[HELD_LATER], atol=0.03)


def test_the_distance_from_a_reference_by_hand():
    policy, reference = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    by_hand = [0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75), 0]
    np.testing.assert_allclose(jaxrl.anchors.divergence(policy, reference), by_hand, rtol=1e-6)


def test_inputs_that_training_never_shows_are_not_told_where_all_weights_decay_to_zero():
    policy = {"params": {"tower_0": {"kernel": "weights"}}}
    layers = [make("ppo", decays_to=to).first_layer(policy) for to in ("none", "initial", "zero")]
    assert layers == ["weights", "weights", None]


def test_what_would_do_nothing_or_cannot_be_is_refused_in_one_line():
    for name, key in (("weight_decay", "decays_to"), ("kl_coef", "kl_to_reference")):
        with pytest.raises(ValueError, match=f"learner.{name}: does nothing without learner.{key}"):
            make("ppo").check_values({f"learner.{name}": 0.1})
    with pytest.raises(ValueError, match="learner.kl_to_reference: a greedy policy"):
        make("pqn", kl_to_reference=True)
    with pytest.raises(ValueError, match="learner.kl_to_reference: expected false"):
        make("ppo", kl_to_reference=True, memory="gru").check(envs.make("coin-line"))
