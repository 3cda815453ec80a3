"""Difference vectors: how far the choice of a goal can be steered by what a layer gives more when its object is seen.

A goal's vector is the mean activation of a layer where episodes of the choice probe begin, with the goal's object seen,
minus the same with it hidden. It is added to the layer, or subtracted, at every step of episodes on other layouts.
The method is that of the cheese vectors of Mini et al. 2023 (arXiv 2310.08043).
"""

import itertools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import World
from jaxrl import probing
from jaxrl.internals.choice import Choice
from jaxrl.internals.lanes import Lanes, in_chunks
from jaxrl.internals.layers import through
from jaxrl.learner import Learner

INSIDE = 0x696E7364
"""Sets the randomness of these episodes apart from that of training and of the probes."""
VECTORS = ("own", "random", "other")
SIGNS = (-1, 1)
HALVES = 2


class Measured(NamedTuple):
    """Of one policy and one goal, by layer; the vector of each half of the layouts."""

    vector: dict[str, jax.Array]
    """f32[halves, width...]."""
    activation: dict[str, jax.Array]
    """f32[], the mean norm of the activation with all that there is to see."""


class Difference:
    """Difference vectors of the goals of a choice, in some layers of policies.

    Every policy is steered in the same episodes, with the same random numbers: by its own vector, by a random one of
    the same norm, and by that of the next seed of its condition, brought to the same norm.
    Layouts are in two halves, and each half is steered by the vector of the other, but where there is only one layout.
    """

    by_layer = True

    def __init__(self, world: World, learner: Learner, layers: Sequence[str], chunk: int):
        self.world, self.learner, self.layers, self.chunk = world, learner, tuple(layers), chunk
        self.choice = Choice(world)
        half = self.choice.layout % HALVES
        self.episode = np.where(half == 0, HALVES - 1, 0) if half.any() else half
        """i64[episodes], the half whose vector steers each."""
        among = np.stack([half == one if half.any() else half == 0 for one in range(HALVES)])
        self.among = among / among.sum(axis=1, keepdims=True)
        """f64[halves, episodes], what each start counts for the vector of a half."""
        self.measured = {goal: jax.jit(jax.vmap(self._measurer(goal))) for goal in self.choice.goals}
        self.steered = {goal: jax.jit(jax.vmap(self._steerer(goal))) for goal in self.choice.goals}

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, rows]: a row a layer × goal × vector × sign."""
        parts = [self._of_goal(lanes, goal) for goal in self.choice.goals]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def _of_goal(self, lanes: Lanes, goal: str) -> dict[str, np.ndarray]:
        n = len(lanes.key)
        found: Measured = in_chunks(self.measured[goal], self.chunk, lanes.policy, lanes.params)
        following = next_seed(lanes.condition)
        other = {name: vector[following] for name, vector in found.vector.items()}
        given = lanes.key, lanes.policy, lanes.params, found.vector, other
        share, undecided = self.choice.shares(in_chunks(self.steered[goal], self.chunk, *given), goal)
        rows = list(itertools.product(self.layers, VECTORS, SIGNS))
        columns: dict[str, Any] = {"goal": np.full((n, len(rows)), goal)}
        for name, each in zip(("layer", "vector", "sign"), zip(*rows, strict=True), strict=True):
            columns[name] = np.tile(np.array(each, np.int8 if name == "sign" else str), (n, 1))
        none = following == np.arange(n)
        directed = {layer: _directed(vector) for layer, vector in other.items()}
        alone = np.stack([(none | ~directed[layer]) & (vector == "other") for layer, vector, _ in rows], axis=1)
        for place, prefix in enumerate(("", "blind.")):
            for name, values in (("share", share), ("undecided", undecided)):
                columns[prefix + name] = np.where(alone, np.nan, values[:, place, 1:])
                columns[f"unsteered.{prefix}{name}"] = np.repeat(values[:, place, :1], len(rows), axis=1)
        norm = {layer: _norms(found.vector[layer], 2).mean(axis=1) for layer in self.layers}
        for name, of_layer in (("norm", norm), ("activation", found.activation)):
            columns[name] = np.stack([of_layer[layer] for layer, *_ in rows], axis=1)
        return columns

    def _measurer(self, goal: str) -> Any:
        among = jnp.asarray(self.among, jnp.float32)

        def measure(policy: Any, params: Any) -> Measured:
            seen = self.choice.starts(params)
            context = self.learner.context(self.world, len(self.among[0]))
            with_it, without = (
                through(self.world, self.learner, policy, one, context)[2]
                for one in (seen, self.world.hide(seen, goal))
            )
            vector = {name: jnp.tensordot(among, with_it[name] - without[name], axes=1) for name in self.layers}
            return Measured(vector, {name: jnp.mean(_norms(with_it[name])) for name in self.layers})

        return measure

    def _steerer(self, goal: str) -> Any:
        runs = self.choice.run(), self.choice.run(goal)
        context = self.learner.context(self.world, len(self.episode))

        def steer(key: Any, policy: Any, params: Any, own: Mapping[str, Any], other: Mapping[str, Any]) -> jax.Array:
            lane = jax.random.fold_in(jax.random.wrap_key_data(key), INSIDE)
            bits = jax.random.bits(lane, (probing.bits_needed(self.world, runs[0]),), jnp.uint32)
            added = self._interventions(jax.random.fold_in(lane, zlib.crc32(goal.encode())), own, other)

            def play(run: probing.Run, added: dict[str, jax.Array]) -> jax.Array:
                def act(observation: Any, context: Any) -> Any:
                    return through(self.world, self.learner, policy, observation, context, added)[:2]

                return probing.probe(self.world, act, run, bits, params, context).reached

            return jnp.stack([jax.vmap(lambda added, run=run: play(run, added))(added) for run in runs])

        return steer

    def _interventions(self, key: Any, own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, jax.Array]:
        """By layer, f32[1 + rows, episodes, width...]: what is added to it, first nothing, then a row at a time."""
        found = {}
        for place, layer in enumerate(self.layers):
            vector, norm = own[layer], _norms(own[layer])
            random = jax.random.normal(jax.random.fold_in(key, zlib.crc32(layer.encode())), vector.shape)
            three = vector, _scaled(random, norm), _scaled(other[layer], norm)
            signed = jnp.stack([float(sign) * one for one in three for sign in SIGNS])[:, self.episode]
            before, after = 1 + place * len(signed), (len(self.layers) - 1 - place) * len(signed)
            found[layer] = jnp.pad(signed, [(before, after), *[(0, 0)] * (signed.ndim - 1)])
        return found


def next_seed(condition: np.ndarray) -> np.ndarray:
    """i64[lanes], the next lane of the same condition, after the last one the first: itself, where it is alone."""
    following = np.arange(len(condition))
    for one in np.unique(condition):
        (same,) = np.nonzero(condition == one)
        following[same] = np.roll(same, -1)
    return following


def _directed(vectors: Any) -> np.ndarray:
    """bool[lanes], whether vectors f32[lanes, halves, width...] have a direction in each half: numbers, not all 0."""
    norms = np.asarray(_norms(vectors, 2))
    return ((norms > 0) & np.isfinite(norms)).all(axis=1)


def _norms(vectors: Any, axes: int = 1) -> Any:
    """f32[...] of vectors f32[..., width...], with so many axes before those of a vector."""
    flat = vectors.reshape(*vectors.shape[:axes], -1)
    return (flat**2).sum(axis=-1) ** 0.5


def _scaled(vectors: jax.Array, norm: jax.Array) -> jax.Array:
    """Vectors f32[n, width...] brought to norms f32[n]."""
    given = _norms(vectors)
    factor = jnp.where(given > 0, norm / jnp.where(given > 0, given, 1.0), 0.0)
    return vectors * jnp.expand_dims(factor, range(1, vectors.ndim))
