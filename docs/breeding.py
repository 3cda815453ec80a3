"""Trials of es and ga on trash-room: how often the probed policy does the task where nothing else stands in the room.

python docs/breeding.py           # all of the table in docs/studies/breeding.md, a quarter of an hour of one core
python docs/breeding.py 0         # one block of it
"""

import os
import sys
from typing import Any

os.environ.setdefault("NPROC", "1")  # before jax is imported

import jax  # noqa: E402
import numpy as np  # noqa: E402

import envs  # noqa: E402
import jaxrl  # noqa: E402
from jaxrl import evolution, rollout  # noqa: E402

SEEDS, LEVELS, LIMIT = 2, 256, 40
EMPTY = {"env.button_presence": 0.0, "env.bin_presence": 0.0, "env.sign_presence": 0.0, "env.button_live": 0.0}
ROOM = {key: 1.0 for key in EMPTY} | {"env.button_live": 0.0, "env.bin_live": 0.0, "reward.button": 2.0}
WORLD = envs.make("trash-room")


def rates(*values: tuple[float, float]) -> list[dict[str, float]]:
    return [{"learning_rate": rate, "sigma": sigma} for rate, sigma in values]


def split(population: int, n_envs: int, n_steps: int = 128, **more: Any) -> dict[str, Any]:
    return {"population": population, "n_envs": n_envs, "n_steps": n_steps, **more}


SMALL, LINEAR = {"width": 16, "depth": 1}, {"depth": 0}
TRIALS = [
    ("es", 4e6, split(256, 4, **SMALL), rates((0.06, 0.1), (0.02, 0.1), (0.06, 0.3), (0.02, 0.3))),
    ("es", 8e6, split(128, 4, **SMALL), rates((0.06, 0.5), (0.06, 1), (0.2, 0.5), (0.2, 1))),
    ("es", 8e6, split(64, 4, depth=1, activation="relu"), rates((0.03, 0.3), (0.03, 0.15))),
    ("es", 16e6, split(64, 4, depth=1), rates((0.03, 0.08), (0.01, 0.08), (0.01, 0.15), (0.01, 0.04))),
    ("es", 8e6, split(128, 4, **LINEAR), rates((0.06, 0.5), (0.06, 1), (0.2, 0.5), (0.2, 1))),
    ("es", 8e6, split(256, 1, 256, **LINEAR), rates((0.06, 0.5), (0.1, 0.5), (0.06, 0.3), (0.1, 0.3))),
    ("es", 8e6, split(64, 4, **LINEAR), rates((0.06, 0.3), (0.06, 0.5), (0.03, 0.3), (0.03, 0.5))),
    (
        "es",
        32e6,
        split(64, 4, **LINEAR),
        rates((0.06, 0.3), (0.03, 0.5), (0.03, 0.3), (0.06, 0.3)),
    ),  # eight lanes a chunk, as above
    ("ga", 16e6, split(256, 2, parents=16, **LINEAR), [{"sigma": 0.05}, {"sigma": 0.15}, {"sigma": 0.4}]),
    ("ga", 48e6, split(64, 8, parents=4, **LINEAR), [{"sigma": 0.05}, {"sigma": 0.1}, {"sigma": 0.2}]),
]


def done(learner: Any, policy: Any, params: Any) -> jax.Array:
    """The share of levels on which one policy does the task in time."""
    bits = jax.random.bits(jax.random.key(5), (rollout.bits_needed(WORLD, LEVELS, LIMIT),), "uint32")
    apply = lambda policy, seen: learner.apply(WORLD, policy, seen)[0]  # noqa: E731
    alone = jax.tree.map(lambda leaf: leaf[None], policy)
    return evolution.evaluate(WORLD, apply, alone, bits, params, LEVELS, LIMIT)[0][0]


def trial(name: str, steps: float, static: dict[str, Any], numbers: list[dict[str, float]]) -> None:
    settings = {f"learner.{key}": value for key, value in static.items()}
    learner: Any = jaxrl.make(name, settings | {"learner.total_steps": int(steps)})
    keys = np.random.default_rng(77).integers(0, 2**32, (SEEDS, 2), dtype=np.uint32)
    keys = np.concatenate([keys] * len(numbers))
    values = [ROOM | {f"learner.{key}": value for key, value in one.items()} for one in numbers for _ in range(SEEDS)]
    program = jaxrl.Program(WORLD, learner, chunk=len(values))
    given, functions = program.settings(values), program._functions
    state, _ = jax.jit(functions["init"])(keys, given)
    state, *_ = jax.jit(functions["advance"])(state, given, np.int32(learner.total_updates))
    empty = WORLD.params_of(ROOM | EMPTY)
    shares = jax.jit(jax.vmap(lambda policy: done(learner, policy, empty)))(state.policy)
    print(name, static, f"{learner.total_updates * learner.steps_per_update / 1e6:.1f} million steps")
    for one, two in zip(numbers, np.asarray(shares).reshape(-1, SEEDS), strict=True):
        print(" ", one, " ".join(f"{share:.2f}" for share in two), flush=True)


if __name__ == "__main__":
    for place in map(int, sys.argv[1:] or range(len(TRIALS))):
        trial(*TRIALS[place])
