"""Schedules: each kind by hand, gates by their running success, and training that follows them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl.schedules import NEVER, Schedule, Settings, moved, nearest, numbers_of, schedules_of


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
    """From 1, over four updates; gates opened at the second."""
    numbers = {name: jnp.asarray(value) for name, value in numbers.items()}
    found = [moved(kind, jnp.ones(()), numbers, update, 4, jnp.asarray(2)) for update in range(5)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_gate_that_never_opens_leaves_the_setting_where_it_starts():
    numbers = {
        name: jnp.asarray(value) for name, value in {"to": 3.0, "threshold": 0.9, "begin": 0.0, "over": 0.1}.items()
    }
    assert moved("gated", jnp.ones(()), numbers, 10**9, 10**9, jnp.asarray(NEVER)) == 1


def test_every_share_of_n_updates_is_the_update_that_it_names():
    """All k / n with n to 500, in float32 as lanes hold them: steps, stages, gates and resets begin at update k."""
    totals = np.arange(1, 501)
    n, k = (axis.ravel() for axis in np.meshgrid(totals, np.arange(501)))
    n, k = n[k <= n], k[k <= n]
    shares = np.float32(k / n)
    np.testing.assert_array_equal(jax.jit(nearest)(shares, n), k)

    def jumped(share, n, update):
        """At an update, of kinds that jump from 0 to 1 at a share."""
        numbers = {"to": 1.0, "begin": share, "end": share, "at": share[None]}
        listed = {**numbers, "to": jnp.ones(1)}
        ones = [moved(kind, jnp.zeros(()), numbers, update, n, jnp.int32(NEVER)) for kind in ("step", "linear")]
        return jnp.stack([*ones, moved("stages", jnp.zeros(()), listed, update, n, jnp.int32(NEVER))])

    over_all = jax.jit(jax.vmap(jumped))
    assert not np.any(over_all(shares, n, k - 1)) and np.all(over_all(shares, n, k) == 1)
    of_100 = jax.jit(lambda share, k: jax.vmap(jumped, (0, None, 0))(share, 100, k))  # as a program has it: constant
    assert not np.any(of_100(shares[n == 100], k[n == 100] - 1)) and np.all(of_100(shares[n == 100], k[n == 100]) == 1)

    schedules = (Schedule("env.diversity", "gated"),)
    params = envs.make("coin-line").default_params, jaxrl.PPO().Params()

    @jax.jit
    def opened(share, n, update):
        settings = Settings(*params, {"env.diversity": {"begin": share, "threshold": 0.5}}, schedules)
        return settings.tick(settings.clock(), update, n, jnp.ones(()), jnp.ones(()), jnp.ones(())).opened[0]

    assert np.all(jax.vmap(opened)(shares, n, k - 1) == NEVER)
    np.testing.assert_array_equal(jax.vmap(opened)(shares, n, k), k)


def test_a_movement_has_arrived_at_its_last_update():
    """To nothing by 0.3, 0.41 and 0.57 of 100 updates: no rest is left over that rounding could make."""
    for kind in ("linear", "cosine", "piecewise"):
        for end in (0.3, 0.41, 0.57):
            numbers = {"to": jnp.zeros(()), "begin": jnp.float32(0), "end": jnp.float32(end)}
            if kind == "piecewise":
                numbers = {"to": jnp.zeros(1), "at": jnp.float32([end])}
            at = jax.jit(lambda update, kind=kind, numbers=numbers: moved(kind, jnp.ones(()), numbers, update, 100, 0))
            assert at(round(end * 100)) == 0 and at(round(end * 100) - 1) > 0


def test_probes_are_played_at_every_share_of_the_updates():
    for total in (100, 499):
        learner = jaxrl.make("cloning", {"learner.total_steps": total})
        at = [k / total for k in range(total + 1)]
        program = jaxrl.Program(envs.make("coin-line"), learner, 1, at)
        assert program.checkpoints == dict(enumerate(at))


def test_a_gate_opens_at_the_first_update_whose_running_success_passes_and_not_before_it_may():
    schedules = (Schedule("env.diversity", "gated"), Schedule("learner.learning_rate", "step"))
    values = {"threshold": 0.55, "begin": 0.3, "to": 1.0}
    numbers = numbers_of(schedules, {f"schedules.env.diversity.{name}": value for name, value in values.items()})
    settings = Settings(envs.make("coin-line").default_params, jaxrl.PPO().Params(), numbers, schedules)
    clock = settings.clock()
    for update, successes in enumerate([10, 0, 0, 10, 10, 10], start=1):  # rates 1, .47, .30, .50, .62
        seen = jnp.asarray(10.0), jnp.asarray(float(successes)), jnp.zeros(())
        clock = settings.tick(clock, jnp.int32(update), 10, *seen)
    assert clock.opened.tolist() == [5, NEVER]


def test_a_gate_by_return_opens_at_the_first_update_whose_running_mean_return_passes():
    schedules = (Schedule("env.diversity", "gated"), Schedule("learner.learning_rate", "gated-by-return"))
    values = {"schedules.env.diversity.threshold": 0.55, "schedules.learner.learning_rate.threshold": -1.5}
    settings = Settings(None, None, numbers_of(schedules, values), schedules)
    clock = settings.clock()
    for update, returns in enumerate([-40, -20, -10, -10, 0], start=1):  # means -4, -2.9, -2.2, -1.8, -1.4
        seen = jnp.asarray(10.0), jnp.zeros(()), jnp.asarray(float(returns))
        clock = settings.tick(clock, jnp.int32(update), 10, *seen)
        assert clock.opened.tolist() == [NEVER, 5 if update == 5 else NEVER]


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
    env_params, _ = settings.at(jnp.int32(5), 10, settings.clock())
    np.testing.assert_allclose(env_params.pay.probability, [1, 0.6, 1, 1])
    np.testing.assert_array_equal(env_params.reward, [1, 2, 2, 0])


def test_a_term_of_lives_follows_a_schedule():
    world = envs.make("trash-room", {"lives.rounds": 2})
    schedules = (Schedule("lives.others", "linear"),)
    lane = {"lives.others": 0.0, "schedules.lives.others.to": 0.5}
    settings = Settings(world.params_of(lane), jaxrl.PPO().Params(), numbers_of(schedules, lane), schedules)
    env_params, _ = settings.at(jnp.int32(5), 10, settings.clock())
    assert (float(env_params.lives.others), float(env_params.lives.moves)) == (0.25, 0.5)


def test_gates_are_refused_where_nothing_can_open_them():
    gate = (Schedule("learner.learning_rate", "gated"),)
    for world, learner in (("gymnax:CartPole-v1", "ppo"), ("coin-line", "cloning")):
        with pytest.raises(ValueError, match="schedules.learner.learning_rate.kind: gated waits"):
            jaxrl.Program(envs.make(world), jaxrl.make(learner), 2, (1,), gate)
    by_return = (Schedule("learner.learning_rate", "gated-by-return"),)
    assert jaxrl.Program(envs.make("gymnax:CartPole-v1"), jaxrl.make("ppo"), 2, (1,), by_return).schedules == by_return
    with pytest.raises(ValueError, match="gated-by-return waits for episodes, and this learner plays none"):
        jaxrl.Program(envs.make("coin-line"), jaxrl.make("cloning"), 2, (1,), by_return)


@pytest.mark.slow
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
    env_params, params = settings.at(jnp.int32(5), 10, settings.clock())
    assert env_params is settings.env and params is settings.learner


@pytest.mark.slow
def test_the_outcomes_say_when_each_lane_s_gate_opened():
    """A threshold of 0 opens at the first update that sees an episode end, one of 1 never: some episodes fail.

    So does one of a return of 0, and never one of 2.
    """
    learner = jaxrl.make("ppo", {"learner.total_steps": 1280, "learner.n_envs": 8, "learner.n_steps": 16})
    schedules = (Schedule("env.diversity", "gated"), Schedule("learner.learning_rate", "gated-by-return"))
    program = jaxrl.Program(envs.make("coin-line"), learner, 2, (1,), schedules)
    gates = "schedules.env.diversity", "schedules.learner.learning_rate"
    lanes = [
        {f"{gates[0]}.to": 1.0, f"{gates[0]}.threshold": share, f"{gates[1]}.threshold": mean}
        for share, mean in ((0.0, 0.0), (1.0, 2.0))
    ]
    found = program.train(np.arange(4, dtype=np.uint32).reshape(2, 2), lanes).outcomes
    for key in ("env.diversity", "learner.learning_rate"):
        np.testing.assert_allclose(found[f"opened.{key}"], [0.1, np.nan])
    assert found["displaced_episodes"][0] > 0 and found["displaced_episodes"][1] == 0
