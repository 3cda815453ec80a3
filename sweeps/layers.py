"""What a results folder is to hold: its layers, each with the lanes that no earlier one has, and how it grows."""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from analysis.folder import (
    DamagedError,
    Layer,
    Lock,
    NoManifestError,
    Place,
    packs_among,
    read_manifest,
    store_of,
    write_manifest,
)
from sweeps.plan import Condition, Plan, ProgramSpec, Shard, canonical, in_use, make_plan
from sweeps.sources import change
from sweeps.spec import Spec, SpecError, load_spec

_SAME = ("world", "master_seed", "keys", "probes.at", "save.policies", "save.kernel", "run.chunk", "platform")
"""What all layers of a folder share, besides versions."""

_FREE = ("name", "seeds", "precision", "max_seeds")
"""What layers may differ in."""

MAX_PARTS = 1_000_000


class Task(NamedTuple):
    """A shard of a folder that a run asks for."""

    shard: Shard
    lanes: int
    """Those of its lanes that the run's spec has. The others come with it."""


@dataclass(frozen=True)
class Part:
    """The I-th of N parts of a sweep, counted from 1."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MAX_PARTS:
            raise SpecError(f"shards: {self} is not a part; expected I/N, I from 1 to N and N at most {MAX_PARTS:,}.")

    def of_layer(self, plan: Plan) -> range:
        """Its shards of a layer, by place: neighbours, so that few programs are compiled; the cuts are where equal
        shares of the layer's FLOPs end."""
        costs = [np.empty(0)]
        for one in plan.programs:
            lanes = plan.lanes_of(one.conditions)
            sizes = np.full(-(-lanes // plan.width), plan.width)
            sizes[-1:] -= -lanes % plan.width
            # The last chunk of a shard is padded, and trains as long as a full one.
            costs.append(-(-sizes // plan.chunk) * max(one.flops, 1.0))
        cost = np.concatenate(costs)
        middle = (np.cumsum(cost) - cost / 2) / max(cost.sum(), 1.0)
        first, last = np.searchsorted((middle * self.of).astype(int), (self.number - 1, self.number))
        return range(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Sweep:
    """A folder's layers, and what a run asks of them."""

    layers: list[Plan]
    asked: Plan
    """The run's own spec, whole."""
    grew: int
    """Lanes of the layer that this run has added to those that were there; 0 where it has added none."""

    @property
    def lanes(self) -> int:
        """In all layers."""
        return sum(plan.lanes for plan in self.layers)

    @cached_property
    def shards(self) -> list[str]:
        """In the folder's order."""
        return [shard for plan in self.layers for shard in plan.shard_ids]

    def places(self, part: Part) -> list[range]:
        """The shards of a part by their places in the folder, a range a layer."""
        found, start = [], 0
        for plan in self.layers:
            inside = part.of_layer(plan)
            found.append(range(start + inside.start, start + inside.stop))
            start += len(plan.shard_ids)
        return found

    def tasks(self, part: Part) -> Iterator[Task]:
        """The shards of a part that hold a lane of the run's spec, in the folder's order."""
        wanted = self.asked.seeds
        for plan in self.layers:
            inside = part.of_layer(plan)
            for shard in itertools.islice(plan.shards(), inside.start, inside.stop):
                lanes = sum(seed in wanted.get(one.id, ()) for one, seed in shard.lanes)
                if lanes:
                    yield Task(shard, lanes)


@contextlib.contextmanager
def opened(
    folder: Place,
    spec: Spec,
    part: Part,
    platform: str,
    default_chunk: Callable[[], int],
    seeds: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[tuple[Sweep, Lock]]:
    """Finds what a folder holds, adds what the spec has besides, and locks the shards of a part of it all.

    Several runs may do so at once: whoever comes first writes the layer, and the others find it.

    Args:
      default_chunk: that of a folder that is begun, where the spec gives none.
      seeds: by condition, how many the next round of a sweep with a precision brings it to. Of its conditions, a run
        asks for all seeds up to `max_seeds` that the folder plans already: what was decided stands.
    Raises:
      SpecError: the folder is no results folder, or holds a sweep that this spec does not continue.
      BusyError: another run has some of the shards. In either case nothing has been touched.
    """
    with contextlib.ExitStack() as stack:
        lock: Lock | None = None
        while True:
            records = _records(folder)
            chunk = spec.chunk or (records[-1].chunk if records else default_chunk())
            asked = make_plan(dataclasses.replace(spec, chunk=chunk), platform, chunk)
            layers = _rebuilt(folder, records, asked)
            asked = _of_rounds(asked, _held(layers), seeds)
            new = _growth(folder, layers, asked) if records else _beginning(folder, asked)
            sweep = Sweep([*layers, *([new] if new else [])], asked, new.lanes if records and new else 0)
            with _writing(folder):
                if lock is None:
                    store_of(folder).create(folder)
                    lock = stack.enter_context(store_of(folder).lock(folder))
                with lock.of_manifest(writing=new is not None):
                    if _records(folder) == records:
                        lock.take(sweep.places(part))
                        if new is not None:
                            write_manifest(folder, [*records, new.layer()])
                        break
        yield sweep, lock


@contextlib.contextmanager
def _writing(folder: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpecError(folder, f"cannot be written ({error.strerror or error}); give another --out.") from None


def _records(folder: Place) -> tuple[Layer, ...]:
    """The layers that a folder has; none where it has no manifest."""
    try:
        if folder.exists() and not folder.is_dir():
            raise SpecError(folder, "is a file; expected a folder to write to (--out DIR).")
        return read_manifest(folder).layers
    except NoManifestError:
        return ()
    except DamagedError as error:
        raise SpecError(f"{error}; move it away and run again, or give another --out.") from None
    except OSError as error:  # a name that is too long, for one
        raise SpecError(folder, f"cannot be a folder ({error.strerror}); give another --out.") from None


def _beginning(folder: Place, asked: Plan) -> Plan:
    """The first layer. Raises SpecError where the folder holds something that this plan would not write."""
    if folder.is_dir():
        ours = {*asked.shard_ids, *(one.program.id for one in asked.programs)}
        found: list[Place] = sorted(folder.rglob("*.parquet"), key=str)
        for path in found:
            if path.stem not in ours and not packs_among([path.stem], asked.shard_ids):
                what = f"holds {path.parent.name}/{path.name}, which this sweep would not write, and no manifest.json"
                raise SpecError(folder, f"{what}; give another --out.")
    return asked


def _held(layers: list[Plan]) -> dict[str, int]:
    """By condition, how many seeds all layers have."""
    return {one: seeds.stop for plan in layers for one, seeds in plan.seeds.items() if seeds}


def _of_rounds(asked: Plan, held: Mapping[str, int], wanted: Mapping[str, int]) -> Plan:
    """What is asked for, with the seeds of rounds that have been decided on."""
    if asked.spec.precision is None:
        return asked
    reach = {one: max(first.stop, held.get(one, 0), wanted.get(one, 0)) for one, first in asked.seeds.items()}
    return dataclasses.replace(asked, seeds={one: range(min(n, asked.spec.most_seeds)) for one, n in reach.items()})


def _rebuilt(folder: Place, records: tuple[Layer, ...], asked: Plan) -> list[Plan]:
    """The plans of a folder's layers, made again from their specs: what a manifest says is never taken on trust."""
    layers: list[Plan] = []
    held: dict[str, int] = {}
    for record in records:
        foreign = _own_code(record.spec) - _own_code(asked.spec.given)
        if foreign:
            # Loading such a spec would import what the folder names.
            raise SpecError(
                folder, f"holds the run of another spec (of {', '.join(sorted(foreign))}); give another --out."
            )
        try:
            spec = load_spec(record.spec)
            same = json.dumps(spec.flat()) == json.dumps(asked.spec.flat())  # in order, too
            plan = asked if same else make_plan(spec, asked.platform, record.chunk)
        except SpecError as error:
            raise SpecError(folder, f"holds the run of a spec that cannot be used here ({error}).") from None
        seeds = dict.fromkeys((one.id for one in plan.conditions), range(0))
        for condition, given in record.seeds.items():
            if condition in seeds and held.get(condition, 0) == given[0] < given[1] <= spec.most_seeds:
                seeds[condition] = range(*given)
                held[condition] = given[1]
        plan = dataclasses.replace(plan, seeds=seeds)
        made = plan.layer()
        if what := change(record.sources, made.sources):
            raise SpecError(folder, f"was trained with other code: {what}; give another --out, or restore the file.")
        if made != dataclasses.replace(record, sources=made.sources):
            _refuse(
                folder, _decisive(spec, record.platform, record.versions), _decisive(spec, made.platform, made.versions)
            )
        layers.append(plan)
    return layers


def _own_code(value: object) -> set[str]:
    """Names of worlds, learners and curricula that are a user's own, and whatever else looks like one."""
    if isinstance(value, dict):
        return set().union(*map(_own_code, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_own_code, value))
    return {value} if isinstance(value, str) and ":" in value else set()


def _growth(folder: Place, layers: list[Plan], asked: Plan) -> Plan | None:
    """The layer that a spec adds to a folder, None where it adds none.

    A spec continues a folder if it shares lanes with it, trains them in the same way, and if the tables can tell every
    condition of both from every other.
    """
    last = layers[-1]
    there, here = (_decisive(plan.spec, plan.platform, {}) for plan in (last, asked))
    held = _held(layers)
    if any(there[key] != here[key] for key in _SAME) or held.keys().isdisjoint(asked.seeds):
        _refuse(folder, there, here)
    arms: dict[str, Any] = {}
    for plan in [*layers, asked]:
        for one in plan.conditions:
            if one.part is not None and arms.setdefault(one.id, one.part) != one.part:
                _refuse(folder, there, here)
    seeds = {one: range(held.get(one, 0), given.stop) for one, given in asked.seeds.items()}
    new = dataclasses.replace(asked, seeds=seeds)
    if not new.lanes:
        return None
    known: dict[str, tuple[ProgramSpec, Condition]] = {}
    for plan in [*layers, asked]:
        for planned in plan.programs:
            known |= {one.id: (planned.program, one) for one in planned.conditions if plan.seeds[one.id]}
    columns = {key for plan in [*layers, asked] for key in plan.spec.columns}
    if columns & {"arm", "pipeline"} and not known.keys() <= arms.keys():
        _refuse(folder, there, here, "conditions of one are in no arm of the other")

    def tells(program: ProgramSpec, one: Condition) -> bytes:
        names = {part: arms.get(one.id) for part in ("arm", "pipeline")}
        names |= {"learner.name": program.learner, "curriculum.name": program.curriculum}
        return canonical([in_use({**one.settings, **names}.get(key)) for key in columns])

    told = {tells(*one) for one in known.values()}
    if len(told) < len(known):
        _refuse(folder, there, here)
    return new


def _decisive(spec: Spec, platform: str, versions: Mapping[str, Any]) -> dict[str, Any]:
    """What a layer's rows depend on, as the user knows it: by dotted key."""
    return {**spec.flat(), **{f"versions.{key}": value for key, value in versions.items()}, "platform": platform}


def _refuse(folder: Place, before: dict[str, Any], after: dict[str, Any], why: str | None = None) -> NoReturn:
    """Raises SpecError with what differs."""
    differ = [key for key in after | before if before.get(key) != after.get(key) and key not in _FREE]
    differ.sort(key=lambda key: key not in _SAME)
    shown = [f"{key} {_shown(before, key)} there, {_shown(after, key)} here" for key in differ[:3]]
    more = [f"and {len(differ) - 3} more"] if len(differ) > 3 else []
    what = why or ", ".join(shown + more) or "a default has changed since"
    raise SpecError(folder, f"holds the run of another spec ({what}); give another --out, or the same spec.")


def _shown(values: dict[str, Any], key: str) -> str:
    text = json.dumps(values[key]) if key in values else "not given"
    return text if len(text) <= 60 else f"{text[:57]}..."
