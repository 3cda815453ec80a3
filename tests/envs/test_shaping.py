"""Shaping: by hand on a line, what it leaves as it is in every world, and what paying for progress does not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import shaping, tabular
from envs.batching import batch
from envs.coin_line import Level
from jaxrl import rollout, schedules
from jaxrl.schedules import Schedule, Settings

LEFT, RIGHT = 0, 1
SOME = {
    "errands": {"env.kinds": 4, "env.button_presence": 0.7},
    "far-reward": {"env.near_presence": 0.5},
    "objects": {"env.decorrelation": 1.0},
    "ladder": {"env.screen_presence": 0.7, "env.wire_presence": 0.7, "env.register_presence": 0.7},
    "quiz": {"env.questions": 64},
    "trash-room": {"env.button_presence": 0.7, "env.bin_presence": 0.7, "env.sign_presence": 0.7},
}
"""Settings under which training levels have something to choose."""
OF_GOALS = [name for name, world in envs.WORLDS.items() if world.goals and issubclass(world, envs.Priced)]


def shaped(name, kind, **static):
    return envs.make(name, {"shaping.kind": kind, **static})


def play(world, start, coin, actions, weight=1.0, discount=1.0, **values):
    """Each step's (cell, what shaping adds, terminated, truncated)."""
    params = world.params_of({"shaping.weight": weight, **values})
    params = params.replace(shaping=params.shaping.replace(discount=np.float32(discount)))
    steps = _play(
        world, Level(np.int32(start), np.int32(coin)), np.array([*actions, *[LEFT] * (5 - len(actions))]), params
    )
    agent, added, terminated, truncated = (np.asarray(one)[: len(actions)].tolist() for one in steps)
    return list(zip(agent, [pytest.approx(one) for one in added], terminated, truncated, strict=True))


@functools.partial(jax.jit, static_argnums=0)
def _play(world, level, actions, params):
    def step(state, action):
        state, events, terminated = world.transition(None, state, action, params)
        added = world.reward(state, events, params) - world.earned(state, events, params)
        return state, (state.inner.column, added, terminated, world.is_truncated(state, params))

    return jax.lax.scan(step, world.reset_to_level(None, level, params), actions)[1]


def test_a_potential_is_minus_the_distance_and_nothing_at_the_end():
    """From cell 1 the coin on cell 3 is 2 steps away: 2 - 0.5 x 3, then 3 - 0.5 x 2 and 2 - 0.5 x 1, and at last 1."""
    line = shaped("coin-line", "potential")
    steps = play(line, 1, 3, [LEFT, RIGHT, RIGHT, RIGHT], weight=2.0, discount=0.5)
    assert steps == [(0, 1.0, False, False), (1, 4.0, False, False), (2, 3.0, False, False), (3, 2.0, True, False)]


def test_a_time_limit_is_no_end():
    line = shaped("coin-line", "potential")
    assert play(line, 1, 3, [RIGHT], discount=0.5, **{"env.max_steps_in_episode": 1}) == [(2, 1.5, False, True)]


def test_without_a_discount_an_episode_adds_what_its_first_state_lacks():
    """Whatever the way: the sum telescopes to the first distance."""
    line = shaped("coin-line", "potential")
    for way in ([RIGHT, RIGHT], [LEFT, RIGHT, RIGHT, RIGHT], [LEFT, LEFT, RIGHT, RIGHT, RIGHT]):
        assert sum(step[1].expected for step in play(line, 1, 3, way)) == pytest.approx(2.0)


def test_progress_pays_for_each_step_that_comes_closer_and_takes_nothing_for_one_that_does_not():
    line = shaped("coin-line", "progress")
    steps = play(line, 1, 3, [LEFT, LEFT, RIGHT, RIGHT, RIGHT], weight=0.25)
    assert [step[1] for step in steps] == [0.0, 0.0, 0.25, 0.25, 0.25]


def test_a_goal_that_ends_nothing_is_come_closer_to_when_it_is_reached():
    """The right end, cell 8, is left and entered again; the coin on cell 0 is far."""
    line = shaped("coin-line", "progress", **{"shaping.goal": "right-end"})
    assert [step[1] for step in play(line, 7, 0, [RIGHT, LEFT, RIGHT])] == [1.0, 1.0, 1.0]


def test_distances_are_to_the_event_and_0_everywhere_where_a_level_has_none():
    """From cell 0 itself one has to leave and come back. Where the near reward is not there, no state is nearer."""
    chain = shaped("far-reward", "potential", **{"shaping.goal": "near", "env.length": 6})
    level = chain.sample_level(jax.random.key(0), chain.default_params)
    there, gone = batch(
        lambda near: chain.distances(level._replace(near=near), chain.default_params), np.array([True, False])
    )
    assert there.tolist() == [2, 1, 2, 3, 4, 5, 6]
    assert gone.tolist() == [0] * 7


@functools.cache
def written_out(name):
    """A shaped world, levels, their tables, f64[levels, goals] payments and f32[levels, S, A] what shaping adds."""
    world = shaped(name, "potential")
    inner, discount = world.inner, 0.9
    params = world.params_of({"shaping.weight": 0.5, **SOME.get(name, {})})
    params = params.replace(shaping=params.shaping.replace(discount=np.float32(discount)))
    levels = batch(
        lambda key: inner.sample_level(jax.random.wrap_key_data(key), params),
        np.arange(24, dtype=np.uint32).reshape(12, 2),
    )

    def one(level):
        def added(state, action):
            after, events, _ = world.transition(jax.random.key(0), state, action, params)
            return world.reward(after, events, params) - world.earned(after, events, params)

        each = jax.vmap(jax.vmap(added, in_axes=(None, 0)), in_axes=(0, None))
        start = inner.state_index(inner.reset_to_level(jax.random.key(0), level, params))
        table = tabular.Table(start, *inner.tabular(level, params))
        worth = inner.expected_payment(level, params, discount)
        return table, worth, each(world.states(level, params), jnp.arange(world.num_actions))

    return world, *batch(one, levels)


def potential_of(table, goal):
    """f64[levels, S], minus the fewest steps to a goal, and one step beyond the farthest where it is out of reach."""
    steps = tabular.distances(table, goal)
    farthest = np.where(np.isfinite(steps), steps, -1).max(axis=1, keepdims=True) + 1
    return -np.where(np.isfinite(steps), steps, farthest)


def differences(table, potential, discount):
    """f64[levels, S, A], discount x Phi(s') - Phi(s), with no potential at the end."""
    after = np.take_along_axis(potential[:, :, None], table.next_state.reshape(len(potential), -1, 1), axis=1)
    after = np.where(table.terminated, 0.0, after.reshape(table.next_state.shape))
    return discount * after - potential[:, :, None]


def best(table, reward, discount):
    """The optimal policy under a reward f64[levels, S, A] for each transition."""
    return tabular.optimal(table._replace(events=reward[..., None]), np.ones((len(reward), 1)), discount)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_GOALS)
def test_a_potential_leaves_every_world_its_optimal_policy(name):
    world, table, worth, added = written_out(name)
    paid = np.einsum("lsag,lg->lsa", table.events, worth.astype(float))
    intended = [goal.role for goal in world.goals].index("intended")
    written = 0.5 * differences(table, potential_of(table, intended), np.float32(0.9))
    np.testing.assert_allclose(added, written, atol=1e-4)
    for goal in range(len(world.goals)):
        extra = 0.5 * differences(table, potential_of(table, goal), 0.9)
        assert np.abs(extra).max() > 0.4
        np.testing.assert_array_equal(best(table, paid + extra, 0.9), best(table, paid, 0.9), world.goals[goal].name)


def test_paying_for_progress_makes_going_to_and_fro_the_best():
    """0.5 every other step is worth 0.5 / (1 - 0.97^2) = 8.5 for ever; the coin pays 1, once."""
    table = tabular.tabulate(envs.CoinLine(), Level(np.array([3], np.int32), np.array([8], np.int32)))
    steps = tabular.distances(table, 0)
    closer = table.events[..., 0] | (~table.terminated & (steps[0, table.next_state[0]] < steps[0][:, None])[None])
    paid = table.events[..., 0].astype(float)
    play = functools.partial(tabular.play, table, rows=np.zeros(1, int), horizon=500)
    reached = {
        weight: play(policy=best(table, paid + weight * closer, 0.97), generator=np.random.default_rng(0))[0, 0]
        for weight in (0.0, 0.5)
    }
    assert reached == {0.0: 5, 0.5: -1}


@pytest.mark.slow
def test_nothing_but_the_learners_reward_is_another():
    """The same randomness gives the same episodes, events and returns, and the reward has what shaping adds."""
    found = {}
    bits = np.asarray(jax.random.bits(jax.random.key(1), (rollout.bits_needed(envs.CoinLine(), 4, 40),), jnp.uint32))
    for kind in ("none", "potential"):
        world = envs.make("coin-line", {"shaping.kind": kind})
        params = world.params_of({"shaping.weight": 0.5})

        def apply(seen, context):
            return jnp.zeros((*seen.vector.shape[:-1], 2)), jnp.zeros(seen.vector.shape[:-1]), ()

        def experience(bits, world=world, params=params, apply=apply):
            begun = rollout.begin(world, jax.random.key(0), params, 4)
            return rollout.rollout(world, apply, begun, bits, params, 40)[1:]

        found[kind] = batch(experience, bits[None])
    (plain, tally), (steps, of_shaped) = found["none"], found["potential"]
    assert tally.returns[0] > 0
    jax.tree.map(np.testing.assert_array_equal, of_shaped, tally)
    jax.tree.map(np.testing.assert_array_equal, steps._replace(reward=0), plain._replace(reward=0))
    assert np.abs(steps.reward - plain.reward).max() == pytest.approx(0.5)


def test_shaping_is_given_the_learners_discount_and_its_weight_can_follow_a_schedule():
    world, learner = shaped("coin-line", "potential"), jaxrl.make("ppo", {})
    values = {"learner.discount": 0.8, "shaping.weight": 2.0, "schedules.shaping.weight.to": 0.0}
    moving = (Schedule("shaping.weight", "linear"),)
    lane = Settings(
        world.params_of(values),
        jaxrl.program.params_of(learner.Params, "learner", values),
        schedules.numbers_of(moving, values),
        moving,
    )
    terms = lane.at(jnp.int32(3), 4, lane.clock())[0].shaping
    assert (float(terms.weight), float(terms.discount)) == (0.5, pytest.approx(0.8))


def test_without_shaping_there_is_no_trace_of_it():
    world = envs.make("coin-run", {"shaping.kind": "none", "shaping.goal": "coin"})
    assert world == envs.CoinRun() and world.params_of({"shaping.weight": 3.0}).shaping == ()
    assert all(setting.later for setting in shaping.settings(world.goals).values())
    assert not [key for key in envs.settings("bandit") if "shaping" in key]


def test_what_cannot_be_shaped_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^shaping\.goal: no goal is called mark-4 here; one of colour, mark-1, mark-2$"
    ):
        shaped("objects", "potential", **{"shaping.goal": "mark-4"})
    with pytest.raises(ValueError, match=r"^shaping\.kind: exact learners"):
        jaxrl.Program(shaped("coin-line", "potential"), jaxrl.make("exact-gradient", {}), 1)
