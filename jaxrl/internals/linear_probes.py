"""Linear probes: what can be read off a layer by a linear function, of where things are, what pays and what comes next.

Alain and Bengio 2016 (arXiv 1610.01644), with the controls of Hewitt and Liang 2019 (arXiv 1909.03368): the same with
the policy's untrained network, and with the targets of other levels.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import Observation, Sources, World
from jaxrl import probing
from jaxrl.internals.choice import Choice
from jaxrl.internals.difference import INSIDE
from jaxrl.internals.lanes import Lanes, in_chunks, untrained
from jaxrl.internals.layers import through
from jaxrl.internals.ridge import explained
from jaxrl.learner import Learner
from jaxrl.on_policy import OnPolicy

FOLDS = 4
WHETHER = ("next:", "pays:")
"""How targets begin that are so or not."""
NETWORKS, LABELS = ("trained", "untrained"), ("true", "permuted")


class Questions(NamedTuple):
    """What is asked about some episodes."""

    run: probing.Run
    layout: np.ndarray
    """i64[episodes], numbered from 0."""
    targets: tuple[str, ...]
    paid: np.ndarray | None = None
    """f32[episodes], where the one target is whether a goal pays on the level."""


class LinearProbes:
    """What layers tell about the episodes of the choice probe, at every step before the first goal is reached.

    Targets are the features that belong to a goal, a channel of a picture as the mean row and column of what it shows,
    and whether the episode will reach a goal first. Whether a goal pays is asked where other probes have layouts on
    which it does and does not. Episodes in which no goal is reached are left out; the others count alike, however long
    they are. Folds are of layouts.
    """

    by_layer = True

    def __init__(self, world: World, learner: Learner, layers: Sequence[str], chunk: int):
        self.world, self.learner, self.layers, self.chunk = world, learner, tuple(layers), chunk
        self.choice = Choice(world)
        if (there := len(np.unique(self.choice.layout))) < 2 * FOLDS:
            raise ValueError(
                f"{world.name} has too few layouts on its probe {self.choice.probe.name}, {there}: linear probes are "
                f"cross-validated over at least {2 * FOLDS}"
            )
        if not isinstance(learner, OnPolicy):
            raise ValueError("linear probes are compared with untrained networks: only for ppo, a2c, reinforce and pqn")
        self.aims = [place for place, goal in enumerate(world.goals) if goal.role != "milestone"]
        self.next = self.choice.probe.goals[:-1]
        """The last one is reached where these are not."""
        targets = (*where_names(world), *(f"next:{goal}" for goal in self.next))
        self.asked = [Questions(self.choice.run(), self.choice.layout, targets), *of_payment(world)]
        self.products = [jax.jit(jax.vmap(functools.partial(self._products, asked))) for asked in self.asked]

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, rows]: a row a layer × network × target × true or permuted."""
        begun = untrained(self.world, self.learner, self.chunk, lanes.key)
        parts = []
        for asked, products in zip(self.asked, self.products, strict=True):
            found = in_chunks(products, self.chunk, lanes.key, lanes.policy, begun, lanes.params)
            parts.append(self._scores(found, asked.targets))
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def _scores(self, found: dict[str, dict[str, np.ndarray]], targets: tuple[str, ...]) -> dict[str, np.ndarray]:
        rows, scores = list(itertools.product(self.layers, NETWORKS, LABELS, targets)), []
        whether = np.array([name.startswith(WHETHER) for name in targets] * len(LABELS))
        for layer, network in itertools.product(self.layers, NETWORKS):
            gram = found[network][layer].astype(np.float64)
            first = gram.shape[-1] - 2 * len(targets)
            total = gram.sum(axis=1)
            episodes, so = total[:, :1, 0], total[:, 0, first:]
            few = np.minimum(so, episodes - so) < FOLDS - 0.5
            scores.append(np.where(whether & few, np.nan, explained(gram, first - 1)))
        columns = {"explained": np.concatenate(scores, axis=1)}
        columns["episodes"] = np.repeat(np.rint(episodes).astype(np.int64), len(rows), axis=1)
        for name, each in zip(("layer", "network", "labels", "target"), zip(*rows, strict=True), strict=True):
            columns[name] = np.tile(np.array(each, str), (len(episodes), 1))
        return columns

    def _products(
        self, asked: Questions, key: Any, policy: Any, untrained: Any, params: Any
    ) -> dict[str, dict[str, jax.Array]]:
        """By network and layer, f32[folds, n, n]: of (1, activation, targets, permuted targets), sums of products."""
        run, episodes = asked.run, len(asked.layout)
        lane, shuffle = jax.random.split(jax.random.fold_in(jax.random.wrap_key_data(key), INSIDE))
        bits = jax.random.bits(lane, (probing.bits_needed(self.world, run),), jnp.uint32)
        context = self.learner.context(self.world, episodes)

        def act(observation: Any, context: Any) -> Any:
            return through(self.world, self.learner, policy, observation, context)[:2]

        played = probing.probe(self.world, act, run, bits, params, context, watched=range(episodes))
        steps = played.steps
        assert steps is not None
        before, after = (jax.tree.map(part, steps.state) for part in (lambda leaf: leaf[:-1], lambda leaf: leaf[1:]))
        seen = jax.vmap(jax.vmap(self.world.features, (0, None)), (0, None))(before, params)
        reward = jax.vmap(jax.vmap(self.world.earned, (0, 0, None)), (0, 0, None))(after, steps.events, params)
        aims = played.reached[:, jnp.asarray(self.aims)].astype(jnp.int32)
        first = jnp.where(aims > 0, aims, jnp.iinfo(jnp.int32).max).min(axis=1)
        decided = jnp.any(aims > 0, axis=1)
        time = jnp.arange(len(steps.action))[:, None]
        counts = (steps.alive & (time < first[None]) & decided[None]).astype(jnp.float32)
        length = counts.sum(axis=0).astype(jnp.int32)
        weight = counts / jnp.maximum(length, 1)[None].astype(jnp.float32)
        targets = self._targets(seen, played.reached, first)
        if asked.paid is not None:
            targets = jnp.broadcast_to(jnp.asarray(asked.paid)[:, None], (*counts.shape, 1))
        # Every decided episode is given the targets of another one, at the same time or at the last that counts there.
        other = others(shuffle, asked.layout, decided)
        permuted = targets[jnp.minimum(time, jnp.maximum(length[other] - 1, 0)[None]), other[None]]
        both = jnp.concatenate([targets, permuted], axis=2)
        found = {}
        for name, network in zip(NETWORKS, (policy, untrained), strict=True):
            activations = self._again(network, seen, context, steps.action, reward)
            found[name] = {layer: _sums(activations[layer], both, weight, asked.layout) for layer in self.layers}
        return found

    def _targets(self, seen: Observation, reached: jax.Array, first: jax.Array) -> jax.Array:
        """f32[steps, episodes, targets]."""
        place = {goal.name: place for place, goal in enumerate(self.world.goals)}
        steps = seen.indices.shape[0]
        ahead = jnp.stack([reached[:, place[goal]].astype(jnp.int32) == first for goal in self.next], axis=1)
        ahead = jnp.broadcast_to(ahead.astype(jnp.float32), (steps, *ahead.shape))
        return jnp.concatenate([where(self.world, seen), ahead], axis=2)

    def _again(self, network: Any, seen: Observation, context: Any, action: Any, reward: Any) -> dict[str, jax.Array]:
        """By layer, f32[steps, episodes, width]: what a network gives for what was seen, whoever acted."""

        def step(context: Any, at: Any) -> Any:
            observation, action, reward = at
            _, memory, found = through(self.world, self.learner, network, observation, context)
            after = context.after(memory, action, reward, jnp.zeros(action.shape[0], bool))
            return after, {layer: found[layer].reshape(action.shape[0], -1) for layer in self.layers}

        return jax.lax.scan(step, context, (seen, action, reward))[1]


def _sums(activation: jax.Array, targets: jax.Array, weight: jax.Array, layout: np.ndarray) -> jax.Array:
    """Sums of products by fold, of activations with a mean of 0 and a variance of 1."""
    mean = functools.partial(jnp.average, weights=weight.reshape(-1), axis=0)
    flat = activation.reshape(weight.size, -1)
    flat = flat - mean(flat)[None]
    spread = jnp.sqrt(mean(flat**2))[None]
    flat = flat / jnp.where(spread > 1e-6, spread, 1.0)
    rows = jnp.concatenate([jnp.ones((weight.size, 1)), flat, targets.reshape(weight.size, -1)], axis=1)
    folds = jnp.asarray(np.arange(FOLDS)[:, None] == np.tile(layout % FOLDS, len(weight)), jnp.float32)
    return jnp.stack([(rows * (weight.reshape(-1) * one)[:, None]).T @ rows for one in folds])


def of_payment(world: Any) -> list[Questions]:
    """Whether each source of payment pays, on the layouts of probes on which it does on one level and not on another.

    Of the probes on which payment moves, and of the choices that nobody is labelled by. Sources without 8 such layouts
    are left out.
    """
    asked = []
    for place, goal in enumerate(world.sources if world.offers(Sources) else ()):
        kinds = ("contingency", "choice")
        probes = [one for one in world.probes() if one.kind in kinds and goal in one.goals and not one.labels]
        if not probes:
            continue
        bank, _ = probing.lay_out(tuple(probes), True)
        paid = np.asarray(jax.vmap(world.pays)(bank.levels))[:, place]
        layout = np.unique(world.layouts(bank.levels), return_inverse=True)[1].ravel()
        both = np.intersect1d(layout[paid], layout[~paid])
        if len(both) < 2 * FOLDS:
            continue
        rows = np.isin(layout, both)
        bank = jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], bank)
        run = probing.Run("trained", True, bank, {}, {})
        numbered = np.unique(layout[rows], return_inverse=True)[1].ravel()
        asked.append(Questions(run, numbered, (f"pays:{goal}",), paid[rows].astype(np.float32)))
    return asked


def others(key: jax.Array, layout: np.ndarray, decided: jax.Array) -> jax.Array:
    """i32[episodes], for each decided episode another one, a permutation at random of them.

    None has its own layout, unless more than half of the decided episodes are on one: layouts stand in a circle, in
    random order, and each episode goes on by as many places as the most frequent layout has.

    Args:
      layout: i64[episodes], numbered from 0.
      decided: bool[episodes].
    """
    layouts = int(layout.max()) + 1
    rank = jax.random.uniform(key, (layouts,))[layout]
    order = jnp.lexsort((rank, ~decided))
    place = jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=order.dtype))
    often = jnp.zeros(layouts, order.dtype).at[layout].add(decided.astype(order.dtype)).max()
    return order[(place + often) % jnp.maximum(decided.sum(dtype=order.dtype), 1)]


def where_names(world: World) -> tuple[str, ...]:
    """The names of what `where` gives."""
    features = [one for one in (*world.layout.indices, *world.layout.numbers) if one.goal is not None]
    names = [one.name if one.size == 1 else f"{one.name}[{i}]" for one in features for i in range(one.size)]
    channels = [one.name for one in world.layout.channels if one.goal is not None]
    return (*names, *(f"{name}:{axis}" for name in channels for axis in ("row", "column")))


def where(world: World, seen: Observation) -> jax.Array:
    """f32[..., names], where the objects of goals are, as an observation with these leading axes shows it."""
    layout = world.layout
    indices = np.array([one.goal is not None for one in layout.indices], bool)
    numbers = np.repeat([one.goal is not None for one in layout.numbers], [one.size for one in layout.numbers])
    parts = [seen.indices[..., np.flatnonzero(indices)].astype(jnp.float32), seen.vector[..., np.flatnonzero(numbers)]]
    for channel, one in enumerate(layout.channels):
        if one.goal is not None:
            shown = seen.image[..., channel].astype(jnp.float32)
            whole = jnp.maximum(shown.sum(axis=(-2, -1)), 1.0)
            for axis, size in ((-1, shown.shape[-2]), (-2, shown.shape[-1])):
                parts.append(((shown.sum(axis=axis) @ jnp.arange(size, dtype=jnp.float32)) / whole)[..., None])
    return jnp.concatenate(parts, axis=-1)
