"""How far a run is, read off its folder."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from analysis.folder import (
    DamagedError,
    Layer,
    Place,
    as_place,
    at_once,
    damage,
    diverged_lanes,
    finished,
    names_in,
    read_failure,
    read_manifest,
    store_of,
    times_in,
)

RATE_SHARDS = 1000
"""The last so many say how fast a run is."""
PAUSE_SECONDS, PAUSE_GAPS = 60.0, 20.0
"""No shard for longer than this, and than so many times the usual: the run was stopped in between."""


def status(folder: str | Place, verify: bool = False) -> dict[str, Any]:
    """The progress of a run. Changes nothing, and reads only the end of each table.

    Args:
      verify: whether to read every finished shard's tables and internals, and to check their digests.
    Returns:
      folder, name, world; lanes (planned, done, missing, diverged, failed: missing ones whose shard failed); shards
      (planned, done, failed, damaged); layers (the lanes that each planned); rounds, None unless the sweep has a
      precision: precision, max_seeds, and of each of its conditions id, factors, seeds (planned) and rounds (in how
      many they came); failed (shard, lanes and reason of each); damaged (a line a file); running (who trains here now,
      or None where nobody is known to); has_locks (whether that can be told here); lanes_per_second (over the last
      shards, by the times of their files) and seconds_left at that rate, None where nothing can be said.
    Raises:
      ValueError: not a results folder.
      RemoteError: an object store does not do what is asked, in one line.
    """
    folder = as_place(folder)
    manifest = read_manifest(folder)
    layers, inside = manifest.layers, manifest.shards
    ready = finished(folder, inside)
    times = {shard: at for shard, at in times_in(folder, "outcomes").items() if shard in ready.alone}
    failed = [shard for shard in names_in(folder, "failed") if shard in inside and shard not in ready]
    damaged: list[str] = []
    diverged = 0

    def look(file: str) -> tuple[list[str], int]:
        found = [*map(str, damage(folder, manifest.tables, file) or ())] if verify else []
        try:
            return found, diverged_lanes(folder, file)
        except DamagedError as error:
            return found if verify else [str(error)], 0

    internals = [name for name in names_in(folder, "internals") if name.rpartition("-")[2] in inside] * verify
    for broken in at_once(folder, lambda name: damage(folder, ("internals",), name) or (), internals):
        damaged += map(str, broken)
    for found, lanes in at_once(folder, look, ready.files):
        damaged += found
        diverged += lanes
    planned, done = sum(inside.values()), sum(lanes for shard, lanes in inside.items() if shard in ready)
    rate = _rate([(at, inside[shard]) for shard, at in times.items()])
    return {
        "folder": str(folder),
        "name": layers[-1].spec.get("name"),
        "world": layers[-1].world,
        "lanes": {
            "planned": planned,
            "done": done,
            "missing": planned - done,
            "diverged": diverged,
            "failed": sum(inside[shard] for shard in failed),
        },
        "shards": {
            "planned": len(inside),
            "done": len(ready.alone) + len(ready.packed),
            "failed": len(failed),
            "damaged": len(damaged),
        },
        "layers": [layer.lanes for layer in layers],
        "rounds": _rounds(layers),
        "failed": [
            {"shard": shard, "lanes": inside[shard], "reason": read_failure(folder, shard)} for shard in sorted(failed)
        ],
        "damaged": sorted(damaged),
        "running": store_of(folder).holder(folder),
        "has_locks": store_of(folder).has_locks,
        "lanes_per_second": rate,
        "seconds_left": (planned - done) / rate if rate else None,
    }


def _rounds(layers: Sequence[Layer]) -> dict[str, Any] | None:
    last = layers[-1].spec
    if not isinstance(last.get("precision"), float):
        return None
    conditions: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for one, (_, stop) in layer.seeds.items():
            values = {**layer.settings_of(one), layer.part: layer.arms.get(one)}
            factors = {key: values[key] for key in layer.factors if key in values}
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
