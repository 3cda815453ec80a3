"""Worlds of gymnax: which can be played, and which of their parameters have the effect that they promise."""

import functools
import subprocess
import sys

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import gymnax_world

CARTPOLE = "gymnax:CartPole-v1"


@functools.cache
def pushed(**values):
    """What a cart gains in velocity by a push to the right from one start."""
    world = envs.make(CARTPOLE)
    params = world.params_of({f"env.{name}": value for name, value in values.items()})
    state = world.reset_to_level(None, np.zeros(2, np.uint32), params)
    after = world.transition(None, state, jnp.int32(1), params)[0]
    return float(after.inner.x_dot - state.inner.x_dot)


def test_what_follows_from_other_parameters_is_computed_from_them():
    """A push is force / total_mass for tau = 0.02 s, and a little more by the pole: a hundredfold cart hardly moves."""
    assert pushed() == pytest.approx(10 * 0.02 / 1.1, rel=0.15)
    assert pushed(masscart=100.0) == pytest.approx(10 * 0.02 / 100.1, abs=1e-3)
    derived = gymnax_world.derived(
        "CartPole-v1", envs.make(CARTPOLE).params_of({"env.masscart": 3.0, "env.length": 2.0})
    )
    assert (float(derived.total_mass), float(derived.polemass_length)) == pytest.approx((3.1, 0.2))


@pytest.mark.parametrize(
    ("world", "key", "said"),
    [
        (CARTPOLE, "env.total_mass", "is not 1.1, its only value (CartPole-v1 computes it from its other parameters)"),
        (CARTPOLE, "env.polemass_length", "is not 0.05, its only value"),
        ("gymnax:Acrobot-v1", "env.link_length_2", "is not 1, its only value (Acrobot-v1 never reads it)"),
        (CARTPOLE, "env.masscart", ""),
    ],
)
def test_a_parameter_without_an_effect_of_its_own_has_one_value(world, key, said):
    setting = envs.settings(world)[key]
    assert setting.refusal(7.0).startswith(said) if said else not setting.refusal(7.0)
    assert not setting.refusal(setting.default)


def test_an_environment_whose_first_step_fails_is_refused_with_the_reason(monkeypatch):
    broken = type(gymnax.make("CartPole-v1")[0])
    monkeypatch.setattr(broken, "step_env", lambda *given: 1 / 0)
    monkeypatch.setattr(gymnax_world, "_environment", gymnax_world._environment.__wrapped__)
    with pytest.raises(
        ValueError, match=r"^world: gymnax:CartPole-v1 fails at its first step \(ZeroDivisionError: div"
    ):
        envs.settings(CARTPOLE)


def test_actions_are_arrays_as_an_environment_expects_them():
    """Pong calls methods of its action, which a Python integer has not."""
    world = envs.make("gymnax:Pong-misc")
    state = world.reset_to_level(None, np.zeros(2, np.uint32), world.default_params)
    after = jax.eval_shape(world.transition, None, state, jnp.int32(1), world.default_params)[0]
    assert not world.stochastic and jax.tree.structure(after) == jax.tree.structure(state)


def test_every_world_drops_into_gymnaxs_wrapper_for_gymnasium():
    from gymnax.wrappers import GymnaxToVectorGymWrapper

    world = envs.CoinLine(length=5)
    wrapped = GymnaxToVectorGymWrapper(world, num_envs=3)
    seen, _ = wrapped.reset()
    assert seen.shape == (3, 3)
    seen, reward, terminated, truncated, info = wrapped.step(np.ones(3, np.int32))
    assert seen.shape == (3, 3) and reward.shape == terminated.shape == truncated.shape == (3,)
    assert info["events"].shape == (3, 2)
    assert isinstance(world, envs.CoinLine) and "step" not in vars(world)


def test_step_env_gives_the_info_of_step():
    world = envs.CoinLine(length=4)
    state, params = world.read_state(". . . A C"), world.default_params
    _, _, _, terminated, info = world.step_env(jax.random.key(0), state, 1, params)
    whole = world.step(jax.random.key(0), state, 1, params)[-1]
    assert info.keys() == whole.keys() and bool(terminated) and bool(info["terminated"]) and not info["truncated"]
    np.testing.assert_array_equal(info["final_observation"], whole["final_observation"])
    late = state.replace(column=jnp.int32(0), time=params.max_steps_in_episode - 1)
    assert world.step_env(jax.random.key(0), late, 1, params)[-1]["truncated"]


def test_gymnax_is_imported_without_what_it_draws_with_which_is_there_when_it_draws():
    code = """
import sys, envs
envs.names()
print([name for name in ("gymnax", "matplotlib.pyplot", "pandas", "seaborn", "scipy") if name in sys.modules])
from gymnax.environments.misc import pong
print("matplotlib.pyplot" in sys.modules, pong.plt.figure.__module__, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["['gymnax']", "False matplotlib.pyplot True"], done.stderr
