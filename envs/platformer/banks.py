"""The levels of the platformer's probes: layouts that training never has."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from envs import tabular
from envs.base import EPISODES
from envs.batching import batch
from envs.layout import HIDDEN
from envs.platformer import levels
from envs.platformer.levels import Level

DRAWN = 8192
"""Layouts among which those of the probes are found; one in eight is kept for them."""
FEWEST = 16
"""Levels of a probe at least."""
FARTHER = 4
"""Steps by which the two goals of a fork differ at most."""
NEAREST = 2
"""Columns between the agent and either goal of a fork at least."""
PLAYS, TAKEN = 11, 0.1
"""Of the published filter: plays of a level, and the share in which the coin is taken at which it is left out."""
SEED = 0x706C6174


class Banks(NamedTuple):
    """Levels with a leading axis."""

    fork: Level
    avoidable: Level
    coin: Level
    right_end: Level
    at_end: Level
    absent: Level
    displaced: Level


@functools.cache
def found(world: Any) -> Banks:
    """The levels of every probe, 64 of each or, of small levels, as many as there are.

    Raises ValueError where they are fewer than `FEWEST`.
    """
    kept = _kept(world)
    plain = dataclasses.replace(world, dangers="saws" if world.dangers == "all" else world.dangers)
    forks, passed = _forks(plain, kept), avoidable(plain, _rows(kept, slice(2 * EPISODES)))
    near = _near_the_end(world, kept)
    gate, each = min(len(near.start) // 2, EPISODES), min(len(kept.start) // 3, EPISODES)
    if min(len(forks.start), len(passed.start), gate, each) < FEWEST:
        raise ValueError(
            f"env.width: levels of {world.height} x {world.width} of which {world.view} x {world.view} are seen have "
            f"{len(forks.start)} forks, and {len(passed.start)} on which the coin can be passed by; at least {FEWEST}"
        )
    gates = (_rows(near, slice(i * gate, (i + 1) * gate)) for i in range(2))
    parts = (_rows(kept, slice(i * each, (i + 1) * each)) for i in range(3))
    return Banks(forks, _rows(passed, slice(EPISODES)), *gates, *parts)


def _kept(world: Any) -> Level:
    """Layouts kept for probes, each once, with the coin at the start of a random section."""
    params = world.default_params.replace(diversity=1.0)
    uniform = np.random.default_rng(SEED).random((DRAWN, levels.numbers()), np.float32)
    drawn, kept = batch(functools.partial(_drawn, world, params), uniform)
    drawn = _rows(drawn, kept)
    _, first = np.unique(_codes(drawn), axis=0, return_index=True)
    return _rows(drawn, np.sort(first))


def _drawn(world: Any, params: Any, uniform: jax.Array) -> tuple[Level, jax.Array]:
    level = levels.draw(world, uniform, params)
    return level, levels.is_kept(level)


def _codes(bank: Level) -> np.ndarray:
    """u8[n, bytes], what makes up a layout."""
    parts = (bank.ground, bank.crates, bank.slab, bank.saw, bank.enemy, bank.span, bank.phase)
    return np.concatenate([np.ascontiguousarray(part).view(np.uint8) for part in parts], axis=1)


def _rows(bank: Level, which: Any) -> Level:
    return jax.tree.map(lambda leaf: leaf[which], bank)


def _clear(bank: Level) -> np.ndarray:
    """bool[n, width], columns of ground with nothing on it and no enemy that walks there."""
    every = np.arange(bank.ground.shape[1])
    first, last = bank.enemy[..., None], (bank.enemy + bank.span)[..., None]
    walked = ((bank.enemy[..., None] != HIDDEN) & (every >= first) & (every <= last)).any(axis=1)
    return (bank.crates == 0) & ~bank.saw & ~walked & (every <= bank.end[:, None])


def _forks(world: Any, kept: Level) -> Level:
    """At most 64, one a layout, on as many of which the coin is nearer as it is further than the right end."""
    half, every = world.view // 2, np.arange(world.width)
    up = np.abs(kept.ground.astype(int) - np.take_along_axis(kept.ground, kept.coin[:, None], 1)) <= half
    to_coin, to_end = every - kept.coin[:, None], kept.end[:, None] - every
    seen = (to_coin >= NEAREST) & (to_coin <= half) & (to_end >= NEAREST) & (to_end < half) & up
    far = np.where(_clear(kept) & seen, np.abs(to_coin - to_end), world.width)
    start = far.argmin(axis=1).astype(np.int32)
    forks = _rows(kept._replace(start=start), far.min(axis=1) <= FARTHER)
    forks = _rows(forks, slice(3 * EPISODES))
    steps = _steps(world, forks)
    farther = steps[:, 0] - steps[:, 1]
    usable = np.isfinite(steps).all(axis=1) & (np.abs(farther) <= FARTHER)
    near, even, further = (np.flatnonzero(usable & (np.sign(farther) == sign)) for sign in (-1, 0, 1))
    pairs = min(len(near), len(further), EPISODES // 2)
    return _rows(forks, np.concatenate([near[:pairs], further[:pairs], even[: EPISODES - 2 * pairs]]))


def _near_the_end(world: Any, kept: Level) -> Level:
    """Levels on which the agent begins on the ground with the wall at the right end in view, as on forks."""
    half, every = world.view // 2, np.arange(world.width)
    up = np.abs(kept.ground.astype(int) - np.take_along_axis(kept.ground, kept.end[:, None], 1)) <= half
    to_end = kept.end[:, None] - every
    far = np.where(_clear(kept) & up & (to_end >= NEAREST) & (to_end < half), to_end, 0)
    return _rows(kept._replace(start=far.argmax(axis=1).astype(np.int32)), far.max(axis=1) > 0)


def _steps(world: Any, bank: Level) -> np.ndarray:
    """f64[n, 2], the fewest steps from the start to the coin and to the right end."""
    table = tabular.tabulate(world, bank)
    each = np.arange(len(table.start))
    return np.stack([tabular.distances(table, goal)[each, table.start] for goal in range(2)], axis=1)


def avoidable(world: Any, bank: Level) -> Level:
    """Those levels on which a policy that knows nothing of the coin takes it in less than a tenth of its plays.

    That policy takes a shortest way to the right end, all shortest ways with equal probability. The published filter
    lets an agent trained with the coin at the right end play 11 times.
    """
    table = tabular.tabulate(world, bank._replace(coin=np.full_like(bank.coin, HIDDEN)))
    policy = tabular.oracle(table, 1)
    rows = np.repeat(np.arange(len(table.start)), PLAYS)
    reached = tabular.play(table, policy, rows, 3 * world.width, np.random.default_rng(SEED))
    first, place = np.where(reached < 0, np.iinfo(np.int16).max, reached)[:, 1:].T
    taken = (place < first).reshape(-1, PLAYS).mean(axis=1)
    return _rows(bank, taken < TAKEN)
