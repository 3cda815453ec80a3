"""Tangent kernels of policies as initialised: how a gradient step on one choice between two things moves another.

A choice is described by its margin: how much higher the logits of moves towards the one thing are than those of moves
towards the other, as a mean over layouts in which both are equally far. The kernel between two choices is the product
of their margins' gradients by the weights; `analysis.prediction` predicts from it.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import HIDDEN, Kinds, Observation, dense, tabular
from jaxrl.networks import ActorCritic
from jaxrl.on_policy import OnPolicy

CORRELATIONS = np.linspace(-1, 1, 257)
"""At which kernels of infinite width are computed, to be interpolated between."""
POINTS = 24
"""Of a Gauss-Hermite rule, in each of two dimensions."""
BLOCK = 16
"""Rows whose kernels with all others are computed at once."""


class Choices(NamedTuple):
    """Choices between two kinds of things, all pairs in the world's order, and then each kind alone.

    Leaves have leading axes [rows, layouts].
    """

    observation: Observation
    moves: Any
    """f32[rows, layouts, actions], what each logit counts for in the margin: those of actions that begin a shortest way
    to the first thing sum to 1, those of the second to -1. Of a thing alone, all that leads elsewhere counts as the
    second."""


def choices(world: Kinds, scale_colour: float = 1.0, scale_shape: float = 1.0) -> Choices:
    """The choices that are compared in a world, as it shows them where inputs have these scales."""
    compared, kinds = world.comparisons(), world.colours * world.shapes
    first = jax.tree.map(lambda leaf: leaf[: compared.episodes], compared.levels)
    table = tabular.tabulate(world, first)
    begin = np.arange(compared.episodes), table.start
    one, other = (tabular.oracle(table, goal)[begin] for goal in (0, 1))
    elsewhere = (one == 0) / np.maximum((one == 0).sum(axis=1, keepdims=True), 1)
    pairs, alone = len(compared.kind), np.stack([first.cells[:, 0], np.full(compared.episodes, HIDDEN)], axis=1)
    single = type(first)(
        np.tile(first.start, kinds),
        np.tile(alone, (kinds, 1)).astype(np.int32),
        np.repeat(np.arange(kinds, dtype=np.int32), compared.episodes)[:, None].repeat(2, axis=1),
    )
    params = world.default_params.replace(scale_colour=scale_colour, scale_shape=scale_shape)

    def see(level: Any) -> Observation:
        return world.features(world.reset_to_level(jax.random.key(0), level, params), params)

    levels = jax.tree.map(lambda *leaves: np.concatenate(leaves), compared.levels, single)
    moves = np.concatenate([np.tile(one - other, (pairs, 1)), np.tile(one - elsewhere, (kinds, 1))])
    seen = jax.jit(jax.vmap(see))(levels)
    return jax.tree.map(
        lambda leaf: np.asarray(leaf, leaf.dtype).reshape(pairs + kinds, compared.episodes, *leaf.shape[1:]),
        Choices(seen, moves.astype(np.float32)),
    )


def initial(world: Any, learner: OnPolicy, key: jax.Array) -> Any:
    """The network's variables with which the lane of this key begins."""
    seen = world.layout.blank()
    context = jax.tree.map(lambda leaf: leaf[0], learner.context(world, 1))
    return learner.make_variables(world, jax.random.split(key, 3)[0], seen, context)


def margins(world: Any, learner: OnPolicy, variables: Any, shown: Choices) -> jax.Array:
    """f32[rows], from choices of leaves [rows, layouts, ...]."""
    rows, layouts, _ = shown.moves.shape
    flat = jax.tree.map(lambda leaf: leaf.reshape(rows * layouts, *leaf.shape[2:]), shown.observation)
    logits, *_ = learner.apply(world, variables, flat, learner.context(world, rows * layouts))
    return jnp.mean(jnp.sum(shown.moves * logits.reshape(rows, layouts, -1), axis=-1), axis=1)


def empirical(
    world: Kinds, learner: OnPolicy, keys: jax.Array, scales: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The kernels of initial networks, and their margins.

    Args:
      keys: key[networks], those of lanes.
      scales: f64[sets, 2], scales of the inputs for colours and shapes; [[1, 1]] where None.
    Returns:
      f32[networks, sets, rows, sets, rows] and f32[networks, sets, rows].
    """
    every = [choices(world, *scale) for scale in _scales(scales)]
    shown = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *every)

    def one(shown: Choices, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        variables = initial(world, learner, key)

        def row(choice: Choices) -> tuple[jax.Array, jax.Array]:
            alone = jax.tree.map(lambda leaf: leaf[None], choice)
            margin, gradient = jax.value_and_grad(lambda at: margins(world, learner, at, alone)[0])(variables)
            return margin, jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(gradient)])

        margin, gradients = jax.lax.map(row, shown, batch_size=BLOCK)
        return gradients @ gradients.T, margin

    every_one = jax.jit(lambda shown, keys: jax.lax.map(functools.partial(one, shown), keys))
    kernel, start = jax.tree.map(np.asarray, every_one(shown, keys))
    sets, networks = len(every), len(start)
    return kernel.reshape(networks, sets, -1, sets, kernel.shape[-1] // sets), start.reshape(networks, sets, -1)


def infinite(world: Kinds, learner: OnPolicy, scales: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The kernel to which those of `empirical` tend as hidden layers widen, in their units, and margins of 0.

    It is that of independent normal weights with the variances of the orthogonal ones, so that the width is still in
    it as a factor. Matthews et al. 2018 (arXiv 1804.11271); Jacot, Gabriel and Hongler 2018 (arXiv 1806.07572).

    Returns: as `empirical`, of one network.
    Raises:
      ValueError: a network that is not the MLP, or has memory, further inputs or layer norm.
    """
    network = learner.make_network(world)
    if type(network) is not ActorCritic or not _sees_alone(network):
        raise ValueError(
            "learner.network: the kernel of infinite width is that of the MLP, which sees observations alone"
        )
    every = [choices(world, *scale) for scale in _scales(scales)]
    inputs = [np.asarray(dense(one.observation, world.cardinalities), np.float64) for one in every]
    alike, (first, second) = _alike(world)
    moves = np.einsum("kla,kma->klm", every[0].moves[first], every[0].moves[second])
    found = np.empty((1, len(every), len(alike), len(every), len(alike)))
    for i, one in enumerate(inputs):
        for j, other in enumerate(inputs):
            kernel = _between(network, one[first], other[second])
            found[0, i, :, j] = (kernel * moves).mean(axis=(1, 2))[alike]
    return found, np.zeros(found.shape[:3])


def _alike(world: Kinds) -> tuple[np.ndarray, np.ndarray]:
    """Two rows have the same kernel as two others that have colours and shapes in common likewise: none is special.

    Returns: i64[rows, rows], the class of each two, and i64[2, classes], two rows of each class.
    """
    compared, kinds = world.comparisons(), np.arange(world.colours * world.shapes)
    one, other = np.append(compared.kind, kinds), np.append(compared.rival, np.full(len(kinds), HIDDEN))
    row, column = np.meshgrid(np.arange(len(one)), np.arange(len(one)), indexing="ij")
    things = [one[row], other[row], one[column], other[column]]
    code = np.zeros(row.shape, int)
    for a, b in itertools.combinations(things, 2):
        there = (a != HIDDEN) & (b != HIDDEN)
        code = 4 * code + 2 * (there & (a // world.shapes == b // world.shapes))
        code += there & (a % world.shapes == b % world.shapes)
    code = 4 * code + 2 * (things[1] != HIDDEN) + (things[3] != HIDDEN)
    _, at, alike = np.unique(code, return_index=True, return_inverse=True)
    return alike.reshape(code.shape), np.stack(np.divmod(at, len(one)))


def _between(network: ActorCritic, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """f64[n, k, m], the kernels of one logit between inputs f64[n, k, d] and f64[n, m, d]."""
    norms = [np.round((side**2).sum(axis=-1), 6) for side in (one, other)]
    (each, rows), (every, columns) = (np.unique(side, return_inverse=True) for side in norms)
    correlation = np.einsum("kld,kmd->klm", one, other) / np.sqrt(norms[0][:, :, None] * norms[1][:, None])
    kernel = np.empty_like(correlation)
    for i, p in enumerate(each):
        for j, q in enumerate(every):
            here = (rows.reshape(norms[0].shape) == i)[:, :, None] & (columns.reshape(norms[1].shape) == j)[:, None]
            curve = tangent_curve(network, one.shape[-1], p, q)
            kernel[here] = np.interp(correlation[here], CORRELATIONS, curve)
    return kernel


def _sees_alone(network: ActorCritic) -> bool:
    further = network.previous_action or network.previous_reward
    return network.memory == "none" and not network.layer_norm and not further


def tangent_curve(network: ActorCritic, inputs: int, first: float, second: float) -> np.ndarray:
    """f64[correlations], the kernel of one logit with itself at two inputs with these squared norms.

    Logits of different actions have no kernel between them, since their weights are independent.
    """
    width = network.width
    variance = 2.0 / max(inputs, width)
    norms = np.sqrt(first * second)
    product = CORRELATIONS * norms
    own = np.array([first, second])
    before, slopes = [product + 1], []  # the products of what flows into a layer, and 1 for its bias
    into, own = variance * product, variance * own
    for _ in range(network.depth):
        out, slope = _expectations(network.activation, into, own)
        squares = np.array([_expectations(network.activation, np.full(1, one), np.full(2, one))[0][0] for one in own])
        before.append(width * out + 1)
        slopes.append(slope)
        into, own = 2 * out, 2 * squares
    total, back = before[-1], np.full(len(CORRELATIONS), network.policy_gain**2)
    for layer in reversed(range(network.depth)):
        back = back * slopes[layer]
        total = total + back * before[layer]
        back = 2 * back
    return total


def _expectations(activation: str, covariance: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the products of the activations, and of their slopes, at two centred normals of these covariances f64[n]."""
    scale = np.sqrt(variances.prod())
    correlation = np.clip(covariance / max(scale, np.finfo(float).tiny), -1, 1)
    if activation == "relu":  # Cho and Saul 2009
        angle = np.arccos(correlation)
        return scale * (np.sin(angle) + (np.pi - angle) * correlation) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)
    nodes, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    weights = weights / weights.sum()
    one = np.tanh(np.sqrt(variances[0]) * nodes)
    along, across = correlation[:, None, None], np.sqrt(1 - correlation**2)[:, None, None]
    other = np.tanh(np.sqrt(variances[1]) * (along * nodes[:, None] + across * nodes))
    product = np.einsum("i,i,nij,j->n", weights, one, other, weights, optimize=True)
    return product, np.einsum("i,i,nij,j->n", weights, 1 - one**2, 1 - other**2, weights, optimize=True)


def _scales(scales: np.ndarray | None) -> np.ndarray:
    return np.ones((1, 2)) if scales is None else np.asarray(scales, float)
