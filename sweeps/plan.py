"""From a spec to conditions, programs and shards, each named by a hash of what it means."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.folder import SHARD_TABLES, Layer
from sweeps.environment import PINNED, unpinned
from sweeps.sources import digests
from sweeps.spec import Given, Spec, SpecError

if TYPE_CHECKING:
    import jaxrl
    from envs import Setting, World

CPU_CHUNK = 8
"""Lanes trained together on a CPU: what stays in its cache. A constant, because the width changes the last bits of
results."""


def canonical(value: object) -> bytes:
    """The one JSON spelling of a value that hashes are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def content_id(value: object) -> str:
    """The first 16 hex digits of BLAKE2b over the value's canonical JSON."""
    return hashlib.blake2b(canonical(value)).hexdigest()[:16]


def in_use(value: Any) -> Any:
    """A setting's value as training uses it: a number that is not an integer is a float32."""
    return float(np.float32(value)) if isinstance(value, float) else value


def lane_value(law: dict[str, Any], master_seed: int, condition: str | None, seed: int, key: str) -> float:
    """The value that a lane draws for a setting: from the first 64 bits of a hash, as for `lane_key`."""
    share = _word(master_seed, condition, seed, key) / 2**64
    low, high = law["low"], law["high"]
    return float(low * (high / low) ** share if law["scale"] == "log" else low + (high - low) * share)


def lane_key(master_seed: int, condition: str | None, seed: int) -> tuple[int, int]:
    """The two 32-bit words of a lane's key: the first 64 bits of BLAKE2b over `[master_seed, condition, seed]`.

    `condition` is None where conditions are paired. A lane's place in a batch has no part in it.
    """
    return divmod(_word(master_seed, condition, seed), 2**32)


def _word(*named: object) -> int:
    """The first 64 bits of BLAKE2b over the canonical JSON of a list."""
    return int.from_bytes(hashlib.blake2b(canonical(list(named))).digest()[:8], "big")


@dataclass(frozen=True)
class Condition:
    """One value for every factor, and with it one value for every setting."""

    id: str
    factors: dict[str, Any]
    """What tells it from the other conditions of its sweep: the values of the factors, and its arm.

    None, or "none" for a choice, where its learner or its curriculum has no such setting.
    """
    settings: dict[str, Any]

    @property
    def part(self) -> str | None:
        """Its arm, or its pipeline; None in a sweep without."""
        return self.factors.get("pipeline", self.factors.get("arm"))

    @property
    def sampled(self) -> list[str]:
        """The settings whose place is taken by a law; each lane draws its own value."""
        return [key for key, value in self.settings.items() if isinstance(value, dict)]


@dataclass(frozen=True)
class ProgramSpec:
    """What compiles once: all that is static, and the chunk."""

    id: str
    world: str
    learner: str
    static: dict[str, Any]
    chunk: int
    probe_at: tuple[float, ...]
    curriculum: str = "random"
    kernel: bool = False

    @property
    def code(self) -> tuple[object, ...]:
        """What may name classes of the user's own."""
        return (self.world, self.learner, self.curriculum, *self.static.values())

    def build(self) -> "jaxrl.Program":
        """The program itself, not yet compiled. Raises ValueError with one line where static values do not fit."""
        import envs
        import jaxrl

        world, learner = envs.make(self.world, self.static), jaxrl.make(self.learner, self.static)
        schedules = jaxrl.schedules_of(self.static, [goal.name for goal in world.goals])
        curriculum = jaxrl.make_curriculum(self.curriculum, self.static)
        return jaxrl.Program(world, learner, self.chunk, self.probe_at, schedules, curriculum, self.kernel)


@dataclass(frozen=True)
class Shard:
    """Some chunks of one program: the unit of work, of storage and of resuming. Whole in itself, so that it travels."""

    id: str
    program: ProgramSpec
    lanes: tuple[tuple[Condition, int], ...]
    """(condition, seed) of each lane, without the padding of the last chunk."""
    master_seed: int
    paired: bool
    kinds: dict[str, type] = field(default_factory=dict)
    """Of the values of each factor: bool, int, float or str, whether its conditions have the setting or not."""
    packed: bool = False
    """Whether its tables are in a pack, so that at most its program's are missing."""

    def keys(self) -> np.ndarray:
        """uint32[lanes, 2]."""
        words = [lane_key(self.master_seed, None if self.paired else one.id, seed) for one, seed in self.lanes]
        return np.array(words, np.uint32)

    def values(self) -> list[dict[str, Any]]:
        """The traced settings of each lane."""
        static = self.program.static
        traced = {one.id: {k: v for k, v in one.settings.items() if k not in static} for one, _ in self.lanes}
        drawn = {key: self.drawn(key) for key in self.lanes[0][0].sampled}
        return [
            traced[one.id] | {key: values[i] for key, values in drawn.items()} for i, (one, _) in enumerate(self.lanes)
        ]

    def drawn(self, key: str) -> list[float]:
        """The value of each lane for a setting that is sampled."""
        return [
            lane_value(one.settings[key], self.master_seed, None if self.paired else one.id, seed, key)
            for one, seed in self.lanes
        ]


@dataclass(frozen=True)
class Planned:
    """A program of a plan, and what is trained with it."""

    program: ProgramSpec
    conditions: list[Condition]
    updates: int
    """In a lane's training."""
    env_steps: int
    """The same."""
    flops: float
    """FLOPs of a lane's training, about."""


@dataclass(frozen=True)
class Plan:
    """Everything that a spec trains, in the order in which it is trained."""

    spec: Spec
    platform: str
    chunk: int
    programs: list[Planned]
    versions: dict[str, Any]
    sources: dict[str, str]
    """A digest of each file of the user's own code, by `module:Name`."""
    goals: list[dict[str, str]]
    """Those of any program: their number may depend on a static setting."""
    seeds: dict[str, range]
    """By condition: the seeds that are trained. Those that earlier layers of a folder have are not among them."""
    tables: tuple[str, ...] = SHARD_TABLES
    """The kinds of table that a shard leaves, in the order of writing."""

    @property
    def conditions(self) -> list[Condition]:
        return [condition for one in self.programs for condition in one.conditions]

    @property
    def lanes(self) -> int:
        return self.lanes_of(self.conditions)

    def lanes_of(self, conditions: Iterable[Condition]) -> int:
        return sum(len(self.seeds[one.id]) for one in conditions)

    @property
    def width(self) -> int:
        """Lanes in a shard; a program's last one may have fewer."""
        return self.chunk * self.spec.shard_chunks

    def shards(self) -> Iterator[Shard]:
        """The shards, made as they are asked for; lanes are ordered by condition, then seed."""
        spec = self.spec
        kinds = {key: spec.settings[key].kind if key in spec.settings else str for key in spec.columns}
        for shard, (program, lanes) in zip(self.shard_ids, self._groups(), strict=True):
            yield Shard(shard, program, lanes, spec.master_seed, spec.keys == "paired", kinds)

    def _groups(self) -> Iterator[tuple[ProgramSpec, tuple[tuple[Condition, int], ...]]]:
        for planned in self.programs:
            lanes = ((one, seed) for one in planned.conditions for seed in self.seeds[one.id])
            while inside := tuple(itertools.islice(lanes, self.width)):
                yield planned.program, inside

    @cached_property
    def shard_ids(self) -> list[str]:
        master_seed, paired = self.spec.master_seed, self.spec.keys == "paired"
        return [
            content_id(["shard", program.id, master_seed, paired, [[one.id, seed] for one, seed in lanes]])
            for program, lanes in self._groups()
        ]

    def layer(self) -> Layer:
        """The manifest's record of this plan: of conditions and programs, those of which it trains lanes."""
        trained = [one for one in self.conditions if self.seeds[one.id]]
        shared = dict(trained[0].settings) if trained else {}
        for one in trained:
            for key in [key for key, value in shared.items() if one.settings.get(key) != value]:
                del shared[key]
        own = {one.id: {key: value for key, value in one.settings.items() if key not in shared} for one in trained}
        programs = {
            one.program.id: {
                "static": one.program.static,
                "chunk": one.program.chunk,
                "updates": one.updates,
                "env_steps": one.env_steps,
                "lanes": self.lanes_of(one.conditions),
            }
            for one in self.programs
            if self.lanes_of(one.conditions)
        }
        record = {
            "world": self.spec.world,
            "learner": self.spec.learner,
            "goals": self.goals,
            "factors": self.spec.columns,
            "chunk": self.chunk,
            "platform": self.platform,
            "versions": self.versions,
            "spec": self.spec.given | {"run.chunk": self.chunk},
            "settings": shared,
            "conditions": own,
            "seeds": {one.id: [self.seeds[one.id].start, self.seeds[one.id].stop] for one in trained},
            "arms": {one.id: one.part for one in self.conditions if one.part is not None},
            "programs": programs,
            "width": self.width,
            "shards": self.shard_ids,
            "sources": self.sources,
            "tables": [kind for kind in self.tables if kind not in SHARD_TABLES],
        }
        return Layer.from_record(json.loads(json.dumps(record, allow_nan=False)))


_DECISIVE = ("chisel-rl", "flax", "gymnax", "jax", "jaxlib", "numpy", "optax")
"""Packages whose version may change the numbers of a lane."""


def package_versions(platform: str = "cpu") -> dict[str, str]:
    """The versions of the packages that decide numbers, and settings that do: those that could not be pinned, and, on
    what has others, how products are rounded."""
    products = {} if platform == "cpu" else {"products": str(PINNED["jax_default_matmul_precision"])}
    return {package: _version(package) for package in _DECISIVE} | products | unpinned()


def make_plan(spec: Spec, platform: str = "cpu", chunk: int = CPU_CHUNK) -> Plan:
    """The plan of a spec: conditions, programs, chunks and shards. Compiles nothing.

    Args:
      platform: `cpu`, `gpu` or `tpu`; recorded.
      chunk: where the spec gives none.
    Raises:
      SpecError: the world or the learner rejects a combination of static values.
    """
    import envs

    chunk = spec.chunk or chunk
    groups: dict[tuple, list[Given]] = {}
    for given in spec.conditions():
        static = {key: given.values.get(key, one.default) for key, one in given.settings.items() if one.static}
        groups.setdefault((given.learner, given.curriculum, *static.items()), []).append(given)

    programs: list[Planned] = []
    versions: dict[str, Any] = {}
    goals: dict[str, dict[str, str]] = {}
    arms: dict[bytes, str] = {}
    """By what a condition trains."""
    worlds: list[World] = []
    further: dict[str, None] = {}
    code: list[object] = []
    for (learner, curriculum, *static_items), members in groups.items():
        static, own = dict(static_items), members[0].settings
        unnamed = ProgramSpec("", spec.world, learner, static, chunk, spec.probe_at, curriculum, spec.kernel)
        try:
            world = envs.make(spec.world, static)
            if world not in worlds:
                envs.check_contract(world)
                worlds.append(world)
            built = unnamed.build()
        except ValueError as error:
            raise _located(spec, str(error), members[0].arm) from None
        meaning = _meaning(unnamed, built)
        for part, number in meaning["versions"].items():
            versions[part if meaning[part] == getattr(spec, part) else f"{part}.{meaning[part]}"] = number
        compiled = ["program", meaning, _meant(static, own), chunk, spec.probe_at, *(["kernel"] * spec.kernel)]
        program = replace(unnamed, id=content_id(compiled))
        goals |= {
            goal.name: {"name": goal.name, "role": goal.role, "outcome": goal.outcome} for goal in built.world.goals
        }
        further |= dict.fromkeys(built.tables)
        code += unnamed.code
        defaults = _defaults(own, built.world)
        conditions = [_condition(spec, given, defaults, meaning, built) for given in members]
        for given, condition in zip(members, conditions, strict=True):
            trained = canonical([meaning, {key: in_use(value) for key, value in condition.settings.items()}])
            if trained in arms:
                both = f"has a condition that {spec.part}s.{arms[trained]} has too; give it in one of them"
                raise SpecError(spec.source, f"{spec.part}s.{given.arm}", f"{both}.")
            arms[trained] = given.arm
        programs.append(Planned(program, conditions, built.total_updates, built.env_steps, built.flops))
    if spec.precision is not None and not goals:
        raise SpecError(spec.source, "precision", f"{spec.world} has no goals, so no rates of labels; leave it out.")
    versions |= package_versions(platform)
    named = [{key: said for key, said in goal.items() if said} for goal in goals.values()]
    seeds = {one.id: range(spec.seeds) for planned in programs for one in planned.conditions}
    return Plan(spec, platform, chunk, programs, versions, digests(code), named, seeds, (*further, *SHARD_TABLES))


def _meaning(program: ProgramSpec, built: "jaxrl.Program") -> dict[str, Any]:
    """The parts of a program and their versions: what the ids of its conditions are made of, beside settings."""
    versions = {"world": built.world.version, "learner": built.learner.version}
    meaning: dict[str, Any] = {"world": program.world, "learner": program.learner}
    if built.curriculum is not None:
        meaning["curriculum"] = program.curriculum
        versions["curriculum"] = built.curriculum.version
    if built.schedules:
        from jaxrl.schedules import VERSIONS

        if kinds := {one.kind: VERSIONS[one.kind] for one in built.schedules if one.kind in VERSIONS}:
            meaning["schedules"] = kinds
    return meaning | {"versions": versions}


def _condition(
    spec: Spec, given: Given, defaults: dict[str, Any], meaning: dict[str, Any], built: "jaxrl.Program"
) -> Condition:
    """Raises SpecError where the world, the learner or a schedule rejects its values."""
    from jaxrl import check_schedules, jumps

    own, world = given.settings, built.world
    settings = defaults | given.values
    try:
        check_schedules(settings)
    except ValueError as error:
        raise _located(spec, str(error), given.arm) from None
    for stage, values in enumerate(jumps(settings)):
        try:
            for end in ("low", "high"):
                laws = {key: law[end] for key, law in spec.sampled.items() if key in own}
                world.check_values(values | laws)
                built.learner.check_values(values | laws)
        except ValueError as error:
            raise _located(spec, str(error), given.arm, stage) from None
    names = {spec.part: given.arm, "learner.name": given.learner, "curriculum.name": given.curriculum}
    factors = {
        key: {**settings, **names}[key] if key in own or key in names else _nothing(spec, key) for key in spec.columns
    }
    return Condition(content_id({**meaning, "settings": _meant(settings, own)}), factors, settings)


def _defaults(settings: "dict[str, Setting]", world: "World") -> dict[str, Any]:
    """The settings' defaults in this world; one may depend on the static values, as a time limit does on a length."""
    params = world.default_params

    def default(setting: "Setting") -> Any:
        section, _, name = setting.key.partition(".")
        if section != "env" or setting.static:
            return setting.default
        found = getattr(params, name, setting.default)
        return setting.default if np.float32(found) == np.float32(setting.default) else setting.kind(found)

    return {key: default(setting) for key, setting in settings.items()}


def _nothing(spec: Spec, key: str) -> str | None:
    return "none" if spec.settings[key].kind is str else None


def _meant(values: dict[str, Any], settings: "dict[str, Setting]") -> dict[str, Any]:
    """What an id is made of: a setting that came later is absent at its default, as it was before it came."""
    return {key: value for key, value in values.items() if not (settings[key].later and value == settings[key].default)}


def _located(spec: Spec, message: str, arm: str, stage: int = 0) -> SpecError:
    """The world's or learner's complaint, under the place where the spec gives the key that it names."""
    key = message.partition(":")[0]
    where = spec.written(key, arm, stage) + message.removeprefix(key) if key in spec.settings else message
    return SpecError(spec.source, f"{where.rstrip('.')}.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
