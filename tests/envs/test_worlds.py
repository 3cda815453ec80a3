"""What every world owes: the gymnax interface, one compile, pictures, and bad shapes refused in one line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import render

WORLDS = [
    envs.CoinLine(), envs.CoinLine(length=5, encoding="one-hot"), envs.CoinRun(), envs.CoinRun(wall="random"),
    envs.make("gymnax:CartPole-v1"), envs.make("gymnax:Catch-bsuite"),
    envs.TrashRoom(), envs.TrashRoom(wall="fixed", lamps=True, longest_delay=2),
    envs.Objects(things=3, correlates=3),
    envs.Overseer(badge=True),
]  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_a_world_is_a_plain_gymnax_environment(world):
    params = world.default_params
    observation, state = world.reset(jax.random.key(0), params)
    assert observation.shape == world.observation_space(params).shape
    for step in range(60):
        key = jax.random.key(step)
        action = world.action_space(params).sample(key)
        observation, state, reward, terminated, truncated, info = world.step(key, state, action, params)
        assert observation.shape == world.observation_space(params).shape and observation.dtype == jnp.float32
        assert jnp.isfinite(reward) and terminated.dtype == truncated.dtype == bool
        assert info["events"].shape == (len(world.goals),)


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_equal_worlds_and_other_parameters_do_not_recompile(world):
    compiled = 0

    @jax.jit
    def play(key, params):
        nonlocal compiled
        compiled += 1
        level = world.sample_level(key, params)
        state, events, terminated = world.transition(key, world.reset_to_level(key, level, params), 0, params)
        return world.features(state, params), world.reward(state, events, params), terminated

    for steps in (5, 6, 7):
        play(jax.random.key(steps), world.params_of({"env.max_steps_in_episode": steps}))
    assert compiled == 1
    same = dataclasses.replace(world)
    assert same == world and hash(same) == hash(world)


@pytest.mark.parametrize("world", WORLDS[:4], ids=str)
def test_events_fire_on_entry_and_reward_is_their_weighted_sum(world):
    params = world.default_params.replace(reward=jnp.array([1.0, -0.25]))
    for seed in range(4):
        _, state = world.reset(jax.random.key(seed), params)
        before = np.zeros(2, bool)
        for step in range(30):
            action = world.action_space(params).sample(jax.random.key(100 * seed + step))
            _, state, reward, terminated, info = world.step_env(jax.random.key(0), state, action, params)
            events = np.asarray(info["events"])
            assert reward == events @ np.array([1.0, -0.25])
            assert not (events[1] and before[1]), "the right end is entered, then occupied"
            before = events
            if terminated:
                break


@pytest.mark.parametrize("world", WORLDS[:4], ids=str)
def test_the_tabular_form_agrees_with_the_dynamics(world):
    params = world.default_params
    level = world.sample_level(jax.random.key(3), params)
    next_state, events, terminated = world.tabular(level, params)
    assert next_state.shape == terminated.shape == events.shape[:2] and events.shape[2] == len(world.goals)
    state = world.reset_to_level(None, level, params)
    for step in range(40):
        action = jax.random.randint(jax.random.key(step), (), 0, world.num_actions)
        place = world.state_index(state)
        state, fired, ended = world.transition(None, state, action, params)
        assert world.state_index(state) == next_state[place, action]
        assert jnp.array_equal(fired, events[place, action]) and ended == terminated[place, action]


@pytest.mark.parametrize("world", WORLDS[:4], ids=str)
def test_a_picture_shows_the_agent_the_coin_and_the_right_end(world):
    _, state = world.reset(jax.random.key(0), world.default_params)
    image = world.render(state)
    colours = {tuple(colour) for colour in image.reshape(-1, 3).tolist()}
    assert image.dtype == np.uint8
    assert {render.AGENT, render.COIN, render.RIGHT_END} <= colours


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("coin-rum", {}, "nearest: coin-run"),
        ("coin-line", {"env.length": 3}, "at least 4"),
        ("coin-run", {"env.height": 2, "env.width": 5}, "too few cells"),
        ("coin-run", {"env.width": 8, "env.wall": "fixed"}, "no middle column"),
        ("gymnax:Pendulum-v1", {}, "continuous actions"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_in_one_line(name, values, said):
    with pytest.raises(ValueError, match=said) as error:
        envs.make(name, values)
    assert "\n" not in str(error.value)


def test_whether_an_environment_uses_its_key_is_found_out():
    assert not envs.make("gymnax:CartPole-v1").stochastic
    assert envs.make("gymnax:BernoulliBandit-misc").stochastic
