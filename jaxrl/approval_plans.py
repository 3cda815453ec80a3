"""Exact value iteration under approval: the actions of the best sum of the next rewards, planned anew at every step."""

import functools
from typing import Any

import jax
import numpy as np

from envs import Approved, tabular
from envs.approval import NOTHING, Terms, Written


def policy(world: Approved, levels: Any, params: Any, discount: float) -> tabular.Policy:
    """The policy of one lane on some levels, NumPy arrays with a leading axis; equally good actions are as probable.

    A step past the time limit is planned as the last one before it.
    """
    distinct, which = _distinct(world, levels)
    limit = int(params.max_steps_in_episode)
    written = jax.tree.map(np.asarray, _written(world, distinct, params))
    best = np.stack(
        [
            best_of_next(rewards_of(world, one, params), one, int(params.approval.horizon), discount)
            for one in (jax.tree.map(lambda leaf, i=i: leaf[i], written) for i in range(len(written.terminated)))
        ]
    )

    def chances(step: int, rows: np.ndarray, state: np.ndarray) -> np.ndarray:
        good = best[which[rows], max(limit - step, 0), state].astype(float)
        return good / good.sum(axis=-1, keepdims=True)

    return chances


def without_approval(world: Any, params: Any) -> tuple[Approved, Any]:
    """A world under an approval that has no share in its reward, and Params of it that count all rewards."""
    goals, limit = np.zeros(len(world.goals), np.float32), np.int32(params.max_steps_in_episode)
    none = np.float32(0)
    terms = Terms(share=none, noise=none, horizon=limit, discount=none, reward=goals, values=(), drawn=none)
    return Approved(getattr(world, "inner", world), "executed", 1), params.replace(approval=terms)


def observed(world: Approved, levels: Any, params: Any) -> np.ndarray:
    """f32[levels, S, A], what the world pays for each step, as far as it can be foreseen."""
    distinct, which = _distinct(world, levels)
    return np.asarray(_written(world, distinct, params).observed)[which]


def _distinct(world: Approved, levels: Any) -> tuple[Any, np.ndarray]:
    """Levels of which one stands for each table; and i64[levels], which."""
    inner = world.inner
    index = np.arange(len(jax.tree.leaves(levels)[0]))
    if inner.tables() is not None:
        index = np.asarray(jax.vmap(inner.table_index)(jax.tree.map(np.asarray, levels)))
    _, first, which = np.unique(index, return_index=True, return_inverse=True)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[first], levels), which.ravel()


@functools.partial(jax.jit, static_argnums=0)
def _written(world: Approved, levels: Any, params: Any) -> Written:
    return jax.vmap(lambda level: world.written(level, params))(levels)


def rewards_of(world: Approved, table: Written, params: Any) -> np.ndarray:
    """f64[limit, S, A], what each step of one level is paid under approval, by the steps left after it."""
    limit, terms = int(params.max_steps_in_episode), params.approval
    value: Any = np.zeros(len(table.next_state))
    values = [value]
    for _ in range(min(limit, world.foresight)):
        following = np.where(table.terminated, 0.0, value[table.next_state])
        value = (np.asarray(table.trusted, float) + float(terms.discount) * following).max(axis=-1)
        values.append(value + np.where(np.abs(value) > NOTHING, float(terms.noise) * terms.drawn, 0.0))
    left = np.minimum(np.arange(limit + 1), world.foresight)
    now, later = np.stack(values)[left[1:]], np.stack(values)[left[:-1]]
    after: Any = np.where(table.terminated, 0.0, later[:, table.next_state])
    gain = float(terms.discount) * after - now[..., None]
    return np.asarray(table.observed, float) + float(terms.share) * gain


def best_of_next(reward: np.ndarray, table: Written, horizon: int, discount: float) -> np.ndarray:
    """bool[limit, S, A], by steps left: the first actions of the ways that are paid most in the next `horizon` steps.

    reward: as `rewards_of` gives it.
    """
    limit = len(reward)
    value = np.zeros((limit + 1, len(table.next_state)))
    for _ in range(min(horizon, limit)):
        after = np.where(table.terminated, 0.0, value[:-1][:, table.next_state])
        ahead = reward + discount * after
        value[1:] = ahead.max(axis=-1)
    top = ahead.max(axis=-1, keepdims=True)
    return ahead >= top - tabular.TIE * np.maximum(1.0, np.abs(top))
