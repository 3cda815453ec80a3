"""Worlds that show pictures: what a rollout and a probe make of them, and who learns from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import probing, rollout
from tests.envs.pictured import Coloured, Pictured

WORLD = Pictured()
SEEING = {"learner.network": "convolutional", "learner.channels": 4, "learner.width": 16}


def test_a_picture_stays_bytes_through_a_rollout():
    def play(key):
        envs = rollout.begin(WORLD, key, WORLD.default_params, 3)
        bits = jax.random.bits(key, (rollout.bits_needed(WORLD, 3, 5),), jnp.uint32)
        still = lambda seen, context: (jnp.zeros((3, 4)), jnp.zeros(3), ())  # noqa: E731
        return rollout.rollout(WORLD, still, envs, bits, WORLD.default_params, 5)[1].observation

    seen = jax.eval_shape(play, jax.random.key(0))
    assert (seen.image.shape, seen.image.dtype) == ((5, 3, 3, 7, 3), jnp.uint8)


def test_a_blind_policy_sees_the_picture_without_the_goal_in_the_episodes_in_which_it_is_hidden():
    probes = WORLD.probes()
    (run,) = [one for one in probing.runs(WORLD, probes) if one.actor == "blind"]
    key = jax.random.key(0)
    state = jax.vmap(WORLD.reset_to_level, in_axes=(None, 0, None))(key, run.bank.levels, WORLD.default_params)
    seen = probing._shown(WORLD, run, state, WORLD.default_params)
    assert not seen.image[..., 1].any() and (seen.image[..., 2].sum(axis=(1, 2)) == 255).all()
    half = {"berry": np.arange(len(run.bank.horizon)) % 2 == 0}
    there = probing._shown(WORLD, run._replace(hidden=half), state, WORLD.default_params).image[..., 1]
    np.testing.assert_array_equal(there.any(axis=(1, 2)), ~half["berry"])
    assert not [one for one in probing.runs(Coloured(), probes) if one.actor == "blind"]


@pytest.mark.parametrize(
    ("learner", "values", "said"),
    [
        ("ppo", {}, r"learner\.network: mlp sees no pictures, and pictured shows one; expected .*"),
        ("a2c", {"learner.network": "jaxrl.networks:Linear"}, r"learner\.network: jaxrl\.networks:Linear sees no .*"),
        ("es", {}, "learner: pictured shows a picture; expected one of ppo, a2c, reinforce and pqn"),
        ("exact-gradient", {}, "learner: pictured shows a picture; expected one of ppo, a2c, reinforce and pqn"),
        ("ppo", {"learner.reward_model_updates": 1}, r"learner\.reward_model_updates: the model sees no pictures, .*"),
    ],
)
def test_who_cannot_see_a_picture_is_refused_in_one_line(learner, values, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        jaxrl.Program(WORLD, jaxrl.make(learner, values), 1)


@pytest.mark.parametrize("learner", ["a2c", "reinforce"])
def test_the_other_learners_take_the_network_too(learner):
    counts = {"learner.total_steps": 512, "learner.n_envs": 8, "learner.n_steps": 8, "learner.memory": "gru"}
    program = jaxrl.Program(WORLD, jaxrl.make(learner, counts | SEEING), 1)
    state, *_ = program._traced("advance").out_info
    features = 1 * 2 * 2 * 4  # what two convolutions of stride 2 and then 8 channels leave of 3 x 7 places
    tower = state.variables["params"]["tower_0"]["kernel"]
    assert tower.shape == (1, 1 + features, 16) and "tower_eyes" in state.variables["params"]


@pytest.mark.slow
def test_a_policy_learns_from_pictures():
    counts = {"learner.total_steps": 40_960, "learner.n_envs": 16, "learner.n_steps": 16, "learner.activation": "relu"}
    program = jaxrl.Program(WORLD, jaxrl.make("ppo", counts | SEEING), 2)
    init, advance = (jax.jit(program._functions[name]) for name in ("init", "advance"))
    settings = program.settings([{"learner.learning_rate": 3e-3}] * 2)
    state, *_ = advance(init(np.arange(4, dtype=np.uint32).reshape(2, 2), settings)[0], settings, np.int32(100))
    _, tally, _ = advance(state, settings, np.int32(20))
    assert (tally.successes / tally.episodes > 0.95).all()
    assert (tally.lengths / tally.episodes < 5).all(), "the way is 2.9 steps long, and a random one far longer"
