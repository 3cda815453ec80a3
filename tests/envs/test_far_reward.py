"""far-reward: the chain by hand, and where the far reward is the best."""

import jax
import numpy as np
import pytest

import envs
from envs import HIDDEN, FarReward, tabular
from envs.far_reward import Level
from jaxrl.planner import Planner

LEFT, RIGHT = 0, 1


def play(world, start, actions, near=True, far=True):
    """Each step's (cell, far, near, terminated, reward)."""
    params = world.default_params
    state, found = world.reset_to_level(None, Level(np.int32(start), np.array(near), np.array(far)), params), []
    for action in actions:
        state, events, terminated = world.transition(None, state, action, params)
        found.append(
            (int(state.column), *events.tolist(), bool(terminated), float(world.reward(state, events, params)))
        )
    return found


def test_each_end_pays_on_entry_and_ends_the_episode():
    world = FarReward(length=6)
    near = (0, False, True, True, pytest.approx(0.1))
    assert play(world, 2, [LEFT, LEFT]) == [(1, False, False, False, 0.0), near]
    assert play(world, 5, [RIGHT]) == [(6, True, False, True, 10.0)]


def test_an_end_without_its_reward_is_a_cell_like_others():
    world = FarReward(length=6)
    nothing = (False, False, False, 0.0)
    assert play(world, 1, [LEFT, LEFT, RIGHT], near=False) == [(0, *nothing), (0, *nothing), (1, *nothing)]
    assert play(world, 5, [RIGHT, RIGHT], far=False) == [(6, *nothing), (6, *nothing)]


def test_the_cell_and_what_is_there_are_seen():
    world = FarReward()
    for near, far, seen in ((True, True, [3, 0, 0]), (False, True, [3, HIDDEN, 0]), (True, False, [3, 0, HIDDEN])):
        state = world.reset_to_level(None, Level(np.int32(3), np.array(near), np.array(far)), None)
        assert world.features(state, None).indices.tolist() == seen


def test_training_starts_beside_the_near_reward_and_the_middle_is_kept_for_probes():
    world = FarReward(length=9)
    params = world.params_of({"env.farthest_start": 3, "env.near_presence": 0.25})
    sample = jax.jit(jax.vmap(world.sample_level, in_axes=(0, None)))
    levels = sample(jax.random.split(jax.random.key(0), 4000), params)
    assert np.bincount(levels.start) / 4000 == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.03)
    assert np.mean(levels.near) == pytest.approx(0.25, abs=0.03) and np.all(levels.far)
    (choice,) = [probe for probe in world.probes() if probe.labels]
    assert choice.levels.start.tolist() == [4, 5]
    with pytest.raises(ValueError, match=r"^env\.farthest_start: 4 reaches the middle .* at most 3$"):
        world.params_of({"env.farthest_start": 4})


def test_the_time_limit_lets_the_far_end_be_reached_from_anywhere():
    world = envs.make("far-reward", {"env.length": 200})
    assert world.params_of({}).max_steps_in_episode == 400


@pytest.mark.parametrize(("discount", "nearest_for_far"), [(0.97, 1), (0.7, 4)])
def test_value_iteration_takes_the_far_reward_wherever_the_discount_leaves_it_more(discount, nearest_for_far):
    """0.1 x discount^(s - 1) and 10 x discount^(19 - s) are equal at s = 10 - log(100) / log(1 / discount) / 2.

    That is 3.54 for a discount of 0.7, and left of the chain for one of 0.97.
    """
    world = FarReward()
    plan = Planner(world, world.probes()).plan(world.params_of({}), discount)
    first = plan.reached["exchange:far-near"]
    starts = 1 + np.arange(64) % 19
    for start in range(1, 20):
        far, near = first[starts == start][0]
        assert (far, near) == ((20 - start, -1) if start >= nearest_for_far else (-1, start))
    assert plan.expected_return == pytest.approx(10.0 if nearest_for_far == 1 else 0.1)


def test_the_near_reward_is_optimal_for_the_impatient_alone():
    """From cell 1: 10 x discount^18 is 0.1 at a discount of 0.774."""
    world = FarReward()
    table = tabular.tabulate(world, Level(*(np.asarray(x)[None] for x in (np.int32(1), True, True))))
    for discount, action in ((0.77, LEFT), (0.78, RIGHT)):
        assert tabular.optimal(table, np.array([[10, 0.1]]), discount)[0, 1].argmax() == action
