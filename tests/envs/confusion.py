"""How well labels recover policies whose goal is known.

`python -m tests.envs.confusion` prints the tables of docs/studies/label-recovery.md.

Each policy is run as lanes are, on the episodes of the labelling probe and of each `capable:GOAL`, 1,000 times over: a
random walker, an oracle for each goal, a reflex for each action, and weak oracles, which take a random action instead
of their own with probability 0.5. A mixture of two goals goes for one of them with a known probability in each episode,
and for the other otherwise; one that chooses by level does so once for each layout, and does there always the same. A
policy torn between two goals takes in each step the action of one of their oracles, each
with probability 0.5. Where only one of the two is on offer, both go for that one.
"""

import itertools

import numpy as np
import pandas as pd

import analysis
import envs
from analysis.episodes import EXACT, counted_as
from envs import tabular
from jaxrl import probing

LANES = 1000
WEIGHTS = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
"""Of the mixtures in coin-run's table; the other tables have one half and three quarters, from which labels begin."""


def confusion(world: envs.World, lanes: int = LANES, weights: tuple[float, ...] = (0.5,)) -> pd.DataFrame:
    """The share of lanes with each label, a row a policy; rows add to 1."""
    runs = Runs(world, lanes)
    rows = {actor: runs.label(actor) for actor in tabular.known_policies(world, runs.tables[runs.labelling])}
    rows |= {f"weak oracle:{goal}": runs.label(f"weak oracle:{goal}") for goal in runs.at_stake}
    for one, other in itertools.combinations(runs.at_stake, 2):
        for weight in weights:
            rows[f"{one} {weight:.2f}, else {other}"] = runs.label_of_mixture(one, other, weight)
            rows[f"{one} {weight:.2f} by level, else {other}"] = runs.label_of_mixture(
                one, other, weight, by_level=True
            )
        rows[f"torn:{one},{other}"] = runs.label(f"torn:{one},{other}")
    return pd.DataFrame({name: pd.Series(labels).value_counts(sort=False) / lanes for name, labels in rows.items()}).T


class Runs:
    """Known policies on the probes on which labels rest."""

    def __init__(self, world: envs.World, lanes: int):
        self.lanes, self.generator = lanes, np.random.default_rng(0)
        self.played: dict[tuple[str, str, int], np.ndarray] = {}
        self.goals = [goal.name for goal in world.aims]
        self.names = [analysis.goal_label(goal.name, goal.role) for goal in world.aims]
        every = {probe.name: probe for probe in world.probes()}
        (self.labelling,) = [probe.name for probe in every.values() if probe.labels]
        self.at_stake = every[self.labelling].goals
        self.gates = [f"capable:{goal}" for goal in self.goals if f"capable:{goal}" in every]
        self.probes = {name: every[name] for name in (self.labelling, *self.gates)}
        self.rows = {name: np.arange(probe.episodes) % probe.distinct for name, probe in self.probes.items()}
        self.layouts = {name: probing.layouts(world, probe) for name, probe in self.probes.items()}
        self.share = {name: self._share(probe) for name, probe in self.probes.items()}
        self.tables = {name: tabular.tabulate(world, probe.levels) for name, probe in self.probes.items()}
        self.known = {name: tabular.known_policies(world, table) for name, table in self.tables.items()}
        self.shortest = {
            name: tabular.probe_distances(world, probe)[self.rows[name]] for name, probe in self.probes.items()
        }

    def policy(self, probe: str, actor: str) -> np.ndarray:
        known = self.known[probe]
        if actor.startswith("weak "):
            return 0.5 * known[actor.removeprefix("weak ")] + 0.5 * known["random"]
        if actor.startswith("torn:"):
            pair = actor.removeprefix("torn:").split(",")
            wanted = [goal for goal in pair if probe == f"capable:{goal}"] or pair
            return sum(known[f"oracle:{goal}"] for goal in wanted) / len(wanted)
        return known[actor]

    def play(self, probe: str, actor: str, lanes: int | None = None) -> np.ndarray:
        """i16[lanes, episodes, goals], the step at which each goal was first reached or -1; played once."""
        lanes = lanes or self.lanes
        if (probe, actor, lanes) in self.played:
            return self.played[probe, actor, lanes]
        rows = np.tile(self.rows[probe], lanes)
        table, horizon = self.tables[probe], self.probes[probe].horizon
        reached = tabular.play(table, self.policy(probe, actor), rows, horizon, self.generator)
        self.played[probe, actor, lanes] = reached.reshape(lanes, len(self.rows[probe]), -1)[..., : len(self.goals)]
        return self.played[probe, actor, lanes]

    def label(self, actor: str, lanes: int | None = None) -> "pd.Categorical[str]":
        """One label a lane; of an actor that leaves nothing to chance, one lane says all."""
        return self._labels({name: self.play(name, actor, lanes) for name in self.probes})

    def label_of_mixture(self, one: str, other: str, weight: float, by_level: bool = False) -> "pd.Categorical[str]":
        """The labels of policies that go for `one` with probability `weight` in each episode, or on each layout."""

        def play(probe: str) -> np.ndarray:
            if probe in (f"capable:{one}", f"capable:{other}"):
                return self.play(probe, f"oracle:{probe.removeprefix('capable:')}")
            ways = [self.play(probe, f"oracle:{goal}") for goal in (one, other)]
            draws = self.generator.random(ways[0].shape[:2])
            draws = draws[:, np.unique(self.layouts[probe], return_inverse=True)[1]] if by_level else draws
            return np.where((draws < weight)[..., None], *ways)

        return self._labels({name: play(name) for name in self.probes})

    def _labels(self, reached: dict[str, np.ndarray]) -> "pd.Categorical[str]":
        steps = np.where(reached[self.labelling] < 0, np.inf, reached[self.labelling])
        first = np.where(np.isfinite(steps.min(axis=-1)), steps.argmin(axis=-1), -1)
        share = self.share[self.labelling]
        counts = np.stack([(first == goal) @ share for goal in range(len(self.goals))], axis=1).round(EXACT)
        success, tries = np.zeros_like(counts), np.zeros_like(counts)
        efficiency = np.full(counts.shape, np.nan)
        for probe in self.gates:
            goal = self.goals.index(probe.removeprefix("capable:"))
            own, shortest = reached[probe][..., goal], self.shortest[probe][:, goal]
            share = self.share[probe]
            hits = ((own >= 0) @ share).round(EXACT)
            tries[:, goal], success[:, goal] = share.sum().round(EXACT), hits
            ratio = np.where(own >= 0, shortest / np.maximum(own, 1), 0) @ share
            efficiency[:, goal] = ratio / np.where(hits, hits, np.nan)
        episodes, diverged = np.full(len(first), self.share[self.labelling].sum()), np.zeros(len(first), bool)
        return analysis.label(counts, episodes, success, tries, efficiency, diverged, self.names)

    def _share(self, probe: envs.Probe) -> np.ndarray:
        """f64[episodes], what each counts as."""
        return counted_as({"layout": self.layouts[probe.name], "whole": np.full(probe.episodes, probe.whole)})


if __name__ == "__main__":
    for name in [name for name in envs.WORLDS if envs.WORLDS[name].goals]:
        table = confusion(envs.make(name), weights=WEIGHTS if name == "coin-run" else (0.5, 0.75))
        print(name, table.to_string(float_format="{:.3f}".format), sep="\n", end="\n\n")
