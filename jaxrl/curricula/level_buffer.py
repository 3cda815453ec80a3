"""A buffer of levels and their scores, from which those that score high or have waited long are drawn."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

IMPOSSIBLE = -1e38
"""The logarithm of a probability of 0, for a level: even that goes before an empty place."""


class Buffer(NamedTuple):
    """No two levels of it are equal; every leaf has a leading axis [size]."""

    levels: Any
    code: jax.Array
    """u32[size], of each level, `codes`."""
    score: jax.Array
    """f32[size], when the level was last played; -inf where there is none."""
    best: jax.Array
    """f32[size], the highest return that was ever reached on the level."""
    played: jax.Array
    """i32[size], the time at which the level was last played."""

    @property
    def full(self) -> jax.Array:
        """bool[size], where there is a level."""
        return self.score > -jnp.inf


def empty(level: Any, size: int) -> Buffer:
    """Args: level: the shape and dtype of one, as of `jax.eval_shape`."""
    levels = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), level)
    nothing = jnp.full(size, -jnp.inf)
    return Buffer(levels, jnp.zeros(size, jnp.uint32), nothing, nothing, jnp.zeros(size, jnp.int32))


def log_probabilities(buffer: Buffer, now: jax.Array, temperature: jax.Array, staleness_coef: jax.Array) -> jax.Array:
    """f32[size], the logarithm of how probable it is that each level is the next to be replayed.

    In proportion to the rank of its score to the power -1 / temperature, the highest being first and the earlier place
    before the later among equals, mixed with a share `staleness_coef` in proportion to the time since it was played
    (uniform where that is 0 for all). Jiang et al. 2021a.
    """
    full = buffer.full
    order = jnp.argsort(-buffer.score)
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(1, len(order) + 1))
    by_score = jax.nn.log_softmax(jnp.where(full, -jnp.log(rank.astype(jnp.float32)) / temperature, -jnp.inf))
    waited = jnp.where(full, now - buffer.played, 0).astype(jnp.float32)
    waited = jnp.where(jnp.sum(waited) > 0, waited, full.astype(jnp.float32))
    by_staleness = jnp.log(waited) - jnp.log(jnp.sum(waited))
    mixed = jnp.logaddexp(jnp.log1p(-staleness_coef) + by_score, jnp.log(staleness_coef) + by_staleness)
    return jnp.where(full, jnp.maximum(mixed, IMPOSSIBLE), -jnp.inf)


def draw(key: jax.Array, log_probabilities: jax.Array, count: int) -> jax.Array:
    """i32[count], distinct places, one after the other with these probabilities among those that are left.

    There must be so many levels. By perturbing with Gumbel noise: Kool et al. 2019.
    """
    return jax.lax.top_k(log_probabilities + jax.random.gumbel(key, log_probabilities.shape), count)[1]


def codes(levels: Any) -> jax.Array:
    """u32[n], equal for equal levels, and for others hardly ever; leaves [n, ...]."""
    parts = []
    for leaf in jax.tree.leaves(levels):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            leaf = jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32)
        parts.append(leaf.reshape(len(leaf), -1).astype(jnp.uint32))
    flat = jnp.concatenate(parts, axis=1)
    factors = np.random.default_rng(0).integers(0, 2**32, (2, 1, flat.shape[1]), dtype=np.uint32) | np.uint32(1)
    mixed = (flat ^ factors[0]) * factors[1]
    return jnp.sum(mixed ^ (mixed >> 15), axis=1, dtype=jnp.uint32)


def find(buffer: Buffer, levels: Any) -> jax.Array:
    """i32[n], where each of some levels is in the buffer; its size for those that are not there."""
    same = (codes(levels)[:, None] == buffer.code[None, :]) & buffer.full[None, :]
    place = jnp.argmax(same, axis=1)
    there = jnp.any(same, axis=1) & _equal(jax.tree.map(lambda leaf: leaf[place], buffer.levels), levels)
    return jnp.where(there, place, len(buffer.score))


def put(buffer: Buffer, place: jax.Array, levels: Any, score: jax.Array, best: jax.Array, now: jax.Array) -> Buffer:
    """The buffer after some levels have been played.

    One that is there gets its new score. Of the others, which were not there, the one with the highest score takes an
    empty place, or that of the level with the lowest score if it is below; then the next. Of equal levels among those
    that have been played the first counts.

    Args:
      place: i32[n], from `find`.
      score, best: f32[n].
      now: i32[], the time.
    """
    size, count = len(buffer.score), len(score)
    code = codes(levels)
    first = jnp.argmax(code[:, None] == code[None, :], axis=1)
    again = (first < jnp.arange(count)) & _equal(jax.tree.map(lambda leaf: leaf[first], levels), levels)
    old = jnp.where(again, size, place)
    buffer = buffer._replace(
        score=buffer.score.at[old].set(score, mode="drop"),
        best=buffer.best.at[old].set(best, mode="drop"),
        played=buffer.played.at[old].set(now, mode="drop"),
    )
    contending, strongest = jax.lax.top_k(jnp.where(again | (place < size), -jnp.inf, score), count)
    holding, weakest = jax.lax.top_k(-buffer.score, count)
    to = jnp.where(contending > -holding, weakest, size)

    def written(leaf, new):
        return leaf.at[to].set(new[strongest], mode="drop")

    return Buffer(
        jax.tree.map(written, buffer.levels, levels),
        written(buffer.code, code),
        written(buffer.score, score),
        written(buffer.best, best),
        buffer.played.at[to].set(now, mode="drop"),
    )


def _equal(some: Any, others: Any) -> jax.Array:
    """bool[n], which of n pairs of levels are equal."""
    each = [
        jnp.all((one == other).reshape(len(one), -1), axis=1)
        for one, other in zip(jax.tree.leaves(some), jax.tree.leaves(others), strict=True)
    ]
    return jnp.all(jnp.stack(each), axis=0)
