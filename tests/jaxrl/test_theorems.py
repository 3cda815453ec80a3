"""What is proved about the coin line, on trained lanes: encoding and diversity decide the verdict, not the seed.

The statements are those of the agenda MAIS-A8 on the coin line, propositions 3.3, 4.2 to 4.5 and 6.1, and elementary
facts about networks at initialisation. Convergence is logarithmic in the number of steps; after 4,000, no linear
policy's log-odds at the probe are within 0.5 of a change of sign.
"""

import functools

import jax
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl.schedules import Settings

LANES = 64


@functools.cache
def compiled(learner, encoding, policy, width, length):
    """A world, a learner, and its `init` and `advance` over lanes that share settings."""
    world = envs.make("coin-line", {"env.length": length, "env.encoding": encoding})
    made = jaxrl.make(learner, {"learner.policy": policy, "learner.width": width})
    init = jax.jit(jax.vmap(lambda key, settings: made.init(world, key, settings)[0], (0, None)))
    advance = jax.vmap(lambda state, settings, updates: made.advance(world, state, settings, updates), (0, None, None))
    return world, made, init, jax.jit(advance)


@functools.cache
def trained(learner, encoding, policy, steps, eta, eps, scale, width=8, length=4):
    """Metrics at the beginning, half-way and at the end, each [lanes, 3]."""
    world, made, init, advance = compiled(learner, encoding, policy, width, length)
    params = made.Params(np.float32(eta), np.float32(scale), np.float32(0.01))
    settings = Settings(world.params_of({"env.diversity": eps}), params, {})
    state, seen = init(jax.random.split(jax.random.key(1), LANES), settings), []
    for updates in (0, steps // 2, steps - steps // 2):
        state, _, metrics = advance(state, settings, updates)
        seen.append(metrics)
    return jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "encoding", "eps", "eta", "right"),
    [
        ("cloning", "absolute", 0.0, 0.1, True),
        ("cloning", "absolute", 0.2, 0.1, False),
        ("cloning", "absolute", 1.0, 0.1, False),
        ("cloning", "relative", 0.0, 0.1, False),
        ("cloning", "one-hot", 0.0, 1.0, True),
        ("exact-gradient", "absolute", 0.0, 0.3, True),
        ("exact-gradient", "absolute", 0.5, 0.03, False),
    ],
)
def test_a_linear_policy_ends_where_its_encoding_and_diversity_send_it(learner, encoding, eps, eta, right):
    metrics = trained(learner, encoding, "linear", 4000, eta, eps, 0.1)
    assert np.all((metrics.probe_logit[:, -1] > 0) == right)
    assert np.all(metrics.competence[:, -1] > 0.97)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["cloning", "exact-gradient"])
def test_a_table_keeps_its_first_preference_where_training_never_goes(learner):
    logit = trained(learner, "one-hot", "tabular", 2000, 1.0, 0.0, 1.0).probe_logit
    np.testing.assert_array_equal(logit[:, -1], logit[:, 0])
    assert 10 < (logit[:, 0] > 0).sum() < 54


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["cloning", "exact-gradient"])
def test_without_diversity_a_network_never_turns_from_the_proxy(learner):
    """Each unit's share in the log-odds at the probe can only rise."""
    logit = trained(learner, "absolute", "network", 4000, 0.01, 0.0, 1.0).probe_logit
    assert np.all(np.diff(logit, axis=1) > -1e-4 * (1 + np.abs(logit[:, 1:])))
    assert (logit[:, -1] > 0).sum() > (logit[:, 0] > 0).sum()


@pytest.mark.slow
def test_before_training_a_network_is_silent_at_the_probe_with_the_probability_that_every_unit_is():
    """2^-m; and right as often as left. For one unit: half of 64 lanes are silent, a quarter each right and left."""
    logit = trained("cloning", "absolute", "network", 2, 0.01, 0.0, 1.0, width=1).probe_logit[:, 0]
    silent, right = (logit == 0).sum(), (logit > 0).sum()
    assert abs(silent - 32) < 4 * 4 and abs(right - 16) < 4 * 3.5
