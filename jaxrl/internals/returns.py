"""The mean return of a policy on levels whose states are listed: exact, differentiable (once), and quick.

States are put in an order in which those that follow one another lie close, and cut into blocks such that a state leads
into its own block, the one before and the one after. The values of a policy then solve a system that is block
tridiagonal; with levels along the last axis, on which all that is done is done to each alike.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from envs import Observation


class Levels(NamedTuple):
    """Levels written out, axes [levels, S, ...]; `in_blocks` puts them into blocks, [blocks, width, ..., levels]."""

    begin: Any
    """f32[levels, S], the share of episodes that begin there."""
    next_state: Any
    """i32[levels, S, A]; in blocks, places in the order of the blocks."""
    reward: Any
    """f32[levels, S, A], in expectation."""
    goes_on: Any
    """f32[levels, S, A], 0 where the episode ends and 1 elsewhere."""
    seen: Observation
    """[levels, S, ...]; in blocks [blocks, width, levels, ...], as networks take them."""


class Order(NamedTuple):
    """An order of states in which those that follow one another lie close."""

    states: np.ndarray
    """i32[levels, S]."""
    width: int
    """Of blocks that serve it."""


def close(levels: Levels) -> Order:
    """Of the states of each level, by Cuthill and McKee or as they are listed, and the width that serves all levels."""
    count, states, actions = levels.next_state.shape
    known, every = np.repeat(np.arange(states), actions), np.empty((count, states), np.int32)
    width = 1
    for level, (ahead, goes_on) in enumerate(zip(levels.next_state, levels.goes_on, strict=True)):
        follows = np.where(goes_on > 0, ahead, np.arange(states)[:, None]).ravel()
        graph = coo_array((np.ones(len(known)), (known, follows)), shape=(states, states)).tocsr()
        orders = np.arange(states), reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)
        apart = [np.abs(np.argsort(order)[known] - np.argsort(order)[follows]).max() for order in orders]
        every[level] = orders[int(np.argmin(apart))]
        width = max(width, min(apart))
    return Order(every, int(width))


def in_blocks(levels: Levels, policy: np.ndarray, order: np.ndarray, width: int) -> tuple[Levels, np.ndarray]:
    """Levels in blocks, and a policy f32[levels, S, A] likewise; states that fill a block lead nowhere.

    Args:
      order: as of `Order`.
      width: no less than that of the order: transitions further than to the next block are lost.
    """
    count, states = order.shape
    rows, blocks = np.arange(count)[:, None], -(-states // width)

    def arranged(leaf, at=-1):
        leaf = np.asarray(leaf)[rows, order]
        filled = np.zeros((count, blocks * width, *leaf.shape[2:]), leaf.dtype)
        filled[:, :states] = leaf
        return np.moveaxis(filled.reshape(count, blocks, width, *leaf.shape[2:]), 0, at)

    place = np.argsort(order, axis=1).astype(np.int32)
    ahead = place[rows[:, :, None], levels.next_state]
    begin, ahead, reward, goes_on = map(arranged, (levels.begin, ahead, levels.reward, levels.goes_on))
    seen = jax.tree.map(lambda leaf: arranged(leaf, 2), levels.seen)
    return Levels(begin, ahead, reward, goes_on, seen), arranged(policy)


def expected_return(levels: Levels, policy: jax.Array, discount: Any) -> jax.Array:
    """f32[], the mean discounted return of a policy.

    Args:
      levels: in blocks.
      policy: f32[blocks, width, A, levels], the probability of each action.
      discount: f32[], below 1; in float32, values lose digits from about 0.99 on.
    """
    value, slope = _evaluated(levels, jax.lax.stop_gradient(policy), discount)
    return value + jnp.sum((policy - jax.lax.stop_gradient(policy)) * slope)


def _evaluated(levels: Levels, policy: jax.Array, discount: Any) -> tuple[jax.Array, jax.Array]:
    """The mean return, and its derivative by each probability of the policy: visits times what follows the action."""
    blocks, width, actions, count = policy.shape
    column = levels.next_state - (jnp.arange(blocks).reshape(blocks, 1, 1, 1) - 1) * width
    columns, place = jnp.arange(3 * width).reshape(1, 1, 3 * width, 1), jnp.arange(width).reshape(1, width, 1, 1)
    ahead = discount * levels.goes_on * policy
    leads = (jnp.where(column[:, :, a, None] == columns, ahead[:, :, a, None], 0.0) for a in range(actions))
    own = (columns == place + width).astype(jnp.float32)
    rows = own - sum(leads, jnp.zeros((blocks, width, 3 * width, count)))
    values, visits = _solved(rows, jnp.sum(policy * levels.reward, axis=2), levels.begin)
    follows = values.reshape(blocks * width, count)[levels.next_state, jnp.arange(count).reshape(1, 1, 1, count)]
    visits = visits[:, :, None]
    return jnp.sum(levels.begin * values), visits * (levels.reward + discount * levels.goes_on * follows)


def _solved(rows: jax.Array, reward: jax.Array, begin: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Values and visits f32[blocks, width, levels]: what solves rows @ values = reward, and visits @ rows = begin.

    Without pivots, which the matrix does not need: its diagonal dominates, since discounts are below 1.

    Args:
      rows: f32[blocks, width, 3 * width, levels]; columns are those of the block before, the own, and the one after.
    """
    before, own, after = jnp.split(rows, 3, axis=2)
    nothing = jnp.zeros_like(own[0]), jnp.zeros_like(begin[0])

    def down(carry, given):
        inverse, to, value, visit = carry
        before, own, after, reward, begin = given
        factor = _product(before, inverse)
        inverse = _inverse(own - _product(factor, to))
        value, visit = reward - _times(factor, value), _times(_turned(inverse), begin - _times(_turned(to), visit))
        return (inverse, after, value, visit), (factor, inverse, value, visit)

    def up(carry, given):
        factor, value, visit = carry
        below, inverse, reduced, after, seen = given
        value, visit = _times(inverse, reduced - _times(after, value)), seen - _times(_turned(factor), visit)
        return (below, value, visit), (value, visit)

    matrix, vector = nothing
    _, (factor, inverse, value, visit) = jax.lax.scan(
        down, (matrix, matrix, vector, vector), (before, own, after, reward, begin)
    )
    return jax.lax.scan(up, (matrix, vector, vector), (factor, inverse, value, after, visit), reverse=True)[1]


def _turned(matrix: jax.Array) -> jax.Array:
    return jnp.swapaxes(matrix, 0, 1)


def _times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    # Sums are written out: that is several times as quick on a CPU as to reduce along an axis that is not the last.
    return sum((matrix[:, i] * vector[i][None] for i in range(1, len(vector))), matrix[:, 0] * vector[0][None])


def _product(one: jax.Array, other: jax.Array) -> jax.Array:
    return sum((one[:, i, None] * other[None, i] for i in range(1, len(other))), one[:, 0, None] * other[None, 0])


def _inverse(matrix: jax.Array) -> jax.Array:
    """Of f32[width, width, levels], by Gauss and Jordan."""

    def eliminate(k, matrix):
        here = (jnp.arange(len(matrix)) == k)[:, None, None]
        across = jnp.swapaxes(here, 0, 1)
        row = jax.lax.dynamic_index_in_dim(matrix, k, 0)
        column = jax.lax.dynamic_index_in_dim(matrix, k, 1)
        pivot = 1 / jax.lax.dynamic_index_in_dim(row, k, 1)
        row, column = jnp.where(across, pivot, row * pivot), jnp.where(here, -1.0, column)
        return jnp.where(here | across, 0.0, matrix) - column * row

    return jax.lax.fori_loop(0, len(matrix), eliminate, matrix)
