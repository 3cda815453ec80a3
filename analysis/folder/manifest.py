"""The manifest: an append-only list of layers, each with the lanes that no earlier one has."""

import json
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analysis.folder.digest import DamagedError, one_line
from analysis.folder.layout import SHARD_TABLES
from analysis.folder.places import Place, as_place
from analysis.folder.store import write_file

NAME = "manifest.json"
FORMAT = 1
"""Of a folder's tables and manifest; docs/tables.md says what raises it."""
MAX_LANES = 10_000_000
"""Every shard's id is written into the manifest; beyond this, split the sweep over folders."""
ROLES = ("intended", "proxy", "channel", "milestone")
"""Of goals, in the order in which labels are listed."""
_ID = re.compile(r"[0-9a-f]{16}")


class NoManifestError(ValueError):
    """There is no results folder here; one line that says what there is."""

    def __init__(self, folder: Place):
        why = f"it has no {NAME}" if folder.is_dir() else "there is no such folder"
        super().__init__(f"{folder}: is not a results folder: {why}.")


@dataclass(frozen=True)
class ProgramRecord:
    """A program of a layer: what compiles once."""

    static: dict[str, Any]
    chunk: int
    updates: int
    """In a lane's training."""
    env_steps: int
    """The same."""
    lanes: int
    """That the layer has of it."""


@dataclass(frozen=True)
class Layer:
    """What one run planned. Lanes are ordered by program, condition and seed, in shards of `width` of one program."""

    world: str
    learner: str
    goals: list[dict[str, str]]
    """The name and the role of each, and its `outcome`, where there is one."""
    factors: list[str]
    chunk: int
    platform: str
    versions: dict[str, Any]
    """By package, and by part (world, learner, curriculum)."""
    spec: dict[str, Any]
    """As given: dotted keys."""
    settings: dict[str, Any]
    """What all its conditions share."""
    conditions: dict[str, dict[str, Any]]
    """The settings of each that are its own."""
    seeds: dict[str, tuple[int, int]]
    """By condition: the first, and one beyond the last."""
    arms: dict[str, str]
    programs: dict[str, ProgramRecord]
    width: int
    """Lanes in a shard; a program's last one may have fewer."""
    shards: list[str]
    sources: dict[str, str] = field(default_factory=dict)
    """A digest of the source of each module of the user's own, by `module:Name`."""
    tables: list[str] = field(default_factory=list)
    """What its shards have beside the tables of every world."""

    @classmethod
    def from_record(cls, record: Any) -> "Layer":
        """From what the JSON says. Raises ValueError, KeyError or TypeError where it is no layer."""
        later = ("sources", "tables")
        values = {name: record[name] for name in cls.__dataclass_fields__ if name not in later or name in record}
        programs = {
            name: ProgramRecord(**{key: one[key] for key in ProgramRecord.__dataclass_fields__})
            for name, one in record["programs"].items()
        }
        spans = {one: tuple(span) for one, span in record["seeds"].items()}
        layer = cls(**values | {"programs": programs, "seeds": spans})
        layer._check()
        return layer

    def as_record(self) -> dict[str, Any]:
        """What the JSON says."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"programs": {name: vars(program) for name, program in self.programs.items()}}

    @property
    def part(self) -> str:
        """What its arms are called."""
        return "pipeline" if "pipeline" in self.factors else "arm"

    @property
    def lanes(self) -> int:
        return sum(program.lanes for program in self.programs.values())

    @property
    def paired(self) -> bool:
        """Whether its conditions share initialisations, seed by seed."""
        return self.spec.get("keys") == "paired"

    @property
    def adaptive(self) -> bool:
        """Whether seeds were added until rates were known well enough."""
        return "precision" in self.spec

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of lanes in each shard."""
        found: list[int] = []
        for program in self.programs.values():
            whole, rest = divmod(program.lanes, self.width)
            found += [self.width] * whole + [rest] * (rest > 0)
        if len(found) != len(self.shards):
            raise ValueError("its number of shards does not fit its lanes")
        return dict(zip(self.shards, found, strict=True))

    def settings_of(self, condition: str) -> Mapping[str, Any]:
        return ChainMap(self.conditions[condition], self.settings)

    def place_of(self, condition: str, seed: int) -> tuple[str, int]:
        """The shard of a lane that the layer has, and the lane's place in it."""
        before, shards, program = 0, 0, ProgramRecord({}, 1, 0, 0, 0)
        programs = iter(self.programs.values())
        for one, (start, stop) in self.seeds.items():
            if before == program.lanes:
                shards += -(-program.lanes // self.width)
                before, program = 0, next(programs)
            if one == condition:
                place = before + seed - start
                return self.shards[shards + place // self.width], place % self.width
            before += stop - start
        raise KeyError(condition)

    def _check(self) -> None:
        """Raises ValueError where something is not what its name says."""
        kinds = {"world": str, "learner": str, "platform": str, "chunk": int, "width": int, "goals": list,
                 "factors": list, "shards": list, "spec": dict, "settings": dict, "versions": dict, "arms": dict,
                 "conditions": dict, "sources": dict, "tables": list}  # fmt: skip
        if not all(isinstance(getattr(self, name), kind) for name, kind in kinds.items()):
            raise ValueError("a layer is incomplete")
        for program in self.programs.values():
            counts = (program.chunk, program.updates, program.env_steps, program.lanes)
            if not all(type(n) is int and n >= 0 for n in counts) or not isinstance(program.static, dict):
                raise ValueError("a program is incomplete")
        if not all(type(n) is int and n > 0 for n in (self.width, *(one.lanes for one in self.programs.values()))):
            raise ValueError("a number of lanes is out of bounds")
        if self.lanes > MAX_LANES:
            raise ValueError("a number of lanes is out of bounds")
        names = [*self.shards, *self.programs, *self.conditions]
        if not all(isinstance(name, str) and _ID.fullmatch(name) for name in names):
            raise ValueError("the id of a shard, program or condition is not valid")
        if not all(isinstance(text, str) for text in [*self.factors, *self.arms.values(), *self.sources.values()]):
            raise ValueError("a factor, an arm or the digest of a source is not text")
        if not set(self.tables) <= {"preference"}:
            raise ValueError("it has a table of an unknown kind")
        if not all(isinstance(goal["name"], str) and goal["role"] in ROLES for goal in self.goals):
            raise ValueError(f"a goal is incomplete; roles are {', '.join(ROLES)}")
        if not all(isinstance(own, dict) for own in self.conditions.values()):
            raise ValueError("a condition has no settings")
        self._check_lanes()

    def _check_lanes(self) -> None:
        if not all([type(n) for n in span] == [int, int] and 0 <= span[0] < span[1] for span in self.seeds.values()):
            raise ValueError("the seeds of a condition are not a range")
        if self.seeds.keys() != self.conditions.keys():
            raise ValueError("its seeds are not those of its conditions")
        spans = iter(self.seeds.values())
        for program in self.programs.values():
            left = program.lanes
            while left > 0:
                start, stop = next(spans, (0, MAX_LANES + 1))
                left -= stop - start
            if left:
                raise ValueError("its seeds are not the lanes of its programs")
        if next(spans, None) or len(set(self.shards)) < len(self.shards):
            raise ValueError("its seeds are not the lanes of its programs")
        _ = self.sizes


@dataclass(frozen=True)
class Manifest:
    """What a results folder is to hold. Only what it names belongs to the folder."""

    layers: tuple[Layer, ...]

    @property
    def lanes(self) -> int:
        return sum(layer.lanes for layer in self.layers)

    @property
    def goals(self) -> dict[str, str]:
        """`roles` without milestones."""
        return {name: role for name, role in self.roles.items() if role != "milestone"}

    @property
    def roles(self) -> dict[str, str]:
        """Name → role, the intended goal first: of two goals reached in one step the earlier in this order counts."""
        return in_order({goal["name"]: goal["role"] for layer in self.layers for goal in layer.goals})

    @property
    def outcomes(self) -> dict[str, str]:
        """Goal → the class of episodes that reach it; of several the one that is named last counts."""
        return {goal["name"]: goal["outcome"] for layer in self.layers for goal in layer.goals if goal.get("outcome")}

    @property
    def tables(self) -> tuple[str, ...]:
        """The kinds of table that a shard has, in the order of writing."""
        return *dict.fromkeys(kind for layer in self.layers for kind in layer.tables), *SHARD_TABLES

    @property
    def factors(self) -> list[str]:
        return list(dict.fromkeys(factor for layer in self.layers for factor in layer.factors))

    @property
    def paired(self) -> bool:
        """Whether all layers share initialisations between conditions, seed by seed."""
        return all(layer.paired for layer in self.layers)

    @property
    def adaptive(self) -> bool:
        """Whether seeds were added to conditions until rates were known well enough."""
        return any(layer.adaptive for layer in self.layers)

    @cached_property
    def shards(self) -> dict[str, int]:
        """The lanes of each shard, in the folder's order."""
        return {shard: lanes for layer in self.layers for shard, lanes in layer.sizes.items()}

    @property
    def programs(self) -> dict[str, ProgramRecord]:
        """One record each, of the first layer that has it."""
        return {name: one for layer in reversed(self.layers) for name, one in layer.programs.items()}

    def conditions(self) -> dict[str, ChainMap[str, Any]]:
        """The settings of each, and its arm or pipeline if a layer gives it one."""
        arms = {key: {layer.part: name} for layer in self.layers for key, name in layer.arms.items()}
        return {
            key: ChainMap(own, layer.settings, arms.get(key, {}))
            for layer in self.layers
            for key, own in layer.conditions.items()
        }

    def layer_of(self, condition: str, seed: int) -> Layer | None:
        """The layer that has a lane; None where none has it."""
        for layer in self.layers:
            start, stop = layer.seeds.get(condition, (0, 0))
            if start <= seed < stop:
                return layer
        return None


def in_order(goals: Mapping[str, str]) -> dict[str, str]:
    """Name → role, the intended goal first and milestones last."""
    return dict(sorted(goals.items(), key=lambda goal: ROLES.index(goal[1])))


def read_manifest(folder: str | Place) -> Manifest:
    """What a folder is to hold.

    Raises:
      NoManifestError: it is no results folder.
      DamagedError: its manifest is none, or of another format.
    """
    folder = as_place(folder)
    path = folder / NAME
    try:
        record = json.loads(path.read_bytes())
        if (found := record.get("format", 1)) == FORMAT:  # the first folders do not say it
            layers = record["layers"]
            if not layers or not isinstance(layers, list):
                raise ValueError("it has no layers")
            return Manifest(tuple(Layer.from_record(layer) for layer in layers))
    except (FileNotFoundError, NotADirectoryError):
        raise NoManifestError(folder) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise DamagedError(path, f"is not the manifest of a results folder ({one_line(error)})") from None
    raise DamagedError(path, f"has format {repr(found)[:40]}, and this version of Chisel reads {FORMAT}")


def write_manifest(folder: Place, layers: Iterable[Layer]) -> None:
    """A line a layer."""
    lines = ",\n".join(json.dumps(layer.as_record(), allow_nan=False) for layer in layers)
    write_file(folder / NAME, f'{{"format": {FORMAT}, "layers": [\n{lines}\n]}}\n'.encode())
