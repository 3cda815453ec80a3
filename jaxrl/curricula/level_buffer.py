"""A buffer of levels and their scores, from which those that score high or have waited long are drawn."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


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


def by_score(buffer: Buffer, temperature: jax.Array) -> jax.Array:
    """f32[size], probabilities in proportion to the rank of a score to the power -1 / temperature.

    The highest score has rank 1, and of equal ones the earlier place has the lower rank. Jiang et al. 2021a.
    """
    order = jnp.argsort(-buffer.score)
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(1, len(order) + 1))
    return jax.nn.softmax(jnp.where(buffer.full, -jnp.log(rank.astype(jnp.float32)) / temperature, -jnp.inf))


def draw(
    key: jax.Array, buffer: Buffer, now: jax.Array, temperature: jax.Array, staleness_coef: jax.Array, count: int
) -> jax.Array:
    """i32[count], the places of the levels that a batch replays, one drawn after the other, with replacement.

    Each draw goes by the score, `by_score`, but for a share `staleness_coef`, which goes in proportion to the time
    since a level was last played (uniform where that is 0 for all). A level that has been drawn counts as just played
    for the draws after it. There must be a level.
    """
    scored = by_score(buffer, temperature)

    def one(waited, uniform):
        weights = jnp.where(jnp.sum(waited) > 0, waited, buffer.full.astype(jnp.float32))
        chances = (1 - staleness_coef) * scored + staleness_coef * weights / jnp.sum(weights)
        below = jnp.cumsum(chances)
        place = jnp.sum(below <= uniform * below[-1], dtype=jnp.int32)
        return waited.at[place].set(0.0), place

    waited = jnp.where(buffer.full, now - buffer.played, 0).astype(jnp.float32)
    return jax.lax.scan(one, waited, jax.random.uniform(key, (count,)))[1]


def equal_places(place: jax.Array, size: int) -> jax.Array:
    """bool[n, n], which of n levels are the same one of the buffer; each is itself.

    Args:
      place: i32[n], from `find`.
    """
    return ((place[:, None] == place[None, :]) & (place < size)[None, :]) | jnp.eye(len(place), dtype=bool)


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

    One that is there gets its new score: the same for all of a batch that are equal. Of the others, which were not
    there, the one with the highest score takes an empty place, or that of the level with the lowest score if it is
    below; then the next. Of equal levels among those that have been played the first counts.

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
