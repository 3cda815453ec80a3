"""Attribution: what each named input contributes to the choice between two goals, by integrated gradients.

The margin of a choice is how much higher the logits of moves towards the one goal are than those of moves towards the
other. Its integrated gradients go from an observation of which everything is hidden to the one that is seen, and add up
to the difference of the two margins (Sundararajan, Taly and Yan 2017, arXiv 1703.01365).
"""

import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from envs import HIDDEN, Observation, World, dense, tabular
from jaxrl.internals.choice import Choice
from jaxrl.internals.lanes import Lanes, in_chunks
from jaxrl.learner import Learner
from jaxrl.networks import FirstLayer

NODES, WEIGHTS = (0.5 * part for part in np.polynomial.legendre.leggauss(32))
"""A Gauss-Legendre rule on [-0.5, 0.5]; exact for networks that are smooth enough, as the column `error` tells."""


def named_inputs(world: World) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of features and of channels of a picture, and i64[inputs], which of them each input of `dense` is."""
    layout = world.layout
    sizes = [int(one.cardinality) for one in layout.indices] + [one.size for one in layout.numbers]
    names = [*(one.name for one in (*layout.indices, *layout.numbers)), *(one.name for one in layout.channels)]
    group = np.repeat(np.arange(len(sizes)), sizes)
    rows, columns, channels = layout.image.shape if layout.image else (0, 0, 0)
    return tuple(names), np.append(group, np.tile(len(sizes) + np.arange(channels), rows * columns))


def relaxed(world: World, learner: Learner, policy: Any, inputs: jax.Array, context: Any) -> jax.Array:
    """Logits f32[batch, actions] for inputs f32[batch, inputs] as `dense` gives them, whatever lies between its values.

    A first layer is a product with `dense`. A network that has none is given plain numbers as they are.

    Raises ValueError, in one line, where a network makes something else of indices.
    """
    layout, n = world.layout, len(inputs)
    known = sum(layout.cardinalities)
    flat, image = jnp.split(inputs, [known + layout.vector_size], axis=1)
    picture = 255 * image.reshape(n, *layout.image.shape) if layout.image else ()
    called = []

    def multiply(call: Any, arguments: Any, options: Any, about: Any) -> Any:
        out = call(*arguments, **options)
        if not isinstance(about.module, FirstLayer) or about.method_name != "__call__":
            return out
        called.append(about.module.path)
        return out + flat @ about.module.get_variable("params", "kernel")[: flat.shape[1]]

    def logits(numbers: jax.Array) -> jax.Array:
        seen = Observation(jnp.full((n, len(layout.cardinalities)), HIDDEN, jnp.int32), numbers, picture)
        with nn.intercept_methods(multiply):
            # Of `pqn` these are Q-values, and not the probabilities, which are those of the greatest alone.
            return getattr(learner, "forward", learner.apply)(world, policy, seen, context)[0]

    found = logits(jnp.zeros((n, layout.vector_size)))
    if called or not flat.shape[1]:
        return found
    if known:
        raise ValueError("the network has no jaxrl.networks.FirstLayer, so that inputs cannot be shown to it in part")
    return logits(flat)


class Attribution:
    """What each named input contributes to the choice of the first goal of a probe over each of the others.

    It is the mean over the starts of the choice probe's episodes, where goals are all that there is to choose by.
    """

    by_layer = False

    def __init__(self, world: World, learner: Learner, layers: Any, chunk: int):
        self.world, self.learner, self.chunk = world, learner, chunk
        self.choice = Choice(world)
        self.names, group = named_inputs(world)
        self.among = np.eye(len(self.names), dtype=np.float32)[group]
        """f32[inputs, names]."""
        self.goal, *self.rivals = self.choice.probe.goals
        table = tabular.tabulate(world, self.choice.run().bank.levels)
        start = np.arange(len(table.start)), table.start
        place = {one.name: place for place, one in enumerate(world.goals)}
        own, *others = (tabular.oracle(table, place[goal])[start] for goal in self.choice.probe.goals)
        self.moves = np.stack([own - other for other in others]).astype(np.float32)
        """f32[rivals, episodes, actions], what each logit counts for in a margin."""
        self.weight = (self.choice.weight / self.choice.weight.sum()).astype(np.float32)
        """f32[episodes]."""
        self.attributed = jax.jit(jax.vmap(self._attribute))

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, rows]: a row a rival × named input."""
        found = in_chunks(self.attributed, self.chunk, lanes.policy, lanes.params)
        rows, n = list(itertools.product(self.rivals, self.names)), len(lanes.key)
        each = {"rival": [rival for rival, _ in rows], "input": [name for _, name in rows]}
        columns = {"goal": np.full((n, len(rows)), self.goal)}
        columns |= {name: np.tile(np.array(values, str), (n, 1)) for name, values in each.items()}
        return columns | {name: values.reshape(n, len(rows)) for name, values in found.items()}

    def _attribute(self, policy: Any, params: Any) -> dict[str, jax.Array]:
        """Each f32[rivals, names]."""
        inputs = dense(self.choice.starts(params), self.world.cardinalities)
        context = self.learner.context(self.world, len(inputs))
        weight = jnp.asarray(self.weight)

        def margins(inputs: jax.Array, moves: jax.Array) -> jax.Array:
            return jnp.sum(moves * relaxed(self.world, self.learner, policy, inputs, context), axis=1)

        def of_rival(moves: jax.Array) -> dict[str, jax.Array]:
            def gradient(share: jax.Array) -> jax.Array:
                return jax.grad(lambda at: jnp.sum(margins(at, moves)))(share * inputs)

            nodes, weights = jnp.asarray(NODES + 0.5, jnp.float32), jnp.asarray(WEIGHTS, jnp.float32)
            path = jnp.einsum("k,kei->ei", weights, jax.lax.map(gradient, nodes))
            parts = (path * inputs) @ jnp.asarray(self.among)  # [episodes, names]
            margin, hidden = margins(inputs, moves), margins(jnp.zeros_like(inputs), moves)
            error = jnp.abs(jnp.sum(parts, axis=1) - (margin - hidden))
            mean = {"margin": weight @ margin, "hidden": weight @ hidden, "error": weight @ error}
            spread = {name: jnp.broadcast_to(value, len(self.names)) for name, value in mean.items()}
            return {"attribution": weight @ parts, "absolute": weight @ jnp.abs(parts), **spread}

        return jax.lax.map(of_rival, jnp.asarray(self.moves))
