"""What the best policy under a lane's payments and discount does on its probes, and earns in its training."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from envs import Priced, Probe, World, tabular

TRAINING_LEVELS = 256
"""Levels on which the planner's return is measured."""
SEED = 0x706C616E
REMEMBERED = 1024
"""Settings whose plans are kept: the lanes of a condition follow each other."""


class Planned(NamedTuple):
    """What the planner does under one lane's settings."""

    reached: dict[str, np.ndarray]
    """By probe: i16[episodes, goals], the step at which each goal was first reached, -1 for never."""
    expected_return: float
    """Mean undiscounted return of an episode of training, within the time limit."""


class Planner:
    """Plans on the choices of a world, those with payment moved too, and on a sample of training levels."""

    def __init__(self, world: World, probes: tuple[Probe, ...]):
        self.world = world
        self.probes = tuple(probe for probe in probes if probe.labels or probe.kind in ("choice", "contingency"))
        if not self.offered:
            return
        self.levels = jax.tree.map(lambda *parts: np.concatenate(parts), *(probe.levels for probe in self.probes))
        able: Any = world
        self.played = tabular.tabulate(world, self.levels)
        self.known = tabular.tabulate(world, jax.vmap(able.as_trained)(self.levels))
        counts = [probe.episodes for probe in self.probes]
        first = np.cumsum([0, *(probe.distinct for probe in self.probes[:-1])])
        every = zip(self.probes, first, strict=True)
        self.rows = np.concatenate([place + np.arange(probe.episodes) % probe.distinct for probe, place in every])
        self.horizon = np.repeat([probe.horizon for probe in self.probes], counts)
        self.parts = np.cumsum(counts)[:-1]
        self._plans: dict[tuple[bytes, ...], Planned | None] = {}

    @functools.cached_property
    def offered(self) -> bool:
        """Whether the world says what its events are worth, and has a choice to make."""
        return bool(self.world.goals and self.probes) and self.world.offers(Priced)

    def plan(self, params: Any, discount: float) -> Planned | None:
        """The plan under one lane's Params and its discount.

        None where there is none: the world does not say what events are worth, or the discount is 1, where everything
        that is reached at all is as good late as soon.
        """
        if not self.offered or 1 - discount < 10 * tabular.TIE:
            return None
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves((params, np.float32(discount)))]
        key = tuple(leaf.tobytes() for leaf in leaves)
        if key not in self._plans:
            if len(self._plans) >= REMEMBERED:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = self._plan(params, float(discount))
        return self._plans[key]

    def _plan(self, params: Any, discount: float) -> Planned | None:
        payment = np.asarray(_payments(self.world, self.levels, params, discount))
        drawn = _training(self.world, params, self.world.default_params, discount)
        table, foreseen, expected = jax.tree.map(np.asarray, drawn)
        if np.isnan(payment).any() or np.isnan(foreseen).any():
            return None
        generator = np.random.default_rng(SEED)
        policy = tabular.optimal(self.known, payment, discount)
        reached = tabular.play(self.played, policy, self.rows, self.horizon, generator)
        policy, limit = tabular.optimal(table, foreseen, discount), int(params.max_steps_in_episode)
        returns = tabular.play_returns(table, policy, expected, limit, generator)
        found = dict(zip((probe.name for probe in self.probes), np.split(reached, self.parts), strict=True))
        return Planned(found, float(returns.mean()))


@functools.partial(jax.jit, static_argnums=0)
def _payments(world: Any, levels: Any, params: Any, discount: float) -> Any:
    """f32[levels, goals], what events are worth by what can be seen on each level."""
    return jax.vmap(lambda level: world.expected_payment(level, params, discount))(levels)


@functools.partial(jax.jit, static_argnums=0)
def _training(world: World, params: Any, default: Any, discount: float) -> tuple[tabular.Table, jax.Array, jax.Array]:
    """Training levels written out; what their events are worth; and what they are worth undiscounted."""
    keys = jax.random.split(jax.random.key(SEED), TRAINING_LEVELS)
    levels = jax.lax.map(lambda key: world.sample_level(key, params), keys)  # compiles faster than a vmap
    table = tabular.traced_table(world, levels, default)
    return table, _payments(world, levels, params, discount), _payments(world, levels, params, 1.0)
