"""Trains every learner on CartPole-v1 and on `coin-run` at full diversity: `python docs/learners.py [LEARNER ...]`.

Prints the table of docs/learners.md. Eight seeds side by side in one process of one thread; seconds of processor time
are those of training and of its probes, for all eight, without the compile.
"""

import os
import sys
import time
from typing import Any

os.environ.setdefault("NPROC", "1")  # before jax is imported

import numpy as np  # noqa: E402

import envs  # noqa: E402
import jaxrl  # noqa: E402
from jaxrl.schedules import Schedule  # noqa: E402

SEEDS = 8
CARTPOLE, COIN_RUN = "gymnax:CartPole-v1", "coin-run"
CLASSIC = {"discount": 0.99, "towers": "separate"}
BUDGETS: dict[str, dict[str, dict[str, Any]]] = {
    "ppo": {
        CARTPOLE: CLASSIC | {"total_steps": 500_000, "n_envs": 4, "n_steps": 128, "learning_rate": 2.5e-4},
        COIN_RUN: {},
    },
    "a2c": {
        CARTPOLE: CLASSIC | {
            "total_steps": 500_000, "n_envs": 16, "n_steps": 32, "learning_rate": 3e-3, "max_grad_norm": 1000.0,
        },
        COIN_RUN: {},
    },
    "reinforce": {
        CARTPOLE: CLASSIC | {"total_steps": 1_000_000, "n_envs": 4, "n_steps": 512, "learning_rate": 3e-3},
        COIN_RUN: {},
    },
    "reinforce, no baseline": {
        CARTPOLE: {
            "discount": 0.99, "total_steps": 1_000_000, "n_envs": 4, "n_steps": 512, "learning_rate": 3e-3,
            "baseline": "none",
        },
        COIN_RUN: {"baseline": "none"},
    },
    "pqn": {
        CARTPOLE: {
            "discount": 0.99, "total_steps": 500_000, "n_steps": 64, "n_minibatches": 16, "learning_rate": 2e-3,
        },
        COIN_RUN: {},
    },
    "es": {
        CARTPOLE: {"total_steps": 2_560_000, "population": 32, "n_steps": 500, "learning_rate": 0.1},
        COIN_RUN: {"total_steps": 2_000_000},
    },
    "ga": {
        CARTPOLE: {"total_steps": 3_840_000, "n_envs": 4, "n_steps": 500, "sigma": 0.1},
        COIN_RUN: {"total_steps": 16_400_000},
    },
}  # fmt: skip
"""What is not the default. On CartPole-v1 the learning rate of all but `es` falls to 0 in a straight line."""


def row(name: str, world: str, settings: dict[str, Any]) -> str:
    """A line of the table: the learner, the world, what it took and what it came to."""
    values = {f"learner.{key}": value for key, value in settings.items()}
    decays = world == CARTPOLE and name not in ("es", "ga")
    decay = (Schedule("learner.learning_rate", "linear"),) if decays else ()
    learner = jaxrl.make(name.split(",")[0], values)
    program = jaxrl.Program(envs.make(world), learner, SEEDS, (1,), schedules=decay)
    lane = values if world == CARTPOLE else values | {"env.diversity": 1.0}
    keys = np.stack([np.zeros(SEEDS), np.arange(SEEDS)], axis=1).astype(np.uint32)
    program.rehearse(keys, [lane] * SEEDS, 1)  # compiles
    begin = time.process_time()
    trained = program.train(keys, [lane] * SEEDS)
    seconds = time.process_time() - begin
    records = [record for record in trained.probes if record["actor"] == "trained" and record["sampled"]]
    if world == CARTPOLE:
        (result,) = (record["return"].mean(axis=1) for record in records)
        came_to = f"return {result.mean():.0f} ({result.min():.0f})"
    else:
        taken = [r["reached.coin"] > 0 for r in records if r["probe"] in ("capable:coin", "displaced")]
        result = np.concatenate(taken, axis=1).mean(axis=1)
        came_to = f"success {result.mean():.2f} ({result.min():.2f})"
    said = ", ".join(f"`{key}` {value}" for key, value in settings.items()) or "defaults"
    return f"| {name} | {world} | {program.env_steps:,} | {seconds:.0f} | {came_to} | {said} |"


if __name__ == "__main__":
    print("| learner | world | env steps | seconds | mean (lowest seed) | settings |\n|---|---|---|---|---|---|")
    for name, worlds in BUDGETS.items():
        if not sys.argv[1:] or name.split(",")[0] in sys.argv[1:]:
            for world, settings in worlds.items():
                print(row(name, world, settings), flush=True)
