"""PPO: the loss by hand, the order of its minibatches, and its optimiser; test_learners.py has it learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs import Observation
from jaxrl.minibatches import Batch
from jaxrl.ppo import Params
from jaxrl.schedules import Settings
from tests.jaxrl import probe_world


def test_the_loss_of_four_transitions_by_hand():
    """With a network of zeros both actions have probability 1/2 and the value is 0."""
    world = probe_world.ProbeWorld()
    learner = jaxrl.make("ppo", {"learner.width": 2})
    variables = learner.make_network(world).init(
        jax.random.key(0), (), Observation(jnp.zeros(0), jnp.zeros(2)), None, None, None
    )
    variables = jax.tree.map(jnp.zeros_like, variables)
    old = np.array([0.5, 0.25, 0.8, 0.5])
    batch = Batch(
        Observation(jnp.zeros((4, 0), jnp.int32), jnp.zeros((4, 2))),
        jnp.array([0, 1, 0, 1]),
        jnp.log(jnp.asarray(old, jnp.float32)),
        jnp.array([0.0, 1.0, 0.0, -0.1]),
        jnp.array([3.0, 1.0, 1.0, 3.0]),
        jnp.array([1.0, 2.0, 0.0, 1.0]),
    )
    total, metrics = learner.loss(world, variables, batch, Params())
    # Normalised advantages are 1, -1, -1, 1; ratios 1, 2, 0.625, 1, of which the third is clipped to 0.8 and the
    # second is not: the minimum keeps the worse of -2 and -1.2.
    np.testing.assert_allclose(metrics.loss_policy, -(1 - 2 - 0.8 + 1) / 4, rtol=1e-5)
    # The second value fell by 1, of which 0.2 count where that is worse: max((0 - 2)^2, (0.8 - 2)^2) = 4.
    np.testing.assert_allclose(metrics.loss_value, 0.5 * (1 + 4 + 0 + 1) / 4, rtol=1e-5)
    np.testing.assert_allclose(metrics.entropy, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(metrics.clip_fraction, 0.5)
    ratio = 0.5 / old
    np.testing.assert_allclose(metrics.approx_kl, np.mean(ratio - 1 - np.log(ratio)), rtol=1e-4)
    np.testing.assert_allclose(total, 0.2 + 0.5 * 0.75 - 0.01 * np.log(2), rtol=1e-4)
    # A quarter of the reach, 0.05: the fourth value rose by 0.1, and is clipped to -0.05.
    _, metrics = learner.loss(world, variables, batch, Params(value_clip=0.25))
    np.testing.assert_allclose(metrics.loss_value, 0.5 * (1 + 4 + 0 + 1.05**2) / 4, rtol=1e-5)


def test_each_epoch_sees_every_transition_once_in_a_fresh_order():
    learner = jaxrl.make("ppo", {"learner.n_envs": 4, "learner.n_steps": 16})
    order = np.asarray(learner._shuffles(jax.random.bits(jax.random.key(0), (2 * 64,), jnp.uint32), 64)).reshape(4, 64)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(64), (4, 1)))
    assert len({tuple(row) for row in order}) == 4


@pytest.mark.slow
def test_the_optimiser_starts_anew_when_it_is_told_to_and_the_network_does_not():
    learner = jaxrl.make("ppo", {"learner.total_steps": 256, "learner.n_envs": 4, "learner.n_steps": 16})
    world = probe_world.ProbeWorld()

    @jax.jit
    def trained(updates, reset_at):
        settings = Settings(world.params_of({}), Params(reset_optimiser_at=reset_at), {})
        state, _ = learner.init(world, jax.random.key(0), settings)
        return learner.advance(world, state, settings, updates)[0]

    ends = {(updates, at): trained(updates, at) for updates in (2, 3, 4) for at in (0.5, 1.0)}
    steps = {key: int(state.optimiser_state[1].count) for key, state in ends.items()}
    assert [steps[updates, 1.0] for updates in (2, 3, 4)] == [32, 48, 64]
    assert [steps[updates, 0.5] for updates in (2, 3, 4)] == [32, 16, 32]
    leaves = {key: jax.tree.leaves(state.variables) for key, state in ends.items()}
    assert all(np.array_equal(*pair) for pair in zip(leaves[2, 0.5], leaves[2, 1.0], strict=True))
    moved = max(np.abs(one - other).max() for one, other in zip(leaves[3, 0.5], leaves[2, 0.5], strict=True))
    assert 0 < moved < 0.1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learner.n_minibatches": 3}, "3 does not divide the batch of 1024"),
        ({"learner.total_steps": 1000}, "less than one batch of 1024"),
        ({"learner.n_envs": 4, "learner.n_steps": 1}, "cannot be normalised"),
        ({"learner.n_envs": 1024, "learner.n_steps": 128}, "too large"),
    ],
)
def test_counts_that_do_not_fit_are_refused_in_one_line(values, said):
    with pytest.raises(ValueError, match=said) as error:
        jaxrl.make("ppo", values)
    assert "\n" not in str(error.value)
