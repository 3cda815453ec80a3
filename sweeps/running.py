"""Runs what a results folder lacks of a sweep."""

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps import store
from sweeps.devices import default_chunk, platform
from sweeps.executors import Execute, Failed, Job, crew, reason
from sweeps.plan import Plan, make_plan
from sweeps.progress import Meter
from sweeps.sheets import leave_sheets
from sweeps.spec import Spec, SpecError, load_spec
from sweeps.worker import Receipt

_COMPARED = ("conditions", "arms", "programs", "shards", "factors", "versions", "platform", "chunk")
"""What must agree before a run may add to a folder: all that decides its rows. The sweep's name may differ."""


@dataclass
class Finished:
    """What a run did."""

    folder: Path
    lanes: int
    """In the sweep."""
    ready: int
    """Lanes that were on disk before."""
    trained: int = 0
    compiles: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """The reason, by shard."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped; what it says is on disk is whole."""


def run(
    spec: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    executor_name: str = "processes",
    quiet: bool = False,
) -> Finished:
    """Trains the lanes of a sweep that are not in its folder yet, and writes their tables and a sheet of levels.

    Args:
      spec, overrides: as for `load_spec`.
      out: the results folder, `results/NAME` by default. One that holds a part of this sweep is completed.
      workers: processes; by default one a core, or one an accelerator.
      executor_name: `processes`, or `inline` (this process, for debugging).
      quiet: without progress on stderr.
    Raises:
      SpecError: the spec or the folder will not do; nothing has been touched.
      Interrupted: Ctrl-C; what is on disk is whole, and running again goes on from there.
    """
    with crew(executor_name, workers) as execute:
        return _run(load_spec(spec, overrides), out, execute, quiet)


def _run(spec: Spec, out: str | Path | None, execute: Execute, quiet: bool) -> Finished:
    folder = Path(out) if out is not None else Path("results") / spec.name
    layer = _existing_layer(folder)
    kind, devices = platform()
    plan = make_plan(spec, kind, layer["chunk"] if layer is not None else default_chunk(spec, kind, devices))
    if layer is None:
        _begin(folder, plan)
    else:
        _refuse_another(folder, layer, plan)
    store.remove_stale(folder)

    finished = Finished(folder, plan.lanes, 0)
    meter = Meter(plan, quiet)
    missing = _missing(folder, plan, finished, meter)
    job = Job(folder.resolve(), spec.policies, kind, devices)
    shards = (shard for shard in plan.shards() if shard.id in missing)
    drawing = threading.Thread(target=_draw, args=(folder, plan, meter))
    drawing.start()  # while workers compile, and the driver has nothing else to do
    try:
        with meter, contextlib.closing(execute(job, meter.handing_out(shards))) as events:
            for event in events:
                meter.see(event)
                if isinstance(event, Receipt):
                    finished.trained += event.lanes
                    finished.compiles += event.compiles
                elif isinstance(event, Failed):
                    finished.failed[event.shard] = event.reason
    except KeyboardInterrupt:
        there = _on_disk(folder, plan)
        raise Interrupted(f"{there} of {plan.lanes} lanes are on disk in {folder}; run again to go on.") from None
    finally:
        drawing.join()
    # Counted anew: a worker may have died between writing a shard and saying so.
    finished.ready = _on_disk(folder, plan) - finished.trained
    return finished


def _draw(folder: Path, plan: Plan, meter: Meter) -> None:
    """Leaves sheets of levels. No result depends on a picture, so nothing that goes wrong here ends a run."""
    try:
        leave_sheets(folder, plan)
    except Exception as error:
        meter.say(f"no picture of the levels: {reason(error)}")


def _on_disk(folder: Path, plan: Plan) -> int:
    return sum(len(s.lanes) for s in plan.shards() if store.table_path(folder, "outcomes", s.id).exists())


def _existing_layer(folder: Path) -> dict[str, Any] | None:
    try:
        if folder.exists() and not folder.is_dir():
            raise SpecError(folder, "is a file; expected a folder to write to (--out DIR).")
        layers = store.read_manifest(folder)
    except store.DamagedError as error:
        raise SpecError(f"{error}; move it away and run again, or give another --out.") from None
    except OSError as error:  # a name that is too long, for one
        raise SpecError(folder, f"cannot be a folder ({error.strerror}); give another --out.") from None
    return layers[-1] if layers else None


def _begin(folder: Path, plan: Plan) -> None:
    """Writes the manifest, unless the folder holds something that this plan would not write."""
    ours = {*plan.shard_ids, *(program.id for program, _ in plan.programs)}
    try:
        for path in sorted(folder.rglob("*.parquet")) if folder.is_dir() else []:
            if path.stem not in ours:
                found = f"holds {path.relative_to(folder)}, which this sweep would not write, and no manifest.json"
                raise SpecError(folder, f"{found}; give another --out.")
        folder.mkdir(parents=True, exist_ok=True)
        store.write_manifest(folder, [plan.layer()])
    except OSError as error:
        raise SpecError(folder, f"cannot be written ({error.strerror or error}); give another --out.") from None


def _refuse_another(folder: Path, layer: dict[str, Any], plan: Plan) -> None:
    """Raises SpecError where the folder's run is not this plan's, or cannot be added to."""
    here = json.loads(json.dumps(plan.layer()))
    before, after = _decisive(layer), _decisive(here)
    same_policies = before.get("save.policies") == after["save.policies"]
    if any(layer.get(key) != here[key] for key in _COMPARED) or not same_policies:
        differ = [key for key in after | before if before.get(key) != after.get(key)]
        shown = [f"{key} {_shown(before, key)} there, {_shown(after, key)} here" for key in differ[:3]]
        more = [f"and {len(differ) - 3} more"] if len(differ) > 3 else []
        moved = "the arms come in another order" if layer.get("arms") == here["arms"] != {} else None
        what = ", ".join(shown + more) or moved or "a default has changed since"
        raise SpecError(folder, f"holds the run of another spec ({what}); give another --out, or the same spec.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SpecError(folder, "cannot be written (permission denied); give another --out.")


def _decisive(layer: dict[str, Any]) -> dict[str, Any]:
    """What a layer's rows depend on, as the user knows it: by dotted key."""
    versions = {f"versions.{key}": value for key, value in layer["versions"].items()}
    found = layer["spec"] | versions | {"platform": layer["platform"]}
    return {key: value for key, value in found.items() if key != "name"}


def _shown(values: dict[str, Any], key: str) -> str:
    text = json.dumps(values[key]) if key in values else "not given"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _missing(folder: Path, plan: Plan, finished: Finished, meter: Meter) -> set[str]:
    """The shards to run; damaged files are named and set aside."""

    def sound(kinds: tuple[str, ...], name: str) -> bool:
        found = store.damage(folder, kinds, name)
        for error in found or ():
            meter.say(f"{error}; kept as {store.set_aside(error.path).name}, and made again.")
        return found is None

    # A program's own tables are written by whoever runs a shard of it, so one has to run even if all are done.
    unready = {program.id for program, _ in plan.programs if not sound(store.PROGRAM_TABLES, program.id)}
    missing = set()
    for shard in plan.shards():
        done = sound(store.SHARD_TABLES, shard.id) and store.has_policies(folder, shard, plan.spec.policies)
        if done:
            finished.ready += len(shard.lanes)
            meter.ready(shard)
        if not done or shard.program.id in unready:
            missing.add(shard.id)
            unready.discard(shard.program.id)
    return missing
