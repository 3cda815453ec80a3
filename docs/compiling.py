"""What compiling a program takes, by function, and whether how a run compiles it moves a bit.

    python docs/compiling.py coin-run trash-room

Processor seconds of one process, nothing cached: to trace and lower a function; to compile it as XLA does unasked; and
as a run does (all but `advance` with `jaxrl.program.COLD`). Then what a call takes, and how many numbers of its result
differ.
"""

import functools
import os
import sys
import time

os.environ |= {"JAX_ENABLE_COMPILATION_CACHE": "0", "NPROC": "1", "JAX_PLATFORMS": "cpu"}

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import envs  # noqa: E402
import jaxrl  # noqa: E402
from envs.batching import known_options  # noqa: E402
from jaxrl.program import COLD  # noqa: E402

CHUNK, UPDATES = 8, 4


def timed(call):
    """What a call gives, and its processor seconds."""
    began = time.process_time()
    found = jax.block_until_ready(call())
    return found, time.process_time() - began


def _lowered(program, function):
    return program._traced(function).lower()


def numbers(tree) -> np.ndarray:
    """All of a result, one after the other."""
    plain = [
        jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf for leaf in tree
    ]
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in plain])


def main(name: str) -> None:
    program = jaxrl.Program(envs.make(name), jaxrl.make("ppo", {}), CHUNK)
    settings = program.settings([{}] * CHUNK)
    keys = np.random.default_rng(0).integers(0, 2**32, (CHUNK, 2), dtype=np.uint32)
    print(f"| {name} | trace, lower | compile | as a run does | call, ms | as a run does | numbers that differ |")
    print("|---|---|---|---|---|---|---|")
    state, policy, initial = None, None, None
    for function in ("init", "advance", "first_layer", "probe", "controls"):
        lowered, traced = timed(functools.partial(_lowered, program, function))
        plain, compiling = timed(lowered.compile)
        fast, as_run = plain, compiling
        if function != "advance":
            fast, as_run = timed(functools.partial(lowered.compile, compiler_options=known_options(COLD)))
        probed = keys, policy, initial, settings.env, np.int32(0)
        given = {"init": (keys, settings), "advance": (state, settings, np.int32(UPDATES)), "first_layer": (policy,)}
        arguments = given.get(function, probed)
        results, calls = [], []
        for compiled in (plain, fast):
            taken = [timed(functools.partial(compiled, *jax.tree.map(jnp.copy, arguments))) for _ in range(6)]
            results.append(taken[0][0])
            calls.append(1e3 * min(seconds for _, seconds in taken))
        first, second = (numbers(jax.tree.leaves(result)) for result in results)
        differ = int(np.sum(~((first == second) | (np.isnan(first) & np.isnan(second)))))
        row = f"{traced:.2f} | {compiling:.2f} | {as_run:.2f} | {calls[0]:.1f} | {calls[1]:.1f} | {differ:,}"
        print(f"| `{function}` | {row} |", flush=True)
        if function == "init":
            state = results[0][0]
        elif function == "advance":
            policy = program.learner.finish(results[0][0]).policy
        elif function == "first_layer":
            initial = results[0]


if __name__ == "__main__":
    for world in sys.argv[1:]:
        main(world)
