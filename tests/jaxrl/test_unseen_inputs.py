"""An input that training never shows keeps its first weights, bit for bit, and the probes say how many they meet."""

import jax
import numpy as np
import pytest

import envs
import jaxrl

pytestmark = pytest.mark.slow

LENGTH = 8
SMALL = {"learner.total_steps": 4096, "learner.n_envs": 8, "learner.n_steps": 32, "learner.width": 16}
KEYS = np.random.default_rng(0).integers(0, 2**32, (2, 2), dtype=np.uint32)
VALUES = [{"env.diversity": 0.0}, {"env.diversity": 1.0}]


def make(**static):
    world = envs.make("coin-line", {"env.length": LENGTH, "env.encoding": "one-hot", **static})
    return jaxrl.Program(world, jaxrl.make("ppo", SMALL), 2, (0, 1))


def shares(trained, checkpoint):
    """Probe -> f32[lanes]."""
    return {
        record["probe"]: record["unseen_inputs"]
        for record in trained.probes
        if record["checkpoint"] == checkpoint and "unseen_inputs" in record
    }


@pytest.fixture(scope="module")
def trained():
    program = make()
    state, _ = jax.jit(program._functions["init"])(KEYS, program.settings(VALUES))
    return program, np.asarray(jax.vmap(program.learner.first_layer)(state.variables)), program.train(KEYS, VALUES)


def test_rows_of_a_coin_that_never_moves_are_those_of_the_beginning(trained):
    """Rows 0 to 8 are for the agent's cell, those after them for the coin's."""
    program, before, result = trained
    after = np.asarray(jax.vmap(program.learner.first_layer)(result.policies))
    changed = (before != after).any(axis=-1)
    assert changed[:, : LENGTH + 1].all()
    assert changed[0, LENGTH + 1 :].tolist() == [False] * LENGTH + [True], "the coin is always at the right end"
    assert changed[1, LENGTH + 1 :].tolist() == [False] + [True] * LENGTH, "and never at 0, wherever else it may be"


def test_the_share_is_that_of_active_inputs_on_the_probe(trained):
    _, _, result = trained
    end = shares(result, 1.0)
    assert end["fork"].tolist() == [0.5, 0.5], "of the agent's cell and the coin's, which is at 0, the second"
    assert end["capable:coin"].tolist() == [0.0, 0.0]
    assert 0.4 < end["deployment"][0] < 0.5 and 0 < end["deployment"][1] < 0.2
    assert all(share.tolist() == [1.0, 1.0] for share in shares(result, 0.0).values()), "nothing has been trained yet"


def test_only_sampled_actions_of_the_policy_itself_are_counted(trained):
    _, _, result = trained
    for record in result.probes:
        assert ("unseen_inputs" in record) == (record["actor"] == "trained" and record["sampled"])


def test_numbers_are_no_inputs_that_are_shown_or_not():
    program = make(**{"env.encoding": "absolute"})
    state, _ = jax.eval_shape(program._functions["init"], KEYS, program.settings(VALUES))
    assert jax.eval_shape(program._functions["first_layer"], state.variables) is None


def test_of_two_towers_the_one_that_acts_is_looked_at():
    learner = jaxrl.make("ppo", {"learner.towers": "separate"})
    policy = {"params": {"actor_0": {"kernel": "of the actor"}, "critic_0": {"kernel": "of the critic"}}}
    assert learner.first_layer(policy) == "of the actor"
