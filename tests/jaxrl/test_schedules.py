"""Schedules: each kind by hand, gates by their running success, and training that follows them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl.schedules import Schedule, Settings, moved, numbers_of, schedules_of

TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(
    ("kind", "numbers", "expected"),
    [
        ("linear", {"to": 3.0, "begin": 0.25, "end": 0.75}, [1, 1, 2, 3, 3]),
        ("linear", {"to": 3.0, "begin": 0.5, "end": 0.5}, [1, 1, 3, 3, 3]),
        ("cosine", {"to": 3.0, "begin": 0.0, "end": 1.0}, [1, 2 - 2**0.5 / 2, 2, 2 + 2**0.5 / 2, 3]),
        ("step", {"to": 3.0, "begin": 0.5}, [1, 1, 3, 3, 3]),
        ("cyclic", {"to": 3.0, "begin": 0.0, "end": 1.0, "cycles": 2.0}, [1, 3, 1, 3, 1]),
        ("piecewise", {"at": [0.25, 0.75], "to": [2.0, 0.0]}, [1, 2, 1, 0, 0]),
        ("stages", {"at": [0.25, 0.75], "to": [2.0, 0.0]}, [1, 2, 2, 0, 0]),
        ("gated", {"to": 3.0, "begin": 0.0, "threshold": 0.9, "over": 0.0}, [1, 1, 3, 3, 3]),
        ("gated", {"to": 3.0, "begin": 0.0, "threshold": 0.9, "over": 0.5}, [1, 1, 1, 2, 3]),
    ],
)
def test_every_kind_by_hand(kind, numbers, expected):
    """From 1; gates opened at 0.5."""
    numbers = {name: jnp.asarray(value) for name, value in numbers.items()}
    found = [moved(kind, jnp.ones(()), numbers, jnp.asarray(time), jnp.asarray(0.5)) for time in TIMES]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_gate_that_never_opens_leaves_the_setting_where_it_starts():
    numbers = {
        name: jnp.asarray(value) for name, value in {"to": 3.0, "threshold": 0.9, "begin": 0.0, "over": 0.1}.items()
    }
    assert moved("gated", jnp.ones(()), numbers, jnp.ones(()), jnp.asarray(jnp.inf)) == 1


def test_a_gate_opens_at_the_first_update_whose_running_success_passes_and_not_before_it_may():
    schedules = (Schedule("env.diversity", "gated"), Schedule("learner.learning_rate", "step"))
    values = {"threshold": 0.55, "begin": 0.3, "to": 1.0}
    numbers = numbers_of(schedules, {f"schedules.env.diversity.{name}": value for name, value in values.items()})
    settings = Settings(envs.make("coin-line").default_params, jaxrl.PPO().Params(), numbers, schedules)
    clock = settings.clock()
    for update, successes in enumerate([10, 0, 0, 10, 10, 10], start=1):  # rates 1, .47, .30, .50, .62
        clock = settings.tick(clock, jnp.asarray(update / 10), jnp.asarray(10.0), jnp.asarray(float(successes)))
    np.testing.assert_allclose(clock.opened, [0.5, np.inf])


@pytest.mark.slow
def test_lanes_follow_their_own_schedules_in_one_program():
    """Diversity steps from 0 to 1 at a share of training that differs by lane, never in the last."""
    learner = jaxrl.make("ppo", {"learner.total_steps": 2560, "learner.n_envs": 16, "learner.n_steps": 16})
    program = jaxrl.Program(envs.make("coin-line"), learner, 3, (1,), (Schedule("env.diversity", "step"),))
    lanes = [
        {"schedules.env.diversity.to": to, "schedules.env.diversity.begin": at} for to, at in ((1, 0), (1, 0.5), (0, 0))
    ]
    found = program.train(np.arange(6, dtype=np.uint32).reshape(3, 2), lanes)
    share = found.outcomes["displaced_episodes"] / found.outcomes["episodes"]
    assert program.compiles == 1
    assert share[0] > 0.8 and 0.2 < share[1] < 0.7 and share[2] == 0


@pytest.mark.slow
def test_a_reward_that_steps_to_nothing_is_no_longer_paid():
    learner = jaxrl.make("ppo", {"learner.total_steps": 2048, "learner.n_envs": 16, "learner.n_steps": 16})
    schedules = schedules_of(
        {"schedules.reward.coin.kind": "step", "schedules.reward.coin.points": 1}, ["coin", "right-end"]
    )
    program = jaxrl.Program(envs.make("coin-line"), learner, 1, (1,), schedules)
    lane = {"schedules.reward.coin.to": 0.0, "schedules.reward.coin.begin": 0.5}
    returns = program.train(np.zeros((1, 2), np.uint32), [lane]).curves["return_mean"][0]
    assert np.all(returns[:4] > 0.1) and np.all(returns[-3:] == 0)


def test_a_term_of_payment_follows_a_schedule():
    world = envs.make("trash-room")
    schedules = schedules_of(
        {"schedules.pay.button.probability.kind": "linear", "schedules.pay.button.probability.points": 1},
        [goal.name for goal in world.goals],
    )
    lane = {"schedules.pay.button.probability.to": 0.2}
    settings = Settings(world.params_of(lane), jaxrl.PPO().Params(), numbers_of(schedules, lane), schedules)
    settings = jax.tree.map(jnp.asarray, settings)
    env_params, _ = settings.at(jnp.asarray(0.5), settings.clock())
    np.testing.assert_allclose(env_params.pay.probability, [1, 0.6, 1, 1])
    np.testing.assert_array_equal(env_params.reward, [1, 2, 2, 0])


def test_gates_are_refused_where_no_goal_can_open_them():
    gate = (Schedule("learner.learning_rate", "gated"),)
    for world, learner in (("gymnax:CartPole-v1", "ppo"), ("coin-line", "cloning")):
        with pytest.raises(ValueError, match="schedules.learner.learning_rate.kind: gated waits"):
            jaxrl.Program(envs.make(world), jaxrl.make(learner), 2, (1,), gate)


def test_an_exact_learner_follows_its_schedule_too():
    """A learning rate that is 0 from the middle on leaves the weights where they are."""
    program = jaxrl.Program(
        envs.make("coin-line"), jaxrl.make("cloning", {"learner.total_steps": 100}), 2, (1,),
        (Schedule("learner.learning_rate", "step"),),
    )  # fmt: skip
    lane = {
        "schedules.learner.learning_rate.to": 0.0,
        "schedules.learner.learning_rate.begin": 0.5,
        "env.diversity": 0.5,
    }
    curves = program.train(np.arange(4, dtype=np.uint32).reshape(2, 2), [lane] * 2).curves
    late = curves["update"][0] >= 50
    assert late.sum() > 1 and np.all(np.diff(curves["loss"][:, late]) == 0)
    assert np.all(curves["loss"][:, 0] > curves["loss"][:, -1])


def test_settings_without_schedules_are_handed_out_as_they_are():
    settings = Settings(envs.make("coin-line").default_params, jaxrl.PPO().Params(), {})
    env_params, params = settings.at(jnp.asarray(0.5), settings.clock())
    assert env_params is settings.env and params is settings.learner


@pytest.mark.slow
def test_the_outcomes_say_when_each_lane_s_gate_opened():
    """A threshold of 0 opens at the first update that sees an episode end, one of 1 never: some episodes fail."""
    learner = jaxrl.make("ppo", {"learner.total_steps": 1280, "learner.n_envs": 8, "learner.n_steps": 16})
    program = jaxrl.Program(envs.make("coin-line"), learner, 2, (1,), (Schedule("env.diversity", "gated"),))
    lanes = [{"schedules.env.diversity.to": 1.0, "schedules.env.diversity.threshold": value} for value in (0.0, 1.0)]
    found = program.train(np.arange(4, dtype=np.uint32).reshape(2, 2), lanes).outcomes
    np.testing.assert_allclose(found["opened.env.diversity"], [0.1, np.nan])
    assert found["displaced_episodes"][0] > 0 and found["displaced_episodes"][1] == 0
