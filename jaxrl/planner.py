"""What the best policy under a lane's payments and discount does on its probes, and earns in its training."""

import functools
import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np

from envs import Approved, Asking, Priced, Probe, World, tabular
from envs.approval import pays_beside_events
from jaxrl import approval_plans

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
    """Plans on the choices of a world, those with payment moved too, and on a sample of training levels.

    Under approval what is planned is the best sum of so many rewards as the learner sums up, and where more is paid
    than events, as where steps cost something, that of all rewards up to the time limit; see `approval_plans`. It never
    asks: it knows what is best.
    """

    def __init__(self, world: World, probes: tuple[Probe, ...]):
        if isinstance(world, Asking):
            world = world.inner
        self.world = world
        self.probes = tuple(probe for probe in probes if probe.labels or probe.kind in ("choice", "contingency"))
        if not self.offered:
            return
        self.levels = jax.tree.map(lambda *parts: np.concatenate(parts), *(probe.levels for probe in self.probes))
        as_trained = world.as_trained if world.offers(Priced) else lambda level: level  # type: ignore[attr-defined]
        self.played = tabular.tabulate(world, self.levels)
        self.trained = jax.tree.map(np.asarray, jax.vmap(as_trained)(self.levels))
        self.known = tabular.tabulate(world, self.trained)
        counts = [probe.episodes for probe in self.probes]
        first = np.cumsum([0, *(probe.distinct for probe in self.probes[:-1])])
        every = zip(self.probes, first, strict=True)
        self.rows = np.concatenate([place + np.arange(probe.episodes) % probe.distinct for probe, place in every])
        self.horizon = np.repeat([probe.horizon for probe in self.probes], counts)
        self.parts = np.cumsum(counts)[:-1]
        self._plans: dict[bytes, Planned | None] = {}

    @property
    def _beside_events(self) -> bool:
        return pays_beside_events(getattr(self.world, "inner", self.world))

    @functools.cached_property
    def offered(self) -> bool:
        """Whether it follows from the world what its events are worth, and it has a choice to make."""
        worth = isinstance(self.world, Approved) or self.world.offers(Priced)
        return bool(self.world.goals and self.probes) and worth

    def plan(self, params: Any, discount: float) -> Planned | None:
        """The plan under one lane's Params and its discount.

        None where there is none: the world does not say what events are worth, or the discount is 1, where everything
        that is reached at all is as good late as soon, unless steps are counted, by approval or by what they are paid.
        """
        approved = isinstance(self.world, Approved)
        counted = approved or self._beside_events
        if not self.offered or (1 - discount < 10 * tabular.TIE and not counted):
            return None
        if approved and params.approval.noise == 0:
            params = params.replace(approval=params.approval.replace(drawn=0 * params.approval.drawn))
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves((params, np.float32(discount)))]
        key = hashlib.blake2b(b"".join(leaf.tobytes() for leaf in leaves)).digest()
        if key not in self._plans:
            if len(self._plans) >= REMEMBERED:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = self._plan(params, float(discount))
        return self._plans[key]

    def _plan(self, params: Any, discount: float) -> Planned | None:
        if isinstance(self.world, Approved):
            return self._plan_approval(self.world, params, discount)
        if self._beside_events:
            return self._plan_approval(*approval_plans.without_approval(self.world, params), discount)
        payment = np.asarray(payments(self.world, self.levels, params, discount))
        drawn = _training(self.world, params, self.world.default_params, discount)
        table, foreseen, expected = jax.tree.map(np.asarray, drawn)
        if np.isnan(payment).any() or np.isnan(foreseen).any():
            return None
        generator = np.random.default_rng(SEED)
        policy = tabular.optimal(self.known, payment, discount)
        reached = self._reached(policy, generator)
        policy, limit = tabular.optimal(table, foreseen, discount), int(params.max_steps_in_episode)
        returns = tabular.play_returns(table, policy, expected, limit, generator)
        return Planned(reached, float(returns.mean()))

    def _plan_approval(self, world: Approved, params: Any, discount: float) -> Planned | None:
        generator, limit = np.random.default_rng(SEED), int(params.max_steps_in_episode)
        levels = jax.tree.map(np.asarray, _drawn(world.inner, params))
        observed = approval_plans.observed(world, levels, params)
        if np.isnan(observed).any() or np.isnan(approval_plans.observed(world, self.trained, params)).any():
            return None
        reached = self._reached(approval_plans.policy(world, self.trained, params, discount), generator)
        policy = approval_plans.policy(world, levels, params, discount)
        paid = tabular.tabulate(world.inner, levels)._replace(events=observed[..., None])
        returns = tabular.play_returns(paid, policy, np.ones((TRAINING_LEVELS, 1)), limit, generator)
        return Planned(reached, float(returns.mean()))

    def _reached(self, policy: Any, generator: np.random.Generator) -> dict[str, np.ndarray]:
        reached = tabular.play(self.played, policy, self.rows, self.horizon, generator)
        return dict(zip((probe.name for probe in self.probes), np.split(reached, self.parts), strict=True))


@functools.partial(jax.jit, static_argnums=0)
def payments(world: Any, levels: Any, params: Any, discount: float) -> Any:
    """f32[levels, goals], what events are worth by what can be seen on each level."""
    return jax.vmap(lambda level: world.expected_payment(level, params, discount))(levels)


@functools.partial(jax.jit, static_argnums=0)
def _drawn(world: World, params: Any) -> Any:
    keys = jax.random.split(jax.random.key(SEED), TRAINING_LEVELS)
    return jax.lax.map(lambda key: world.sample_level(key, params), keys)  # compiles faster than a vmap


@functools.partial(jax.jit, static_argnums=0)
def _training(world: World, params: Any, default: Any, discount: float) -> tuple[tabular.Table, jax.Array, jax.Array]:
    """Training levels written out; what their events are worth; and what they are worth undiscounted."""
    levels = _drawn(world, params)
    table = tabular.traced_table(world, levels, default)
    return table, payments(world, levels, params, discount), payments(world, levels, params, 1.0)
