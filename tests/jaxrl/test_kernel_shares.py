"""The linearised policy follows the flow that is worked by hand, and goes where linear policies go that are trained."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from analysis.intervals import interval
from envs import Bandit, CoinLine, CoinRun, Gems
from jaxrl import A2C, PPO, Cloning, Program, kernel_shares, tangent
from jaxrl.kernel_shares import Ways, ascended, first_goals, linearised

ATLAS = Path(__file__).parents[2] / "docs" / "atlas" / "cells.parquet"
LINE = CoinLine(length=4, encoding="one-hot")


def shares_of(world, learner):
    return kernel_shares.KernelShares(world, learner, world.probes())


def test_the_flow_of_one_choice_by_hand():
    """One margin m = x . w with x . x = 5 gains log sigmoid(m): dm/dt = 5 / (1 + exp m), so m + exp m grows by 5 t."""
    x, time = jnp.array([1.0, 2.0]), 0.7
    weights = jnp.array([0.4, 0.1])  # m = 0.6
    moved = ascended(lambda w: x @ w, jax.nn.log_sigmoid, weights, time)
    before, after = x @ weights, x @ (weights + moved)
    assert after + jnp.exp(after) == pytest.approx(float(before + jnp.exp(before) + 5 * time), rel=1e-3)
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-3)


def test_a_network_is_followed_to_first_order():
    weights, moved = jnp.array([0.3, -0.8]), jnp.array([1.0, 0.5])
    start, pushed = linearised(lambda w: jnp.stack([jnp.tanh(w[0] * w[1]), w[0] ** 2]), weights)
    slope = 1 - np.tanh(-0.24) ** 2
    np.testing.assert_allclose(start, [np.tanh(-0.24), 0.09], rtol=1e-6)
    np.testing.assert_allclose(pushed(moved), [slope * (-0.8 * 1.0 + 0.3 * 0.5), 2 * 0.3], rtol=1e-5)


def test_which_goal_comes_first_by_hand():
    """A line of 0, 1, 2 from the middle: the left end is one goal, the right the other, and staying put is neither.

    Left with 1/2, right with 1/4: 2/3 reach the left first of those that reach one, within any number of steps.
    """
    reach = np.zeros((1, 3, 3, 2), np.float32)
    reach[0, 1, 0, 0] = reach[0, 1, 1, 1] = 1
    ways = Ways(np.array([1]), np.array([[[0, 1, 0], [0, 2, 1], [1, 2, 2]]]), reach, reach.any(axis=-1))
    policy = jnp.broadcast_to(jnp.array([0.5, 0.25, 0.25]), (1, 3, 3))
    for horizon in (1, 9):
        np.testing.assert_allclose(first_goals(policy, ways, horizon), [2 / 3, 1 / 3], rtol=1e-6)


def play(kernel, learner, policies):
    """How often each policy is at the coin first."""
    seen = kernel._asked(kernel_shares._Settings(LINE.default_params, None)).probed
    policy = jax.vmap(lambda one: jax.nn.softmax(learner.apply(LINE, one, seen)[0]))(policies)
    return np.array([first_goals(one, kernel.ways, kernel.probe.horizon)[0] for one in policy])


def test_policies_that_are_linear_go_where_their_kernel_says_by_small_steps():
    """Cloning, two initial policies at each of two diversities, as trained by the learner itself."""
    learner = Cloning(policy="linear", total_steps=400)
    values = [{"learner.learning_rate": 0.05, "env.diversity": share} for share in (0.1, 0.1, 0.9, 0.9)]
    settings = Program(LINE, learner, 4).settings(values)

    @jax.jit
    def trained(keys, settings):
        first = jax.vmap(lambda key, one: learner.init(LINE, key, one)[0])(keys, settings)
        last, *_ = jax.vmap(lambda one, its: learner.advance(LINE, one, its, learner.total_steps))(first, settings)
        return first.weights, last.weights

    first, last = trained(jax.random.split(jax.random.key(1), 4), settings)
    kernel = shares_of(LINE, learner)
    predicted, begun = kernel.columns(first, settings), play(kernel, learner, first)
    assert abs(predicted["kernel.share.coin"] - begun).max() > 0.2
    np.testing.assert_allclose(predicted["kernel.share.coin"], play(kernel, learner, last), atol=0.01)
    np.testing.assert_allclose(sum(predicted.values()), 1, rtol=1e-5)


def test_on_the_coin_line_shares_are_those_of_the_atlas():
    """Networks of width 256 that go right where the coin is left, after a tenth and at the end of its kernel-4."""
    world, learner, lanes = CoinLine(length=4), Cloning(width=256, total_steps=10_000), 128
    settings = Program(world, learner, lanes).settings([{"learner.learning_rate": 0.01, "learner.scale": 0.25}] * lanes)
    first = jax.jit(jax.vmap(lambda key, one: learner.init(world, key, one)[0].weights))
    policies, kernel = first(jax.random.split(jax.random.key(2), lanes), settings), shares_of(world, learner)
    cells = pd.read_parquet(ATLAS).query("sweep == 'kernel-4'").set_index("step")
    for step in (1000, 10_000):
        right = int((kernel.columns(policies, settings, step / 10_000)["kernel.share.right-end"] > 0.5).sum())
        low, high = interval(right, lanes, "wilson")
        least, most = interval(*cells.loc[step, ["right", "n"]], "wilson")
        assert low < most and least < high


def test_networks_do_at_first_what_they_do_untrained_and_without_diversity_then_go_right():
    learner = PPO(width=8, depth=1)
    settings = Program(LINE, learner, 1).settings([{}])
    policies = jax.jit(lambda key: tangent.initial(LINE, learner, key))(jax.random.key(0))
    policies, kernel = jax.tree.map(lambda leaf: leaf[None], policies), shares_of(LINE, learner)
    begun, ended = (kernel.columns(policies, settings, share)["kernel.share.coin"] for share in (1e-6, 1))
    np.testing.assert_allclose(begun, play(kernel, learner, policies), atol=1e-3)
    assert ended < 0.1 < begun


def test_displaced_levels_are_half_of_those_learnt_from_and_count_as_often_as_they_are_drawn():
    world = CoinRun()
    levels, _, often, _ = kernel_shares._training(world, world.params_of({"env.diversity": 0.02}))
    displaced = np.asarray(jax.vmap(world.displaced)(levels))
    assert 0.2 < displaced.mean() <= 0.5
    assert often.sum() == pytest.approx(1) and often[displaced].sum() == pytest.approx(0.02, abs=0.005)


class Unpriced(CoinLine):
    def expected_payment(self, level, params, discount):
        return jnp.full(len(self.goals), jnp.nan)


def test_where_a_world_does_not_say_what_its_events_are_worth_there_is_no_prediction():
    world, learner = Unpriced(length=4, encoding="one-hot"), PPO(width=8, depth=1)
    settings = Program(world, learner, 1).settings([{}])
    policies = jax.jit(lambda key: tangent.initial(world, learner, key))(jax.random.key(0))
    found = shares_of(world, learner).columns(jax.tree.map(lambda leaf: leaf[None], policies), settings)
    assert len(found) == 2 and all(np.isnan(share).all() for share in found.values())


@pytest.mark.parametrize("rate", [1.0, 1e30])
def test_a_flow_without_end_is_not_followed(rate):
    learner = PPO(width=8, depth=1)
    settings = Program(LINE, learner, 2).settings([{}, {"learner.learning_rate": rate}])
    policies = jax.jit(jax.vmap(lambda key: tangent.initial(LINE, learner, key)))(jax.random.split(jax.random.key(0)))
    found = shares_of(LINE, learner).columns(policies, settings)["kernel.share.coin"]
    assert np.isfinite(found[0]) and np.isnan(found[1])


@pytest.mark.parametrize(
    ("world", "learner", "said"),
    [
        (LINE, A2C(), "shares are predicted for the learners ppo and cloning"),
        (LINE, PPO(memory="gru"), "shares are predicted for policies that see observations alone"),
        (LINE, PPO(reward_model_updates=1), "shares are predicted for training by the world's own rewards"),
        (Gems(block=3), PPO(network="convolutional"), "shares are predicted for worlds that show no picture"),
        (Bandit(), PPO(), "bandit has no probe from which labels are computed"),
    ],
)
def test_what_has_no_prediction_is_refused_in_one_line(world, learner, said):
    with pytest.raises(ValueError) as error:
        shares_of(world, learner)
    assert str(error.value).startswith(f"save.kernel: {said}") and str(error.value).endswith("; expected false")
