"""One process that is timed: gets ready, says so, then does its work once for each line on stdin."""

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxrl import Program
from sweeps.bench import plain
from sweeps.bench.cases import CASES, Case


def chisel(case: Case, lanes: int, updates: int, chunk: int) -> tuple[Callable[[], Any], dict]:
    """Lanes in chunks, as a worker of a run trains them, without probes."""
    program = Program(case.world(), case.make(), chunk, (1,))
    keys = np.random.default_rng(0).integers(0, 2**32, (lanes, 2), dtype=np.uint32)
    temporary = program.memory()["temporary_bytes"]

    def work() -> None:
        for start in range(0, lanes, chunk):
            program.rehearse(keys[start : start + chunk], [case.lane] * chunk, updates)

    return work, {"temporary": temporary}


def vmapped(case: Case, lanes: int, updates: int) -> tuple[Callable[[], Any], dict]:
    """All lanes in one plain vmap."""
    program = Program(case.world(), case.make(), 1, (1,))
    lane = jax.tree.map(lambda leaf: leaf[0], program.settings([case.lane]))
    train = jax.vmap(partial(plain.train, program.world, program.learner, lane.env, lane.learner, updates))
    keys = jax.random.split(jax.random.key(0), lanes)
    compiled = jax.jit(train).lower(keys).compile()
    memory = compiled.memory_analysis()

    def work() -> None:
        jax.block_until_ready(compiled(keys))

    return work, {"temporary": getattr(memory, "temp_size_in_bytes", None)}


def probing(case: Case, chunk: int) -> tuple[Callable[[], Any], dict]:
    """The share of a lane's time that goes into its probes, at the default checkpoints and the shipped length."""
    program = Program(case.world(), case.make(), chunk)
    keys = np.random.default_rng(0).integers(0, 2**32, (chunk, 2), dtype=np.uint32)

    def seconds(updates: int, probings: int) -> float:
        began = time.perf_counter()
        program.rehearse(keys, [case.lane] * chunk, updates, probings)
        return time.perf_counter() - began

    def work() -> dict:
        start = seconds(0, 0)
        probes, training = seconds(0, len(program.checkpoints)) - start, seconds(program.total_updates, 0)
        return {"share": probes / (probes + training)}

    return work, {}


def product(side: int, times: int) -> tuple[Callable[[], Any], dict]:
    """Large f32 products: what the hardware allows."""
    matrix = jax.random.normal(jax.random.key(0), (side, side))
    multiply = jax.jit(lambda matrix: matrix @ matrix)

    def work() -> None:
        for _ in range(times):
            jax.block_until_ready(multiply(matrix))

    return work, {}


def peak() -> int:
    """Most bytes at once so far: a device's own where it counts them, on a CPU this process's."""
    return (jax.local_devices()[0].memory_stats() or {}).get(
        "peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )


def main(kind: str, case: str, *numbers: str) -> None:
    began = time.perf_counter()
    amounts = [int(number) for number in numbers]
    made = {
        "chisel": lambda: chisel(CASES[case], *amounts),
        "plain": lambda: vmapped(CASES[case], *amounts),
        "probing": lambda: probing(CASES[case], *amounts),
        "product": lambda: product(*amounts),
    }
    work, facts = made[kind]()
    compiled = time.perf_counter() - began
    work()
    print(json.dumps({"ready": compiled, **facts}), flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        found = work() or {}
        found |= {"processor_seconds": time.process_time() - began, "peak": peak()}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
