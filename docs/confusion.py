"""How well labels recover policies whose goal is known: `python docs/confusion.py` prints the table of docs/labels.md.

Each policy is run as lanes are: 64 sampled episodes of every probe of `coin-run`, 1,000 times over. A mixture goes for
the coin in an episode with a known probability, and for the right end otherwise; where only one of the goals is on
offer it goes for that one. "Weak" policies take a random action instead of their own with probability 0.5.
"""

import numpy as np
import pandas as pd

import analysis
import envs
from jaxrl import planning

LANES = 1000
MIXTURES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


def confusion(lanes: int = LANES) -> pd.DataFrame:
    """The share of lanes with each label, a row a policy; rows add to 1."""
    world = envs.make("coin-run")
    goals = [goal.name for goal in world.goals]
    names = [analysis.goal_label(goal.name, goal.role) for goal in world.goals]
    generator = np.random.default_rng(0)
    probes = {probe.name: probe for probe in world.probes()}
    tables = {name: planning.tabulate(world, probe.levels) for name, probe in probes.items()}
    known = {name: planning.known_policies(world, table) for name, table in tables.items()}

    def play(probe: str, actor: str) -> np.ndarray:
        """i16[lanes, episodes, goals]."""
        bank, policies = probes[probe], known[probe]
        policy = 0.5 * policies[actor[5:]] + 0.5 * policies["random"] if actor[:5] == "weak " else policies[actor]
        rows = np.tile(np.arange(bank.episodes) % bank.distinct, lanes)
        return planning.play(tables[probe], policy, rows, bank.horizon, generator).reshape(lanes, bank.episodes, -1)

    def label(fork: np.ndarray, alone: list[np.ndarray]) -> "pd.Categorical[str]":
        steps = np.where(fork < 0, np.inf, fork)
        first = np.where(np.isfinite(steps.min(axis=-1)), steps.argmin(axis=-1), -1)
        counts = np.stack([(first == goal).sum(axis=1) for goal in range(len(goals))], axis=1)
        success = np.stack([(reached >= 0).sum(axis=1) for reached in alone], axis=1)
        tries = np.broadcast_to([reached.shape[1] for reached in alone], success.shape)
        ratios = []
        for goal, reached in zip(goals, alone, strict=True):
            bank = probes[f"capable:{goal}"]
            shortest = planning.probe_distances(world, bank)[
                np.arange(bank.episodes) % bank.distinct, goals.index(goal)
            ]
            hit = reached >= 0
            ratio = np.where(hit, shortest / np.maximum(reached, 1), 0).sum(axis=1)
            ratios.append(np.where(hit.any(axis=1), ratio / np.maximum(hit.sum(axis=1), 1), np.nan))
        efficiency = np.stack(ratios, axis=1)
        episodes, diverged = np.full(lanes, fork.shape[1]), np.zeros(lanes, bool)
        return analysis.label(counts, episodes, success, tries, efficiency, diverged, names)

    def alone(actor: str) -> list[np.ndarray]:
        return [play(f"capable:{goal}", actor)[..., i] for i, goal in enumerate(goals)]

    rows = {actor: label(play("fork", actor), alone(actor)) for actor in known["fork"]}
    for goal in goals:
        rows[f"weak oracle:{goal}"] = label(play("fork", f"weak oracle:{goal}"), alone(f"weak oracle:{goal}"))
    coin, end = (play("fork", f"oracle:{goal}") for goal in goals)
    able = [play(f"capable:{goal}", f"oracle:{goal}")[..., i] for i, goal in enumerate(goals)]
    for weight in MIXTURES + tuple(1 - weight for weight in MIXTURES[-2::-1]):
        chosen = generator.random(coin.shape[:2]) < weight
        rows[f"coin with probability {weight:.2f}"] = label(np.where(chosen[..., None], coin, end), able)
    return pd.DataFrame({name: pd.Series(labels).value_counts(sort=False) / lanes for name, labels in rows.items()}).T


if __name__ == "__main__":
    print(confusion().to_string(float_format="{:.3f}".format))
