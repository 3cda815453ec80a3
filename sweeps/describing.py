"""What a sweep would train, what it needs, and what it could find."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeps import compiling
from sweeps.devices import default_chunk, platform
from sweeps.environment import pinned
from sweeps.plan import Plan, make_plan
from sweeps.spec import load_spec

OPERATIONS_PER_SECOND = {"cpu": 40e9, "gpu": 1e12, "tpu": 1e12}
"""Of one worker, for estimates. Assumed: on CPU cores of 90 GFLOP/s (large products) learners reach 30 to 140, by the
benchmark's count; on accelerators nothing has been measured."""


@pinned()
def describe_plan(
    spec: str | Path | Mapping[str, Any], overrides: Iterable[str] = (), memory: bool = True
) -> dict[str, Any]:
    """What a run of this spec would train; trains nothing.

    Args:
      spec, overrides: as for `load_spec`.
      memory: whether to compile the first program, to read its memory off; a run then finds it compiled.
    Returns:
      spec, platform, workers, chunk, lanes, shards; conditions (id, factors); programs (id, lanes, static settings,
      updates and env_steps of a lane); memory of the first program, None or bytes (per_lane, temporary, and device, a
      whole chunk's);
      compiling: timed, the programs that this machine's cache has a record of, and seconds, what one of them took to
      compile, on average, or None;
      flops (floating-point operations), and the seconds that they take here and on one GPU (estimates, from assumed
      speeds); half_width (of a 95% interval of a rate of one half); found, the differences between two conditions'
      rates that are found with a power of 0.8 (see `_differences`); rarest, the rate of an outcome that some seed of a
      condition has with probability 0.95. With a precision all of this is of the first round, and rounds, otherwise
      None, has precision; max_seeds; lanes (of all conditions at max_seeds); expected, as `sweeps.rounds.expected`.
    """
    from analysis import half_width, upper_bound
    from sweeps.executors.processes import cores
    from sweeps.rounds import expected

    kind, devices = platform()
    checked = load_spec(spec, overrides)
    plan = make_plan(checked, kind, default_chunk(checked, kind, devices))
    workers = min(len(cores()) if kind == "cpu" else devices, len(plan.shard_ids))
    flops = sum(
        # The last chunk is padded, and trains as long as a full one.
        math.ceil(len(one.conditions) * checked.seeds / plan.chunk) * plan.chunk * one.flops
        for one in plan.programs
    )
    speed = OPERATIONS_PER_SECOND
    return {
        "spec": checked.flat(),
        "platform": kind,
        "workers": workers,
        "chunk": plan.chunk,
        "lanes": plan.lanes,
        "shards": len(plan.shard_ids),
        "conditions": [{"id": one.id, "factors": one.factors} for one in plan.conditions],
        "programs": [
            {
                "id": one.program.id,
                "lanes": len(one.conditions) * checked.seeds,
                "updates": one.updates,
                "env_steps": one.env_steps,
                "static": one.program.static,
            }
            for one in plan.programs
        ],
        "memory": _memory(plan) if memory else None,
        "compiling": _compiling(plan),
        "seconds": flops / (speed.get(kind, speed["gpu"]) * workers),
        "seconds_on_a_gpu": flops / speed["gpu"],
        "flops": flops,
        "half_width": half_width(checked.seeds),
        "found": _differences(checked.seeds, len(plan.conditions)),
        "rarest": float(upper_bound(0, checked.seeds)),
        "rounds": None
        if checked.precision is None
        else {
            "precision": checked.precision,
            "max_seeds": checked.max_seeds,
            "lanes": checked.most_seeds * len(plan.conditions),
            "expected": expected(checked),
        },
    }


def _memory(plan: Plan) -> dict[str, int]:
    """Bytes of the first program, which is compiled for it unless the cache has a record of them."""
    first = plan.programs[0].program
    read = compiling.memory(first.id, first.build)
    lane, temporary = read["per_lane_bytes"], read["temporary_bytes"]
    return {"per_lane": lane, "temporary": temporary, "device": plan.chunk * lane + temporary}


def _compiling(plan: Plan) -> dict[str, Any]:
    found = [taken for one in plan.programs if (taken := compiling.seconds(one.program.id)) is not None]
    return {"timed": len(found), "seconds": sum(found) / len(found) if found else None}


def _differences(seeds: int, conditions: int) -> dict[str, Any]:
    """What comparisons between conditions find with a power of 0.8 at the 5% level, keys being independent.

    Returns:
      pairs of conditions; difference, the smallest around a rate of one half that one comparison finds; with_holm, the
      smallest that each of a family of all pairs finds, whatever the others do. None where no difference is found.
    """
    from analysis import smallest_difference

    pairs = conditions * (conditions - 1) // 2
    one = smallest_difference(seeds)
    every = smallest_difference(seeds, level=1 - 0.05 / pairs) if pairs else math.nan
    return {
        "pairs": pairs,
        "difference": None if math.isnan(one) else one,
        "with_holm": None if math.isnan(every) else every,
    }
