"""What a sweep would train, what a folder holds, and what there is to choose from."""

import inspect
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from folders import Place, as_place, at_once
from sweeps import store
from sweeps.devices import default_chunk, platform
from sweeps.plan import make_plan
from sweeps.spec import SpecError, load_spec, nearest

OPERATIONS_PER_SECOND = {"cpu": 40e9, "gpu": 1e12, "tpu": 1e12}
"""Of one worker, for estimates. Assumed: on CPU cores of 90 GFLOP/s (large products) learners reach 30 to 140, by the
benchmark's count; on accelerators nothing has been measured."""


RATE_SHARDS = 1000
"""The last so many say how fast a run is."""
PAUSE_SECONDS, PAUSE_GAPS = 60.0, 20.0
"""No shard for longer than this, and than so many times the usual: the run was stopped in between."""


def describe_plan(
    spec: str | Path | Mapping[str, Any], overrides: Iterable[str] = (), memory: bool = True
) -> dict[str, Any]:
    """What a run of this spec would train; trains nothing.

    Args:
      spec, overrides: as for `load_spec`.
      memory: whether to compile the first program, to read its memory off.
    Returns:
      spec, platform, workers, chunk, lanes, shards; conditions (id, factors); programs (id, lanes, static settings,
      updates and env_steps of a lane); memory of the first program, None or bytes (per_lane, temporary, and device, a
      whole chunk's);
      operations, and the seconds that they take here and on one GPU (estimates, from assumed speeds); half_width (of a
      95% interval of a rate of one half); found, the differences between two conditions' rates that are found with a
      power of 0.8 (see `_differences`); rarest, the rate of an outcome that some seed of a condition has with
      probability 0.95. With a precision all of this is of the first round, and rounds, otherwise None, has precision;
      max_seeds; lanes (of all conditions at max_seeds); expected, as `sweeps.rounds.expected`.
    """
    from analysis import half_width, upper_bound
    from sweeps.executors.processes import cores
    from sweeps.rounds import expected

    checked = load_spec(spec, overrides)
    kind, devices = platform()
    plan = make_plan(checked, kind, default_chunk(checked, kind, devices))
    workers = min(len(cores()) if kind == "cpu" else devices, len(plan.shard_ids))
    operations = sum(
        # The last chunk is padded, and trains as long as a full one.
        math.ceil(len(conditions) * checked.seeds / plan.chunk) * plan.chunk * plan.operations[program.id]
        for program, conditions in plan.programs
    )
    speed = OPERATIONS_PER_SECOND
    found = None
    if memory:
        read = plan.programs[0][0].build().memory()
        lane, temporary = read["per_lane_bytes"], read["temporary_bytes"]
        found = {"per_lane": lane, "temporary": temporary, "device": plan.chunk * lane + temporary}
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
                "id": program.id,
                "lanes": len(conditions) * checked.seeds,
                "updates": plan.updates[program.id],
                "env_steps": plan.env_steps[program.id],
                "static": program.static,
            }
            for program, conditions in plan.programs
        ],
        "memory": found,
        "seconds": operations / (speed.get(kind, speed["gpu"]) * workers),
        "seconds_on_a_gpu": operations / speed["gpu"],
        "operations": operations,
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


def status(folder: str | Place, verify: bool = False) -> dict[str, Any]:
    """How far a run is; changes nothing, and reads no more of each table than its end.

    Args:
      verify: whether to read every finished shard's tables, and to check their digests.
    Returns:
      folder, name, world; lanes (planned, done, missing, diverged, failed: missing ones whose shard failed); shards
      (planned, done, failed, damaged); layers (the lanes that each planned); rounds, None unless the sweep has a
      precision: precision, max_seeds, and of each of its conditions id, factors, seeds (planned) and rounds (in how
      many they came); failed (shard, lanes and reason of each); damaged (a line a file); running (who trains here now,
      or None where nobody is known to); lanes_per_second (over the last shards, by the times of their files) and
      seconds_left at that rate, None where nothing can be said.
    Raises:
      ValueError: not a results folder.
      RemoteError: an object store does not do what is asked, in one line.
    """
    from sweeps import locks

    folder = as_place(folder)
    layers = store.read_manifest(folder)
    if layers is None:
        why = "it has no manifest.json" if folder.is_dir() else "there is no such folder"
        raise SpecError(folder, f"is not a results folder: {why}.")
    sizes = {shard: n for layer in layers for shard, n in zip(layer["shards"], store.sizes(layer), strict=True)}
    times = {shard: at for shard, at in store.times(folder, "outcomes").items() if shard in sizes}
    failed = [shard for shard in store.names(folder, "failed") if shard in sizes and shard not in times]
    damaged: list[str] = []
    diverged = 0

    def look(shard: str) -> tuple[list[str], int]:
        found = [*map(str, store.damage(folder, store.SHARD_TABLES, shard) or ())] if verify else []
        try:
            return found, store.diverged_lanes(folder, shard)
        except store.DamagedError as error:
            return found if verify else [str(error)], 0

    for found, lanes in at_once(folder, look, times):
        damaged += found
        diverged += lanes
    planned, done = sum(sizes.values()), sum(sizes[shard] for shard in times)
    rate = _rate([(at, sizes[shard]) for shard, at in times.items()])
    return {
        "folder": str(folder),
        "name": layers[-1]["spec"].get("name"),
        "world": layers[-1]["world"],
        "lanes": {
            "planned": planned,
            "done": done,
            "missing": planned - done,
            "diverged": diverged,
            "failed": sum(sizes[shard] for shard in failed),
        },
        "shards": {"planned": len(sizes), "done": len(times), "failed": len(failed), "damaged": len(damaged)},
        "layers": [sum(store.sizes(layer)) for layer in layers],
        "rounds": _rounds(layers),
        "failed": [
            {"shard": shard, "lanes": sizes[shard], "reason": store.failure(folder, shard)} for shard in sorted(failed)
        ],
        "damaged": sorted(damaged),
        "running": locks.holder(folder),
        "lanes_per_second": rate,
        "seconds_left": (planned - done) / rate if rate else None,
    }


def _rounds(layers: list[dict[str, Any]]) -> dict[str, Any] | None:
    last = layers[-1]["spec"]
    if not isinstance(last.get("precision"), float):
        return None
    conditions: dict[str, dict[str, Any]] = {}
    for layer in layers:
        settings = store.settings_of(layer)
        for one, (_, stop) in layer["seeds"].items():
            values = {**settings.get(one, {}), "arm": layer["arms"].get(one)}
            factors = {key: values[key] for key in layer["factors"] if key in values}
            rounds = conditions.get(one, {"rounds": 0})["rounds"] + 1
            conditions[one] = {"id": one, "factors": factors, "seeds": stop, "rounds": rounds}
    return {
        "precision": last["precision"],
        "max_seeds": last.get("max_seeds"),
        "conditions": list(conditions.values()),
    }


def _rate(written: list[tuple[float, int]]) -> float | None:
    """Lanes a second over the last shards: those after the last gap that looks like a pause.

    Args:
      written: when each shard was written, and its lanes.
    """
    recent = sorted(written)[-RATE_SHARDS:]
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(recent)]
    if not gaps:
        return None
    pause = max(PAUSE_SECONDS, PAUSE_GAPS * statistics.median(gaps))
    start = max((place + 1 for place, gap in enumerate(gaps) if gap > pause), default=0)
    seconds = recent[-1][0] - recent[start][0]
    # The first shard's own time is not known: it marks the beginning.
    return sum(lanes for at, lanes in recent[start:] if at > recent[start][0]) / seconds if seconds > 0 else None


def worlds(only: str | None = None) -> list[dict[str, Any]]:
    """Every world, then every learner.

    A world's record has world (its name), doc, goals (name, role), actions, counters, settings (key, default, accepts,
    static, doc) and, of its default kind, probes (name, kind, goals, paid, labels, held_out, levels, episodes,
    horizon). A gymnax environment has no goals; what else there is to say is None unless it is asked for: to know that,
    it has to be built, and some download data for that. A learner's record has learner and settings.

    Args:
      only: the name of one world or learner.
    Raises:
      SpecError: nothing has this name.
    """
    import envs
    import jaxrl

    def settings(found: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"key": s.key, "default": s.default, "accepts": s.describe(), "static": s.static, "doc": s.doc}
            for s in found.values()
        ]

    def described(name: str) -> dict[str, Any]:
        if name not in envs.WORLDS and only is None:
            return {"world": name, "goals": [], "counters": []} | dict.fromkeys(
                ("doc", "actions", "settings", "probes")
            )
        world = envs.make(name)
        return {
            "world": name,
            "doc": inspect.getdoc(type(world)),
            "goals": [{"name": goal.name, "role": goal.role} for goal in world.goals],
            "actions": list(world.action_names),
            "counters": list(world.counters),
            "settings": settings(envs.settings(name)),
            "probes": [
                {
                    "name": one.name, "kind": one.kind, "goals": list(one.goals), "labels": one.labels,
                    "held_out": one.held_out, "levels": one.distinct, "episodes": one.episodes, "horizon": one.horizon,
                    "paid": list(one.paid),
                }
                for one in world.probes()
            ],
        }  # fmt: skip

    parts = {
        "learner": (jaxrl.learners(), jaxrl.settings),
        "curriculum": (jaxrl.curricula(), jaxrl.curriculum_settings),
    }
    known = [*envs.names(), *(name for names, _ in parts.values() for name in names)]
    if only is not None and only not in known:
        raise SpecError(only, f"no world, learner or curriculum has this name; nearest: {nearest(only, known)}.")
    records = [described(name) for name in envs.names() if only in (None, name)]
    return records + [
        {part: name, "settings": settings(settings_of(name))}
        for part, (names, settings_of) in parts.items()
        for name in names
        if only in (None, name)
    ]
