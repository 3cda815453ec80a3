"""PPO: the loss by hand, and problems whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxrl
from envs import Observation
from jaxrl.ppo import Batch, Params
from jaxrl.schedules import Schedule, Settings
from tests.jaxrl import probe_world

DISCOUNT = 0.5


@pytest.fixture(scope="module")
def solved():
    """One lane for each of the five problems: (values, probability of action 1) at [sign -1/1, first/second step]."""
    world = probe_world.ProbeWorld()
    counts = {"total_steps": 40_960, "n_envs": 8, "n_steps": 16, "width": 16, "depth": 1, "towers": "separate"}
    learner = jaxrl.make("ppo", {f"learner.{name}": value for name, value in counts.items()})
    schedules = (Schedule("learner.learning_rate", "linear"),)
    program = jaxrl.Program(world, learner, chunk=5, probe_at=(1,), schedules=schedules)
    lane = {"learner.learning_rate": 5e-3, "learner.discount": DISCOUNT, "schedules.learner.learning_rate.to": 5e-4}
    keys = np.stack([np.arange(5), np.arange(5)], axis=1).astype(np.uint32)
    policies = program.train(keys, [{"env.kind": float(kind)} | lane for kind in range(5)]).policies
    seen = Observation(
        jnp.zeros((2, 2, 0), jnp.int32), jnp.array([[[sign, time] for time in (0.0, 1.0)] for sign in (-1, 1)])
    )
    logits, values, _ = jax.vmap(lambda policy: learner.apply(world, policy, seen))(policies)
    return np.asarray(values), np.asarray(jax.nn.softmax(logits)[..., 1])


def test_a_constant_reward_is_valued_as_it_is(solved):
    np.testing.assert_allclose(solved[0][probe_world.CONSTANT][:, 0], 1, atol=0.05)


def test_value_follows_the_observation(solved):
    np.testing.assert_allclose(solved[0][probe_world.SEEN][:, 0], [-1, 1], atol=0.05)


def test_reward_a_step_away_is_discounted_once(solved):
    np.testing.assert_allclose(solved[0][probe_world.DISCOUNTED], [[DISCOUNT, 1]] * 2, atol=0.05)


def test_the_paying_action_is_chosen(solved):
    assert np.all(solved[1][probe_world.ACTION][:, 0] > 0.95)
    np.testing.assert_allclose(solved[0][probe_world.ACTION][:, 0], 1, atol=0.1)


def test_the_action_follows_the_observation(solved):
    assert solved[1][probe_world.BOTH][0, 0] < 0.05 and solved[1][probe_world.BOTH][1, 0] > 0.95


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


def test_each_epoch_sees_every_transition_once_in_a_fresh_order():
    learner = jaxrl.make("ppo", {"learner.n_envs": 4, "learner.n_steps": 16})
    order = np.asarray(learner._shuffles(jax.random.bits(jax.random.key(0), (2 * 64,), jnp.uint32), 64)).reshape(4, 64)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(64), (4, 1)))
    assert len({tuple(row) for row in order}) == 4


def test_the_optimiser_starts_anew_when_it_is_told_to_and_the_network_does_not():
    learner = jaxrl.make("ppo", {"learner.total_steps": 256, "learner.n_envs": 4, "learner.n_steps": 16})
    world = probe_world.ProbeWorld()

    @jax.jit
    def trained(updates, reset_at):
        settings = Settings(world.params_of({}), Params(reset_optimiser_at=reset_at), {})
        state, _ = learner.init(world, jax.random.key(0), settings)
        return learner.advance(world, state, settings, updates)[0]

    ends = {(updates, at): trained(updates, at) for updates in (2, 3, 4) for at in (0.5, 1.0)}
    steps = {key: int(state.optimiser[1].count) for key, state in ends.items()}
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
