"""Rewards divided by the deviation of their sums: by the moments of all sums at once."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxrl
from jaxrl import reward_scale
from jaxrl.ppo import Params
from jaxrl.rollout import Steps
from jaxrl.schedules import Settings
from tests.jaxrl import probe_world


def steps(reward, done):
    nothing = [None] * len(Steps._fields)
    return Steps(*nothing)._replace(reward=jnp.asarray(reward, jnp.float32), done=jnp.asarray(done))


def test_each_reward_is_divided_by_the_deviation_of_all_sums_so_far():
    """Two environments, of which the second begins anew after its first step; then a rollout that goes on."""
    rewards = np.array([[1.0, 3.0], [2.0, 0.5], [0.0, -40.0]])
    done = np.array([[False, True], [False, False], [False, False]])
    sums = np.array([[1.0, 3.0], [2.99, 0.5], [2.99 * 0.99, 0.5 * 0.99 - 40]])
    scale, found = reward_scale.begun(2), []
    for part in (slice(0, 2), slice(2, 3)):
        scale, after = reward_scale.scaled(scale, steps(rewards[part], done[part]))
        found.append(after.reward)
    for row, reward in enumerate(np.concatenate(found)):
        seen = sums[: row + 1].ravel()
        np.testing.assert_allclose(reward, np.clip(rewards[row] / seen.std(), -10, 10), rtol=1e-3)
    np.testing.assert_allclose(scale.sums, sums[-1], rtol=1e-6)


def test_a_learner_learns_from_divided_rewards_and_reports_those_of_the_world():
    """A reward that is always 1 has hardly any deviation, and is clipped to 10."""
    world, found = probe_world.ProbeWorld(), {}
    for normalises in (False, True):
        values = {"learner.total_steps": 16, "learner.n_envs": 4, "learner.n_steps": 4, "learner.width": 2}
        learner = jaxrl.make("ppo", values | {"learner.normalise_rewards": normalises})
        settings = Settings(world.params_of({"env.kind": probe_world.CONSTANT}), Params(learning_rate=0.0), {})

        @jax.jit
        def trained(key, learner=learner, settings=settings):
            state, _ = learner.init(world, key, settings)
            return learner.advance(world, state, settings, jnp.int32(1))

        found[normalises] = trained(jax.random.key(0))[1:]
    (tally, metrics), (same, scaled) = found[False], found[True]
    assert float(tally.returns) == float(same.returns) == 16
    np.testing.assert_allclose(2 * metrics.loss_value, 1, atol=0.5)
    np.testing.assert_allclose(2 * scaled.loss_value, 100, atol=10)
