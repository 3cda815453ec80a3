"""Cloned demonstrations: what they show, and which goal a policy has before its first reward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from envs import tabular
from envs.tabular import traced_steps_left
from jaxrl import pretraining

WORLD = envs.make("coin-run", {"env.height": 5, "env.width": 5})


@pytest.fixture(scope="module")
def shown():
    """By share of demonstrations that go for the coin: the observations, targets and weights; coins lie anywhere."""
    params = WORLD.params_of({"env.diversity": 1.0})
    found = jax.jit(lambda share: pretraining.demonstrations(WORLD, jax.random.key(0), params, share, 12))
    return {share: jax.tree.map(np.asarray, found(share)) for share in (0.0, 1.0)}


def test_costs_are_distances_by_another_way():
    level = jax.tree.map(lambda leaf: leaf[:4], WORLD.probes()[0].levels)
    table = tabular.tabulate(WORLD, level)
    for goal in range(len(WORLD.goals)):
        for i in range(4):
            one = jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), table)
            costs = traced_steps_left(one.next_state, one.events[..., goal], one.terminated)
            np.testing.assert_array_equal(costs.min(axis=-1), tabular.distances(table, goal)[i].astype(np.float32))


def test_a_demonstration_ends_at_its_goal_and_takes_a_shortest_way(shown):
    for share, (observation, target, weight) in shown.items():
        weight = weight.reshape(pretraining.EPISODES, 12)
        lengths = weight.sum(axis=1)
        np.testing.assert_array_equal(weight, np.arange(12) < lengths[:, None])
        np.testing.assert_allclose(target.sum(axis=1)[weight.reshape(-1) > 0], 1, rtol=1e-6)
        down, right = (observation.indices.reshape(pretraining.EPISODES, 12, -1)[:, 0, i] - 4 for i in (2, 3))
        if share == 1:  # the offset to the coin says how far it is
            np.testing.assert_array_equal(lengths, np.abs(down) + np.abs(right))


def test_without_a_share_in_the_intended_goal_the_way_is_the_rivals(shown):
    _, target, weight = shown[0.0]
    right = WORLD.action_names.index("right")
    assert target[weight > 0][:, right].mean() > 0.95  # all but the ways around a coin


@pytest.mark.slow
def test_a_policy_begins_with_the_goal_that_it_was_shown():
    learner = jaxrl.make("ppo", {"learner.total_steps": 1024, "learner.pretraining_updates": 300})
    program = jaxrl.Program(WORLD, learner, 2, (0, 1))
    keys = np.arange(4, dtype=np.uint32).reshape(2, 2)
    lanes = [{"env.diversity": 1.0, "learner.pretraining_share": share} for share in (1.0, 0.0)]
    fork = next(
        record
        for record in program.train(keys, lanes).probes
        if record["checkpoint"] == 0
        and record["actor"] == "trained"
        and record["sampled"]
        and record["probe"] == "fork"
    )
    coin, end = fork["reached.coin"], fork["reached.right-end"]
    first = ((coin >= 0) & ((end < 0) | (coin < end))).mean(axis=1)
    assert first[0] > 0.9 and first[1] < 0.1


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(
        ValueError, match="learner.pretraining_updates: demonstrations need a world with an intended goal"
    ):
        learner = jaxrl.make("ppo", {"learner.pretraining_updates": 1})
        jaxrl.Program(envs.make("gymnax:CartPole-v1"), learner, 1)
    with pytest.raises(ValueError, match="cloned without memory"):
        learner = jaxrl.make("ppo", {"learner.pretraining_updates": 1, "learner.memory": "gru"})
        jaxrl.Program(WORLD, learner, 1)
