"""Generalised advantage estimation by hand."""

import jax.numpy as jnp
import numpy as np

from jaxrl.advantages import advantages


def test_time_limit_is_bootstrapped_but_a_terminal_state_is_not():
    one = dict(reward=jnp.ones(1), value=jnp.zeros(1), next_value=jnp.full(1, 5.0), discount=0.9, gae_lambda=1.0)
    assert advantages(**one, terminated=jnp.array([False]), done=jnp.array([True])) == 1 + 0.9 * 5
    assert advantages(**one, terminated=jnp.array([True]), done=jnp.array([True])) == 1


def test_three_steps_by_hand():
    """deltas: 1 + .5*2 - 1 = 1; 2 + .5*3 - 2 = 1.5; 3 + .5*4 - 3 = 2; decay .5*.5 = .25."""
    found = advantages(
        reward=jnp.array([1.0, 2.0, 3.0]),
        terminated=jnp.zeros(3, bool),
        done=jnp.zeros(3, bool),
        value=jnp.array([1.0, 2.0, 3.0]),
        next_value=jnp.array([2.0, 3.0, 4.0]),
        discount=0.5,
        gae_lambda=0.5,
    )
    np.testing.assert_allclose(found, [1 + 0.25 * (1.5 + 0.25 * 2), 1.5 + 0.25 * 2, 2])


def test_the_trace_stops_where_an_episode_is_cut():
    found = advantages(
        reward=jnp.array([1.0, 10.0]),
        terminated=jnp.zeros(2, bool),
        done=jnp.array([True, False]),
        value=jnp.zeros(2),
        next_value=jnp.array([4.0, 0.0]),
        discount=0.5,
        gae_lambda=1.0,
    )
    np.testing.assert_allclose(found, [1 + 0.5 * 4, 10])
