"""Worlds that show pictures: what a rollout and a probe make of them, and who learns from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from jaxrl import probing, rollout
from tests.envs.pictured import Coloured, Pictured

WORLD = Pictured()


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
