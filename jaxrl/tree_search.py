"""Tree search with the true model, by mctx: a planner of bounded effort, beside the exact one of `tabular`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs.promotion import implicit_promotion
from envs.tabular import Table

NOISE = 1e-7
"""Sweeps of `walker_value` end where no value moves by more than this share of the greatest."""


def search(
    table: Table, payment: np.ndarray, discount: float, simulations: int, leaf: np.ndarray | None = None
) -> np.ndarray:
    """f64[levels, S, A], the policy that searches a tree anew in every state, and is certain of what it found.

    Gumbel MuZero (Danihelka et al. 2022) with the table as its model, a uniform prior, and no noise at the root, so
    that nothing is left to chance. As in `tabular.optimal`, time goes on for ever unless the world ends the episode.

    Args:
      payment: f[levels, goals], what each event is worth when it fires.
      discount: in [0, 1].
      simulations: nodes that a search adds to its tree.
      leaf: f[levels, S], the value of a state when it is new to a tree, such as `walker_value`; None for 0.
    """
    if simulations < 1:
        raise ValueError(f"simulations: {simulations} is not accepted; at least 1")
    leaf = np.zeros(table.next_state.shape[:2]) if leaf is None else leaf
    reward = _reward(table, payment)
    arrays = (np.asarray(array, np.float32) for array in (reward, np.where(table.terminated, 0.0, discount), leaf))
    action = np.asarray(_search(simulations, np.asarray(table.next_state, np.int32), *arrays))
    return np.eye(table.next_state.shape[-1])[action]


def walker_value(table: Table, payment: np.ndarray, discount: float) -> np.ndarray:
    """f64[levels, S], the expected discounted payment of a random walker: what random rollouts estimate.

    discount: in [0, 1).
    """
    levels, states, _ = table.next_state.shape
    reward, goes_on = _reward(table, payment), np.where(table.terminated, 0.0, discount)
    value, moved = np.zeros((levels, states)), np.inf
    while moved > NOISE * np.abs(value).max():
        after = np.take_along_axis(value, table.next_state.reshape(levels, -1), axis=1)
        longer = (reward + goes_on * after.reshape(reward.shape)).mean(axis=-1)
        value, moved = longer, np.abs(longer - value).max()
    return value


def _reward(table: Table, payment: np.ndarray) -> np.ndarray:
    """f64[levels, S, A]."""
    return np.einsum("lsag,lg->lsa", table.events, np.asarray(payment, float))


@functools.partial(jax.jit, static_argnums=0)
def _search(
    simulations: int, next_state: jax.Array, reward: jax.Array, discount: jax.Array, leaf: jax.Array
) -> jax.Array:
    """i32[levels, S], the action found; level by level, so that memory holds the trees of one."""
    import mctx  # most who import this package plan exactly or not at all

    states, actions = next_state.shape[1:]
    prior = jnp.zeros((states, actions))

    def one(level):
        next_state, reward, discount, leaf = level

        def model(_, key: Any, action: jax.Array, state: jax.Array):
            after, here = next_state[state, action], (state, action)
            found = mctx.RecurrentFnOutput(
                reward=reward[here], discount=discount[here], prior_logits=prior, value=leaf[after]
            )
            return found, after

        root = mctx.RootFnOutput(prior_logits=prior, value=leaf, embedding=jnp.arange(states, dtype=jnp.int32))
        key = jax.random.key(0)  # chance has no part in it
        with implicit_promotion():
            return mctx.gumbel_muzero_policy(None, key, root, model, simulations, gumbel_scale=0.0).action

    return jax.lax.map(one, (next_state, reward, discount, leaf))
