"""Exact returns of policies, in blocks, against the dense system of all states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import Observation
from jaxrl.internals.returns import Levels, close, expected_return, in_blocks

DISCOUNT = np.float32(0.95)


def some(states, actions=3, levels=2, near=None):
    """Levels whose transitions are by lot, at most `near` away, and then mixed."""
    lot = np.random.default_rng(0)
    next_state = lot.integers(states, size=(levels, states, actions))
    if near:
        mixed, rows = lot.permuted(np.tile(np.arange(states), (levels, 1)), axis=1), np.arange(levels)[:, None, None]
        moved = np.argsort(mixed, axis=1)[:, :, None] + lot.integers(-near, near + 1, next_state.shape)
        next_state = mixed[rows, np.clip(moved, 0, states - 1)]
    reward = lot.normal(size=next_state.shape).astype(np.float32)
    goes_on = (lot.random(next_state.shape) < 0.9).astype(np.float32)
    begin = lot.dirichlet(np.ones(levels * states)).reshape(levels, states).astype(np.float32)
    policy = lot.dirichlet(np.ones(actions), size=(levels, states)).astype(np.float32)
    seen = Observation(next_state.astype(np.float32), np.zeros((levels, states, 0)), ())
    return Levels(begin, next_state.astype(np.int32), reward, goes_on, seen), policy


def dense(levels, policy):
    """The same by one system for all states, in float64."""
    total = 0.0
    for begin, ahead, reward, goes_on, mine in zip(*levels[:4], policy.astype(float), strict=True):
        matrix = np.eye(len(begin))
        for action in range(mine.shape[1]):
            matrix[np.arange(len(begin)), ahead[:, action]] -= DISCOUNT * mine[:, action] * goes_on[:, action]
        total += begin @ np.linalg.solve(matrix, (mine * reward).sum(axis=1))
    return total


@pytest.mark.parametrize(("states", "near", "widest"), [(23, 2, 6), (7, None, 7)])
def test_returns_and_their_slopes_are_those_of_the_dense_system(states, near, widest):
    """States that are listed in any order are put close to those that follow; 23 fill no whole number of blocks."""
    levels, policy = some(states, near=near)
    order = close(levels)
    assert order.width <= widest and (np.sort(order.states) == np.arange(states)).all()
    cut, arranged = in_blocks(levels, policy, order.states, order.width)
    value, slope = jax.jit(jax.value_and_grad(expected_return, argnums=1))(cut, jnp.asarray(arranged), DISCOUNT)
    assert value == pytest.approx(dense(levels, policy), rel=1e-5)
    for level, place, action in [(0, 0, 0), (1, states - 1, 2), (1, 3, 1)]:
        more, less = policy.astype(float), policy.astype(float)
        state = order.states[level, place]
        more[level, state, action] += 1e-4
        less[level, state, action] -= 1e-4
        change = (dense(levels, more) - dense(levels, less)) / 2e-4
        assert slope[*divmod(place, order.width), action, level] == pytest.approx(change, rel=1e-3, abs=1e-5)
