"""Policies that are looked into together, and a function of one of them for all, a chunk at a time."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import World
from jaxrl import tangent


class Lanes(NamedTuple):
    """Trained policies; arrays and leaves have a leading axis [lanes]."""

    key: np.ndarray
    """u32[lanes, 2], the data of each lane's key."""
    policy: Any
    """What `Learner.apply` takes."""
    params: Any
    """The world's Params."""
    condition: np.ndarray
    """[lanes], what is equal for seeds of one condition."""
    learner: Any = ()
    """The learner's Params."""

    @property
    def finite(self) -> np.ndarray:
        """bool[lanes], whether training left numbers: nothing can be said of a policy that diverged."""
        leaves = [np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in jax.tree.leaves(self.policy)]
        return np.all(leaves, axis=0)


def in_chunks(function: Callable, chunk: int, *given: Any) -> Any:
    """What a function of arrays [chunk, ...] returns for arrays [lanes, ...], as numpy arrays.

    The last chunk is padded with copies of its first lane, so that one compile serves all.
    """
    lanes, found = len(jax.tree.leaves(given)[0]), []
    for start in range(0, lanes, chunk):
        rows, inside = np.arange(start, start + chunk), min(chunk, lanes - start)
        rows = np.where(rows < lanes, rows, start)
        out = function(*jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), given))
        found.append(jax.tree.map(lambda leaf, n=inside: np.asarray(leaf)[:n], out))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


@functools.cache
def _beginner(world: World, learner: Any) -> Callable:
    # One after the other: batched orthogonal initialisers can lock up a CPU's threads.
    begin = functools.partial(tangent.initial, world, learner)
    return jax.jit(lambda keys: jax.lax.map(lambda key: begin(jax.random.wrap_key_data(key)), keys))


def untrained(world: World, learner: Any, chunk: int, key: np.ndarray) -> Any:
    """The networks with which the training of lanes of these keys began, as policies; the learner is an `OnPolicy`."""
    return in_chunks(_beginner(world, learner), chunk, key)
