"""bandit and reversal: pulls by hand, and what policies whose return is known earn in them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs import HIDDEN
from envs.bandit import NEVER, Bandit, Level
from envs.reversal import Reversal

CERTAIN = {"env.p_good": 1.0, "env.p_bad": 0.0}
EPISODES = 4000


def stay(memory, paid):
    return memory


def win_stay_lose_shift(memory, paid):
    """The arm that paid, else the other one; the first pull is the left one."""
    return jnp.where(paid > 0, memory, 1 - memory)


@functools.partial(jax.jit, static_argnums=(0, 1, 4))
def play(world, policy, better, reverses, pulls, params):
    """Of an episode a level: f32[levels, pulls] what each pull paid, and bool[levels, pulls, counters].

    policy: (the arm pulled, what it paid) -> the next arm; the first is the left one.
    """

    def episode(key, better, reverses):
        def step(carry, key):
            state, arm = carry
            state, events, _ = world.transition(key, state, arm, params)
            paid = world.reward(state, events, params)
            return (state, policy(arm, paid)), (paid, world.counts(state, params))

        first = world.reset_to_level(key, Level(better, reverses), params), jnp.int32(0)
        return jax.lax.scan(step, first, jax.random.split(key, pulls))[1]

    return jax.vmap(episode)(jax.random.split(jax.random.key(0), len(better)), better, reverses)


def both_arms(reverses=NEVER, n=2):
    return np.arange(n, dtype=np.int32) % 2, np.full(n, reverses, np.int32)


def test_a_pull_of_the_better_arm_pays_and_nothing_is_seen():
    world, paid = Bandit(), []
    params = world.params_of(CERTAIN)
    state = world.reset_to_level(None, Level(np.int32(1), np.int32(2)), params)
    assert int(state.pulled) == HIDDEN
    for arm in (0, 1, 1, 0):
        state, events, terminated = world.transition(jax.random.key(0), state, arm, params)
        paid.append(float(world.reward(state, events, params)))
        assert world.features(state, params).indices.tolist() == [0, HIDDEN] and not terminated and not len(events)
    assert paid == [0, 1, 0, 1], "the arms change places after the second pull"


def test_lamps_and_better_arms_come_as_often_as_they_are_told_to():
    world = Bandit()
    values = {"env.left_share": 0.8, "env.lamp_presence": 0.5, "env.lamp_truth": 0.7}
    keys = jax.random.split(jax.random.key(0), EPISODES)
    levels = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))(keys, world.params_of(values))
    lit = levels.lamp != HIDDEN
    assert (levels.better == 0).mean() == pytest.approx(0.8, abs=0.03) and lit.mean() == pytest.approx(0.5, abs=0.03)
    assert (levels.lamp == levels.better)[lit].mean() == pytest.approx(0.7, abs=0.03)
    seen = world.features(world.reset_to_level(None, Level(0, NEVER, 1), world.default_params), None)
    assert seen.indices.tolist() == [0, 1]


def test_what_a_pull_adds_to_the_counters():
    world = Reversal()
    params = world.params_of({**CERTAIN, "env.max_steps_in_episode": 4})
    _, counted = play(world, stay, *both_arms(3), 4, params)
    named = dict(zip(world.counters, np.moveaxis(counted[0], -1, 0).astype(int).tolist(), strict=True))
    assert named == {
        "better": [1, 1, 1, 0], "late": [0, 0, 1, 1], "late-better": [0, 0, 1, 0],
        "reversed": [0, 0, 0, 1], "reversed-better": [0, 0, 0, 0],
    }  # fmt: skip


def test_without_memory_an_arm_pays_the_mean_of_both():
    world = Bandit()
    paid, _ = play(world, stay, *both_arms(), 20, world.params_of(CERTAIN))
    assert paid.mean() == 0.5
    paid, _ = play(world, stay, *both_arms(n=EPISODES), 20, world.params_of({"env.p_good": 0.8, "env.p_bad": 0.3}))
    assert paid.mean() == pytest.approx(0.55, abs=0.01)


def test_win_stay_lose_shift_loses_half_a_pull_where_pay_is_certain_and_one_more_at_a_reversal():
    world = Bandit()
    paid, _ = play(world, win_stay_lose_shift, *both_arms(), 20, world.params_of(CERTAIN))
    assert paid.sum(axis=1).mean() == 20 - 0.5
    world = Reversal()
    for reverses, lost in ((1, 1.5), (20, 1.5), (39, 1.5), (40, 0.5)):
        paid, _ = play(world, win_stay_lose_shift, *both_arms(reverses), 40, world.params_of(CERTAIN))
        assert paid.sum(axis=1).mean() == 40 - lost, reverses


def test_win_stay_lose_shift_is_on_the_better_arm_as_often_as_that_pays():
    """From either arm it moves to the better one with probability p, which is 1 - p_bad: p p + (1 - p) p = p."""
    world = Bandit()
    paid, counted = play(world, win_stay_lose_shift, *both_arms(n=EPISODES), 20, world.params_of({}))
    assert counted[:, 1:, 0].mean() == pytest.approx(0.9, abs=0.01)
    assert paid.mean() == pytest.approx((0.5 + 19 * 0.82) / 20, abs=0.01)


def best_return(p, pulls):
    """The most that can be earned in expectation where p_good = p and p_bad = 1 - p; dynamic programming over beliefs.

    What has been seen comes down to how often it spoke for the left arm (it paid, or the right one did not) less how
    often for the right one; each pull says the same of either arm.
    """

    @functools.cache
    def value(left, remaining):
        if not remaining:
            return 0.0
        odds = (p / (1 - p)) ** left
        is_left = odds / (1 + odds)
        speaks = is_left * p + (1 - is_left) * (1 - p)
        after = speaks * value(left + 1, remaining - 1) + (1 - speaks) * value(left - 1, remaining - 1)
        return max(speaks, is_left * (1 - p) + (1 - is_left) * p) + after

    return value(0, pulls)


def test_the_best_return_is_that_of_following_the_majority():
    """One pull: 1/2. Two: what the first spoke for, right with p, pays p p + (1 - p) (1 - p) = 0.82 for p = 0.9."""
    assert best_return(0.9, 1) == 0.5 and best_return(0.9, 2) == pytest.approx(0.5 + 0.82)
    assert best_return(0.9, 20) == pytest.approx(17.38, abs=0.005), "as docs/bandit.md says"
    assert best_return(1 - 1e-9, 20) == pytest.approx(19.5)


def test_reversals_come_with_the_hazard_and_never_without():
    world = Reversal()
    keys = jax.random.split(jax.random.key(0), EPISODES)
    sample = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))
    levels = sample(keys, world.params_of({"env.hazard": 0.2}))
    assert levels.better.mean() == pytest.approx(0.5, abs=0.03)
    for pulls in range(1, 5):
        survived = levels.reverses >= pulls
        assert (levels.reverses[survived] == pulls).mean() == pytest.approx(0.2, abs=0.03)
    assert set(sample(keys, world.params_of({"env.hazard": 0.0})).reverses.tolist()) == {NEVER}
    assert set(sample(keys, world.params_of({"env.hazard": 1.0})).reverses.tolist()) == {1}


@pytest.mark.parametrize("name", ["bandit", "reversal"])
def test_a_picture_shows_which_arm_is_the_better_one(name):
    world = envs.make(name)
    params = world.default_params
    one, other = (world.render(world.reset_to_level(None, Level(arm, np.int32(NEVER)), params)) for arm in (0, 1))
    assert (one[:, ::-1] == other).mean() > 0.9 and (one != other).any()
