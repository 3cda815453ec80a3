"""Summaries of what a policy is made of, in which the order of its hidden units does not show.

A classifier that is fed with them compares policies whose units have nothing in common. Weights are summarised as
Unterthiner et al. 2020 (arXiv 2002.11448) do it to tell how well networks do; beside that stands how much a policy's
first layer makes of each named input, and what its layers give where the episodes of the choice probe begin.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from envs import World
from jaxrl.internals.attribution import named_inputs
from jaxrl.internals.choice import Choice
from jaxrl.internals.lanes import Lanes, in_chunks, untrained
from jaxrl.internals.layers import layers_of, through
from jaxrl.learner import Learner
from jaxrl.networks import FirstLayer
from jaxrl.on_policy import OnPolicy

QUARTILES = {"min": 0.0, "quarter": 0.25, "median": 0.5, "three-quarters": 0.75, "max": 1.0}
Found = dict[tuple[str, str], np.ndarray]
"""f64[lanes] by what was summarised, `weights`, `inputs` or `activations`, and the name of the summary."""


class Summaries:
    """Of every array of weights, of the first layer's rows for each named input, and of every layer's activations.

    Activations are those where the episodes of the choice probe begin, with all that there is to see; also how much
    they change when a goal's object is hidden.
    """

    by_layer = False

    def __init__(self, world: World, learner: Learner, layers: Sequence[str], chunk: int):
        self.world, self.learner, self.chunk = world, learner, chunk
        self.choice = Choice(world)
        self.goals = [goal for goal in self.choice.probe.goals if goal in world.layout.goals]
        self.layers: tuple[str, ...] = ()
        self.shown = jax.jit(jax.vmap(self._shown))

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, rows]: a row a network × summary."""
        networks = {"trained": lanes.policy}
        if isinstance(self.learner, OnPolicy):
            networks["untrained"] = untrained(self.world, self.learner, self.chunk, lanes.key)
        found = {
            (network, *name): values
            for network, policy in networks.items()
            for name, values in self._of(policy, lanes.params).items()
        }
        columns = {"value": np.stack(list(found.values()), axis=1)}
        for column, each in zip(("network", "of", "summary"), zip(*found, strict=True), strict=True):
            columns[column] = np.tile(np.array(each, str), (len(lanes.key), 1))
        return columns

    def _of(self, policy: Any, params: Any) -> Found:
        one = jax.tree.map(lambda leaf: leaf[0], policy)
        self.layers = layers_of(self.world, self.learner, one)
        shown = in_chunks(self.shown, self.chunk, policy, params)
        return weights(policy) | self._inputs(policy, one) | self._activations(shown)

    def _inputs(self, policy: Any, one: Any) -> Found:
        """The norm of the weights on each named input, of indices and plain numbers, over that of all of them."""
        firsts: list[str] = []

        def note(call: Any, arguments: Any, options: Any, about: Any) -> Any:
            if isinstance(about.module, FirstLayer) and about.method_name == "__call__":
                firsts.append("/".join(about.module.path))
            return call(*arguments, **options)

        seen, context = self.world.layout.blank(1), self.learner.context(self.world, 1)
        with nn.intercept_methods(note):
            jax.eval_shape(lambda policy: through(self.world, self.learner, policy, seen, context)[0], one)
        names, group = named_inputs(self.world)
        group = group[: sum(self.world.layout.cardinalities) + self.world.layout.vector_size]
        arrays, found = by_name(policy), {}
        for first in dict.fromkeys(firsts):
            squares = (arrays[f"{first}/kernel"][:, : len(group)].astype(np.float64) ** 2).sum(axis=2)
            for place in np.unique(group):
                share = squares[:, group == place].sum(axis=1) / np.maximum(squares.sum(axis=1), 1e-30)
                found["inputs", f"{first}:{names[place]}"] = np.sqrt(share)
        return found

    def _shown(self, policy: Any, params: Any) -> dict[str, dict[str, jax.Array]]:
        """By what is hidden and layer, f32[episodes, width]; by "" with all that there is to see."""
        seen = self.choice.starts(params)
        views = {"": seen} | {goal: self.world.hide(seen, goal) for goal in self.goals}
        context = self.learner.context(self.world, self.choice.probe.episodes)
        given = {name: through(self.world, self.learner, policy, one, context)[2] for name, one in views.items()}
        flat = (self.choice.probe.episodes, -1)
        return {name: {layer: one[layer].reshape(flat) for layer in self.layers} for name, one in given.items()}

    def _activations(self, shown: dict[str, dict[str, np.ndarray]]) -> Found:
        found: Found = {}
        for layer in self.layers:
            seen = shown[""][layer].astype(np.float64)
            each = statistics(seen.reshape(len(seen), -1)) | {"dimension": dimension(seen)}
            size = np.maximum((seen**2).sum(axis=(1, 2)), 1e-30)
            for goal in self.goals:
                each[f"without:{goal}"] = np.sqrt(((seen - shown[goal][layer]) ** 2).sum(axis=(1, 2)) / size)
            found |= {("activations", f"{layer}:{name}"): values for name, values in each.items()}
        return found


def weights(policy: Any) -> Found:
    """Statistics of the entries of every array of weights, and of those of two axes or more the spectral norm."""
    found: Found = {}
    for name, leaf in by_name(policy).items():
        flat = leaf.reshape(len(leaf), -1).astype(np.float64)
        each = statistics(flat)
        if leaf.ndim > 2:
            # Where training diverged there is no singular value, and numpy raises.
            finite = np.where(np.isfinite(flat).all(axis=1, keepdims=True), flat, 0.0)
            each["spectral"] = np.linalg.norm(finite.reshape(len(leaf), -1, leaf.shape[-1]), 2, axis=(1, 2))
        found |= {("weights", f"{name}:{one}"): values for one, values in each.items()}
    return found


def by_name(policy: Any) -> dict[str, np.ndarray]:
    """The arrays of policies, [lanes, ...], by their place in the network."""
    leaves = jax.tree_util.tree_flatten_with_path(policy)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/").removeprefix("params/"): np.asarray(leaf)
        for path, leaf in leaves
    }


def statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """f64[lanes] each, of values f64[lanes, n]."""
    quartiles = np.quantile(values, list(QUARTILES.values()), axis=1)
    return {"mean": values.mean(axis=1), "std": values.std(axis=1)} | dict(zip(QUARTILES, quartiles, strict=True))


def dimension(activation: np.ndarray) -> np.ndarray:
    """f64[lanes], in how many directions activations f64[lanes, episodes, width] vary: the participation ratio of
    their variances, from 1 where they lie on a line up to the width; 0 where they do not vary."""
    centred = activation - activation.mean(axis=1, keepdims=True)
    wide = centred.shape[2] > centred.shape[1]
    products = np.einsum("lew,lfw->lef" if wide else "lew,lev->lwv", centred, centred, optimize=True)
    squares = (products**2).sum(axis=(1, 2))
    return np.trace(products, axis1=1, axis2=2) ** 2 / np.maximum(squares, 1e-30)
