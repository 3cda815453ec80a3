"""What a sweep would train, what a folder holds, and what there is to choose from."""

import inspect
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeps import store
from sweeps.devices import default_chunk, platform
from sweeps.plan import make_plan
from sweeps.spec import SpecError, load_spec, nearest

OPERATIONS_PER_SECOND = {"cpu": 40e9, "gpu": 1e12, "tpu": 1e12}
"""Of one worker, for estimates. Assumed: on CPU cores of 90 GFLOP/s (large products) learners reach 30 to 140, by the
benchmark's count; on accelerators nothing has been measured."""


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
      95% interval of a rate of one half).
    """
    from analysis import half_width
    from sweeps.executors.processes import cores

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
    }


def status(folder: str | Path) -> dict[str, Any]:
    """How far a run is, and what it found so far; changes nothing.

    Returns:
      folder, name, world; lanes (planned, done, missing, diverged); shards (planned, done, damaged); damaged (a line
      for each damaged file); labels (finished lanes by label; empty where there are none, or where files are damaged).
    Raises:
      ValueError: not a results folder.
    """
    import analysis

    folder = Path(folder)
    layers = store.read_manifest(folder)
    if layers is None:
        why = "it has no manifest.json" if folder.is_dir() else "there is no such folder"
        raise SpecError(folder, f"is not a results folder: {why}.")
    planned, shards = 0, []
    for layer in layers:
        planned += sum(program["lanes"] for program in layer["programs"].values())
        shards += layer["shards"]
    done = diverged = shards_done = 0
    damaged: list[str] = []
    for shard in shards:
        found = store.damage(folder, store.SHARD_TABLES, shard)
        damaged += map(str, found or ())
        if found is None:
            outcomes = store.read_table(folder, "outcomes", shard)
            shards_done += 1
            done += outcomes.num_rows
            diverged += sum(outcomes["diverged"].to_pylist())
    labels = {}
    if done and not damaged:
        counts = analysis.load(folder)["label"].value_counts(sort=False)
        labels = {str(label): int(count) for label, count in counts.items()}
    return {
        "folder": str(folder),
        "name": layers[-1]["spec"].get("name"),
        "world": layers[-1]["world"],
        "lanes": {"planned": planned, "done": done, "missing": planned - done, "diverged": diverged},
        "shards": {"planned": len(shards), "done": shards_done, "damaged": len(damaged)},
        "damaged": damaged,
        "labels": labels,
    }


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
