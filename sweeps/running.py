"""Runs what a results folder lacks of a sweep."""

import contextlib
import dataclasses
import functools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from analysis.folder import (
    PROGRAM_TABLES,
    BusyError,
    DamagedError,
    Finished,
    Place,
    as_place,
    at_once,
    clear_failure,
    damage,
    finished,
    has_policies,
    read_manifest,
    set_aside,
    store_of,
    table_path,
    write_failure,
)
from sweeps.devices import check_workers, default_chunk, platform
from sweeps.environment import pinned
from sweeps.executors import Execute, Failed, Job, crew, reason
from sweeps.layers import Part, Sweep, Task, opened
from sweeps.plan import Plan
from sweeps.progress import Meter, say
from sweeps.rounds import next_round
from sweeps.sheets import leave_sheets
from sweeps.sources import of_session, unrecorded
from sweeps.spec import Spec, SpecError, load_spec
from sweeps.spec.keys import CHECKPOINTS
from sweeps.worker import Receipt, run_shard


@dataclass
class RunSummary:
    """What a run did."""

    folder: Place
    lanes: int
    """That the spec has, or the run's part of it."""
    ready: int
    """Of them, on disk before."""
    trained: int = 0
    others: int = 0
    """Lanes that the folder is to hold and that the spec does not have."""
    compiles: int = 0
    resumed: int = 0
    """Lane-updates that came from checkpoints."""
    failed: dict[str, str] = field(default_factory=dict)
    """The reason, by shard."""
    lost: int = 0
    """Failed shards whose worker died, so that another attempt may succeed."""
    too_wide: int = 0
    """Conditions that have `max_seeds`, and a rate that is not known to the precision of the spec."""
    has_goals: bool = False
    """Whether the world has goals, so that policies are labelled."""

    def follow(self, earlier: "RunSummary") -> None:
        """Counts what earlier rounds of the same run did with this one's."""
        self.trained += earlier.trained
        self.ready -= earlier.trained
        self.compiles += earlier.compiles
        self.resumed += earlier.resumed


DRAWING_SECONDS = 1.0
"""How long a run that is stopped waits for a picture."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped; what it says is on disk is whole."""


def run(
    spec: str | Path | Mapping[str, Any],
    out: str | Place | None = None,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    executor_name: str = "processes",
    quiet: bool = False,
    part: tuple[int, int] = (1, 1),
    checkpoint_every: float | None = None,
) -> RunSummary:
    """Trains the lanes of a sweep that are not in its folder yet, and writes their tables and a sheet of levels.

    A folder grows: where the spec has seeds, values, factors or arms that the folder's sweep has not, they are added to
    it (see docs/running.md). With a precision, rounds of more seeds follow until the rates are known, each a layer.

    Args:
      spec, overrides: as for `load_spec`.
      out: the results folder, `results/NAME` by default. One that holds a part of this sweep is completed.
      workers: processes, or tasks at once; by default one per core, or one per accelerator.
      executor_name: `processes`, `ray` (the cluster that RAY_ADDRESS names, or one of this machine for this run), or
        `inline` (this process, for debugging).
      quiet: without progress on stderr.
      part: (I, N), part I of N of the sweep, counted from 1: each may run on a machine of its own.
      checkpoint_every: seconds between two checkpoints of an unfinished shard, from which another run continues.
    Raises:
      SpecError: the spec, the folder or the device cannot be used, or another run trains the same shards; nothing has
        been touched.
      Interrupted: Ctrl-C or SIGTERM; what is on disk is whole, and running again continues from there. With
        checkpoints, those of the unfinished shards have been written.
    """
    if checkpoint_every is not None and not checkpoint_every > 0:
        raise SpecError("checkpoint-every", f"{checkpoint_every} is not a time; expected seconds, more than 0.")
    with _terminable() as noticed, pinned(), crew(executor_name, workers) as execute:
        kind, devices = platform()
        if executor_name == "processes":
            check_workers(kind, devices, workers)
        checked = load_spec(spec, overrides)
        if checked.precision is not None and part != (1, 1):
            why = "with a precision, each round is decided from all of the round before, by one run"
            raise SpecError(f"shards: {Part(*part)}: {why}; leave --shards out.")
        folder = as_place(out) if out is not None else Path("results") / checked.name
        _check_own_classes(checked, folder, inline=executor_name == "inline")
        work = functools.partial(run_shard, folder.absolute(), policies=checked.policies)
        job = Job(work, kind, devices, checkpoint_every)
        train = functools.partial(_round, checked, folder, Part(*part), job, execute, quiet, noticed)
        summary, asked = train({})
        while checked.precision is not None and not summary.failed:
            seeds, summary.too_wide = next_round(folder, asked)
            if not seeds:
                break
            if not quiet:
                of = f"{summary.too_wide:,} of {len(asked.seeds):,} conditions"
                say(f"{of} have rates that are not known to +-{checked.precision:g}; {len(seeds):,} get more seeds.")
            earlier = summary
            summary, asked = train(seeds)
            summary.follow(earlier)
        return summary


def _check_own_classes(spec: Spec, folder: Place, inline: bool) -> None:
    """Raises SpecError where the spec names a class of this session's that will not do: workers cannot import it, and
    of one that no file defines, a folder cannot tell whether it is still the class that trained what is there."""
    for key, value in spec.given.items():
        for name in value if isinstance(value, list) else [value]:
            if not inline and of_session(name):
                hint = 'train with executor_name="inline", or move it into a file'
                raise SpecError(spec.source, key, f"workers cannot import {name} from a notebook or a script; {hint}.")
            if unrecorded(name) and _has_layers(folder):
                why = f"has results already, but no file shows whether {name} is still the class that trained them"
                raise SpecError(folder, f"{why}; give another folder, or move the class into a file.")


def _has_layers(folder: Place) -> bool:
    try:
        return bool(read_manifest(folder).layers)
    except (ValueError, OSError):  # none, or one that is refused when it is opened
        return False


def _round(
    spec: Spec, folder: Place, part: Part, job: Job, execute: Execute, quiet: bool, noticed: threading.Event,
    seeds: Mapping[str, int],
) -> tuple[RunSummary, Plan]:  # fmt: skip
    """Trains what a folder lacks of a spec, or of a round of it; returns the spec's plan too.

    Args:
      seeds: by condition, the seeds of the round; without a precision, there are none.
    """
    chunk = functools.partial(default_chunk, spec, job.platform, job.devices)
    try:
        with opened(folder, spec, part, job.platform, chunk, seeds) as (sweep, lock):
            meter = Meter(sweep.layers, quiet)
            if not lock.works:
                say(f"{folder}: this storage has no locks; make sure that no other run trains the same shards.")
            if sweep.grew and not quiet:
                say(f"{folder} grows by {sweep.grew:,} lanes, to {sweep.lanes:,}.")
            return _train(sweep, folder, part, execute, job, meter, noticed), sweep.asked
    except BusyError as error:
        hint = "wait until it ends" + ", or share the work: --shards I/N" * (spec.precision is None)
        raise SpecError(folder, f"another run is training these shards ({error}); {hint}.") from None


@contextlib.contextmanager
def _terminable() -> Iterator[threading.Event]:
    """SIGTERM, as machines send it that are about to be taken away, ends a run as Ctrl-C does.

    The event is set by it too: what is raised while the interpreter is in a callback of its own is lost.
    """
    noticed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noticed
        return

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut short what the first began
        noticed.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield noticed
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _train(
    sweep: Sweep, folder: Place, part: Part, execute: Execute, job: Job, meter: Meter, noticed: threading.Event
) -> RunSummary:
    store_of(folder).remove_stale(folder)
    summary = RunSummary(folder, 0, 0, has_goals=bool(sweep.asked.goals))
    wanted: dict[str, int] = {}
    missing: dict[str, bool] = {}
    for task, todo in _checked(sweep, folder, part):
        wanted[task.shard.id] = task.lanes
        summary.lanes += task.lanes
        meter.expect(task, there=not todo)
        if todo:
            missing[task.shard.id] = task.shard.packed
    summary.others = sweep.lanes - sweep.asked.lanes
    tasks = (
        task._replace(shard=dataclasses.replace(task.shard, packed=missing[task.shard.id]))
        for task in sweep.tasks(part)
        if task.shard.id in missing
    )
    try:
        with (
            _drawing(folder, sweep.asked) as draw,
            meter,
            contextlib.closing(execute(job, meter.handing_out(tasks))) as events,
        ):
            for event in events:
                meter.see(event)
                draw()
                if isinstance(event, Receipt):
                    clear_failure(folder, event.shard)
                    summary.trained += wanted[event.shard] if event.lanes else 0
                    summary.compiles += event.compiles
                    summary.resumed += event.resumed
                    if event.unused:
                        say(f"shard {event.shard}: its checkpoint could not be used ({event.unused}); trained again.")
                elif isinstance(event, Failed):
                    write_failure(folder, event.shard, event.reason)
                    summary.failed[event.shard] = event.reason
                    summary.lost += event.lost
                if noticed.is_set():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        there = _on_disk(folder, sweep, wanted)
        raise Interrupted(f"{there} of {summary.lanes} lanes are on disk in {folder}; run again to continue.") from None
    # Counted again: a worker may have died between writing a shard and saying so.
    summary.ready = _on_disk(folder, sweep, wanted) - summary.trained
    return summary


@contextlib.contextmanager
def _drawing(folder: Place, plan: Plan) -> Iterator[Callable[[], None]]:
    """Gives what begins to draw sheets of levels, in a thread: once workers train, as nobody waits for a picture.

    The thread is joined whatever happens, because a process that ends while it runs native code is aborted; only an
    interrupt, after which the command leaves without further ado, does not wait for long.
    """
    thread = threading.Thread(target=_draw, args=(folder, plan), daemon=True)

    def begin() -> None:
        if thread.ident is None:
            thread.start()

    patience = None
    try:
        yield begin
        begin()
    except KeyboardInterrupt:
        patience = DRAWING_SECONDS
        raise
    finally:
        if thread.ident is not None:
            thread.join(patience)


def _draw(folder: Place, plan: Plan) -> None:
    """Leaves sheets of levels. No result depends on a picture, so nothing that goes wrong here ends a run."""
    try:
        leave_sheets(folder, plan)
    except Exception as error:
        say(f"no picture of the levels: {reason(error)}")


def _on_disk(folder: Place, sweep: Sweep, wanted: Mapping[str, int]) -> int:
    done = finished(folder, sweep.shards)
    return sum(lanes for shard, lanes in wanted.items() if shard in done)


def _checked(sweep: Sweep, folder: Place, part: Part) -> Iterator[tuple[Task, bool]]:
    """The run's shards, with whether they have to be run; damaged files are named and set aside."""

    def sound(found: list[DamagedError] | None) -> bool:
        for error in found or ():
            say(f"{error}; kept as {set_aside(error.path).name}, and created again.")
        return found is None

    there = _with_sound_packs(sweep, folder, part)

    def look(task: Task) -> tuple[Task, list[DamagedError] | None, bool]:
        if task.shard.id not in there:
            return task, [], False
        found = damage(folder, sweep.asked.tables, task.shard.id) if task.shard.id in there.alone else None
        saved = sweep.asked.spec.policies
        return task, found, not saved or has_policies(folder, task.shard.id, saved == CHECKPOINTS)

    programs: dict[str, bool] = {}
    for task, found, kept in at_once(folder, look, sweep.tasks(part)):
        program = task.shard.program.id
        # A program's own tables are written by whoever runs a shard of it, so one has to run even if all are done.
        if program not in programs:
            programs[program] = sound(damage(folder, PROGRAM_TABLES, program))
        done = sound(found) and kept
        if done and task.shard.id in there.packed:
            task = task._replace(shard=dataclasses.replace(task.shard, packed=True))
        yield task, not (done and programs[program])
        programs[program] = True


def _with_sound_packs(sweep: Sweep, folder: Place, part: Part) -> Finished:
    """What is done of a folder, once packs with shards of the run have been checked, and damaged ones set aside."""
    there, ours = finished(folder, sweep.shards), [places for places in sweep.places(part) if places]
    for name, inside in there.packs.items():
        if not any(places.start < inside.stop and inside.start < places.stop for places in ours):
            continue
        found = damage(folder, sweep.asked.tables, name)
        if found is not None:
            what = "; ".join(map(str, found)) or f"{folder}: the pack {name} lacks a table"
            say(f"{what}; the pack is kept as {name}.parquet.bad, and its {len(inside):,} shards are trained again.")
            for kind in reversed(sweep.asked.tables):  # without its outcomes it is not in force
                set_aside(table_path(folder, kind, name))
    return finished(folder, sweep.shards)
