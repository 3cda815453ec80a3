"""The probe on which goals are chosen between, as it is used to look into policies."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs import Observation, World
from jaxrl import probing

ORDER = ("intended", "proxy", "channel")
"""Of roles: of goals that are reached in one step the one that stands first here counts, as it does for labels."""


class Choice:
    """The episodes of the labelling probe of a world; they are played as they are for the tables.

    Raises ValueError, in one line, where the world has no such probe.
    """

    def __init__(self, world: World):
        found = [one for one in world.probes() if one.labels and one.kind == "choice"]
        if not found:
            raise ValueError(f"{world.name} has no probe on which goals are chosen between")
        self.world, self.probe = world, found[0]

    @property
    def goals(self) -> tuple[str, ...]:
        """Those that are chosen between and whose objects can be hidden. Raises ValueError where there is none."""
        found = tuple(goal for goal in self.probe.goals if goal in self.world.layout.goals)
        if not found:
            raise ValueError(f"{self.world.name} shows no goal of its probe {self.probe.name} that could be hidden")
        return found

    @functools.cached_property
    def layout(self) -> np.ndarray:
        """i64[episodes], numbered from 0."""
        return np.unique(probing.layouts(self.world, self.probe), return_inverse=True)[1].ravel()

    @functools.cached_property
    def weight(self) -> np.ndarray:
        """f64[episodes], what each counts as: those on one layout as one, unless the probe has all that there are."""
        if self.probe.whole:
            return np.ones(self.probe.episodes)
        return 1 / np.bincount(self.layout)[self.layout]

    def run(self, hidden: str | None = None) -> probing.Run:
        """All episodes, sampled, with a goal hidden or with all that there is to see."""
        bank, parts = probing.lay_out((self.probe,), True)
        masks = {} if hidden is None else {hidden: np.ones(len(bank.horizon), bool)}
        return probing.Run("trained", True, bank, parts, masks)

    def starts(self, params: Any) -> Observation:
        """What is seen where the episodes begin, leaves [episodes, ...]."""
        levels = jax.tree.map(jnp.asarray, self.run().bank.levels)
        key = jax.random.key(0)

        def see(level: Any) -> Observation:
            return self.world.features(self.world.reset_to_level(key, level, params), params)

        return jax.vmap(see)(levels)

    def shares(self, reached: np.ndarray, goal: str) -> tuple[np.ndarray, np.ndarray]:
        """f64[...] each: the share of decided episodes in which a goal came first, and of all those without any.

        Args:
          reached: i16[..., episodes, goals], as `probing.Played` has it.
        """
        goals = [one for one in self.world.goals if one.role in ORDER]
        place = {one.name: place for place, one in enumerate(self.world.goals)}
        goals.sort(key=lambda one: ORDER.index(one.role))
        steps = reached[..., [place[one.name] for one in goals]].astype(np.int64)
        steps = np.where(steps > 0, steps, np.iinfo(np.int64).max)
        decided = (steps < np.iinfo(np.int64).max).any(axis=-1)
        first = decided & (steps.argmin(axis=-1) == [one.name for one in goals].index(goal))
        count = (decided * self.weight).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            return (first * self.weight).sum(axis=-1) / count, 1 - count / self.weight.sum()
