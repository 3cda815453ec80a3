"""Looks inside the policies that a run has saved, shard by shard: `chisel inspect`."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from analysis.folder import (
    DamagedError,
    Layer,
    Place,
    as_place,
    at_once,
    internals_name,
    load_checkpoints,
    load_policies,
    read_manifest,
    read_table,
    store_of,
    write_table,
)
from analysis.load import INTERNALS
from sweeps import tables
from sweeps.devices import check_workers, platform
from sweeps.environment import pinned
from sweeps.executors import Execute, Failed, Job, Retried, crew
from sweeps.plan import ProgramSpec, Shard
from sweeps.policies import built, saved_shards
from sweeps.progress import say
from sweeps.sources import of_session
from sweeps.spec import SpecError, nearest
from sweeps.worker import Receipt, built_here

if TYPE_CHECKING:
    import jaxrl


@dataclass
class Inspected:
    """What was looked into."""

    folder: Place
    what: str
    layers: tuple[str, ...]
    """Those that were asked for; of several programs, all of them."""
    policies: int = 0
    """That have been looked into now."""
    ready: int = 0
    """That had been before."""
    failed: dict[str, str] = field(default_factory=dict)
    """The reason, by shard."""
    lost: int = 0
    """Failed shards whose worker died, so that another attempt may succeed."""


def inspect(
    folder: str | Place,
    what: str,
    layers: Sequence[str] | None = None,
    workers: int | None = None,
    executor_name: str = "processes",
) -> Inspected:
    """Analyses all saved policies of a folder, and writes the results to `folder`/internals, one file a shard.

    If policies were saved at checkpoints, those of every checkpoint are analysed.
    What is written already is not done again: it may be interrupted, and continued when a sweep has grown.
    `analysis.load_internals(folder, what)` reads the results.

    Args:
      folder: a results folder whose spec has `save.policies = true`.
      what: one of `jaxrl.internals.METHODS`.
      layers: names of layers; None for all that the network has.
      workers, executor_name: as for `run`.
    Returns:
      What was done. An error in the policies of a shard is in `failed`, and the other shards are looked into.
    Raises:
      ValueError: one line, before anything compiles: the folder has no saved policies or cannot be written, or nothing
        of this kind can be found in them.
    """
    with pinned(), crew(executor_name, workers) as execute:
        from jaxrl.internals import METHODS

        kind, devices = platform()
        if executor_name == "processes":
            check_workers(kind, devices, workers)
        folder = as_place(folder)
        if what not in METHODS:
            raise SpecError("--what", f"no analysis is called {what!r}; nearest: {nearest(what, METHODS)}.")
        manifest = read_manifest(folder)
        shards = list(saved_shards(folder, manifest))
        if not shards:
            raise SpecError(folder, "has no saved policies; run the sweep with save.policies = true.")
        chosen: dict[str, tuple[str, ...]] = {}
        for layer, shard in shards:
            if shard.program.id not in chosen:
                inline = executor_name == "inline"
                chosen[shard.program.id] = _layers(folder, layer, shard, what, layers, inline)
        done = Inspected(folder, what, tuple(dict.fromkeys(one for some in chosen.values() for one in some)))
        look = _Look(folder.absolute(), what, chosen)
        missing = at_once(folder, look.missing, [shard for _, shard in shards])
        wanted = [shard for (_, shard), is_missing in zip(shards, missing, strict=True) if is_missing]
        done.ready = sum(len(shard.lanes) for _, shard in shards) - sum(len(shard.lanes) for shard in wanted)
        if wanted:
            trial = store_of(folder).try_out(folder / "internals")
            if not trial.is_good:
                raise SpecError(folder, f"internals cannot be written there ({trial.found}).")
            try:
                _look_into(wanted, execute, Job(look, kind, devices), done)
            except KeyboardInterrupt:
                said = f"{done.policies:,} policies have been analysed now; run again to continue."
                raise KeyboardInterrupt(said) from None
        return done


def _layers(
    folder: Place, layer: Layer, shard: Shard, what: str, asked: Sequence[str] | None, inline: bool
) -> tuple[str, ...]:
    """Those to look at in a program's policies. Raises ValueError where that cannot be done; compiles nothing."""
    from jaxrl.internals import METHODS, layers_of

    for name in shard.program.code:
        if not inline and of_session(name):
            hint = 'inspect with executor_name="inline"'
            raise SpecError(folder, f"workers cannot import {name} from a notebook or a script; {hint}.")
    program = built(folder, layer, shard)
    by_layer = METHODS[what].by_layer
    policy = _lane(load_policies(folder, shard.id), 0) if by_layer else None
    there = layers_of(program.world, program.learner, policy) if by_layer else ()
    if asked and not by_layer:
        raise SpecError("--layer", f"{what} does not use layers; leave it out.")
    if by_layer and not there:
        raise SpecError(folder, f"policies of {shard.program.learner} have no layer between inputs and logits.")
    for one in asked or ():
        if one not in there:
            said = f"the network of {shard.program.learner} has no layer {one!r}; expected {' or '.join(there)}."
            raise SpecError("--layer", said)
    chosen = tuple(one for one in there if asked is None or one in asked)
    try:
        METHODS[what](program.world, program.learner, chosen, program.chunk)
    except ValueError as error:
        raise SpecError(folder, f"{error}.") from None
    return chosen


def _look_into(shards: Sequence[Shard], execute: Execute, job: Job, done: Inspected) -> None:
    """Has shards looked into, and counts their policies; shows a bar on a terminal."""
    lanes = {shard.id: len(shard.lanes) for shard in shards}
    hidden = sys.stderr is None or not sys.stderr.isatty()
    with (
        tqdm(total=sum(lanes.values()), desc=done.what, unit=" policies", disable=hidden) as bar,
        contextlib.closing(execute(job, shards)) as events,
    ):
        for event in events:
            match event:
                case Receipt():
                    done.policies += lanes[event.shard]
                    bar.update(lanes[event.shard])
                case Failed():
                    done.failed[event.shard] = event.reason
                    done.lost += event.lost
                    say(f"shard {event.shard} failed: {event.reason}")
                case Retried():
                    say(f"shard {event.shard}: {event.reason}; trying once more.")


@dataclass(frozen=True)
class _Look:
    """What is done with a shard: its policies are looked into, and what is found is written."""

    folder: Place
    what: str
    layers: Mapping[str, tuple[str, ...]]
    """By program, those to look at."""

    def missing(self, shard: Shard) -> bool:
        """Whether anything of a shard has not been looked at."""
        return self._to_do(shard)[0] is not None

    def __call__(self, shard: Shard, **_: Any) -> Receipt:
        from jaxrl.internals import Lanes

        wanted, before = self._to_do(shard)
        if wanted is None:
            return Receipt(shard.id, 0)
        program, method = _method(shard.program, self.what, wanted)
        settings = program.settings(shard.values())
        conditions = np.array([condition.id for condition, _ in shard.lanes])
        parts = []
        for checkpoint, policies in load_checkpoints(self.folder, shard.id).items():
            lanes = Lanes(shard.keys(), policies, settings.env, conditions, settings.learner)
            found = method(lanes)
            at = np.full(next(iter(found.values())).shape, checkpoint)
            known = {name: _where(lanes.finite, one) for name, one in found.items() if name not in INTERNALS[self.what]}
            parts.append({"checkpoint": at} | found | known)
        whole = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        table = tables.internals(shard.lanes, whole)
        rows = table if before is None else pa.concat_tables([before.cast(table.schema), table])
        write_table(self.folder, "internals", internals_name(self.what, shard.id), rows)
        return Receipt(shard.id, len(shard.lanes))

    def _to_do(self, shard: Shard) -> tuple[tuple[str, ...] | None, pa.Table | None]:
        """The layers that have not been looked at (empty where the method uses none), None where all is done; and what
        has been written of the shard, None where that is nothing, damaged, or without checkpoints."""
        wanted = self.layers[shard.program.id]
        try:
            before = read_table(self.folder, "internals", internals_name(self.what, shard.id))
        except (FileNotFoundError, DamagedError):
            return wanted, None
        if "checkpoint" not in before.column_names:
            return wanted, None
        there = before["layer"].unique().to_pylist() if wanted else []
        wanted = tuple(one for one in wanted if one not in there)
        return wanted or None, before


_methods: dict[tuple[str, str, tuple[str, ...]], tuple["jaxrl.Program", Any]] = {}
"""By program, analysis and layers: what this process has made, with the program it was made of."""


def _method(program: ProgramSpec, what: str, layers: tuple[str, ...]) -> tuple["jaxrl.Program", Any]:
    """A program and an analysis of its policies; shards of one share what is compiled."""
    from jaxrl.internals import METHODS

    built, name = built_here(program), (program.id, what, layers)
    if name not in _methods or _methods[name][0] is not built:
        _methods[name] = built, METHODS[what](built.world, built.learner, layers, built.chunk)
    return _methods[name]


def _where(finite: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers [lanes, rows] with NaN where a lane is not finite; what is no float as it is."""
    return np.where(finite[:, None], values, np.nan) if values.dtype.kind == "f" else values


def _lane(policies: Any, lane: int) -> Any:
    import jax

    return jax.tree.map(lambda leaf: leaf[lane], policies)
