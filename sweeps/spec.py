"""A sweep's specification: TOML in, checked values out."""

import difflib
import itertools
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.folder import MAX_LANES

if TYPE_CHECKING:
    from envs.settings import Setting

PRESETS = Path(__file__).parent / "presets"
MAX_CONDITIONS = 100_000
"""Every condition is held in memory and written into the manifest."""
MAX_WIDTH = 1_000_000
"""Of a chunk, and of a shard in chunks: far above what any device holds."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLAIN = "expected letters, digits, '.', '_' and '-', a letter or digit first"


class SpecError(ValueError):
    """A mistake of the user's, told in one line: `FILE: key.path: what was found; what would be accepted.`"""

    def __init__(self, *parts: object):
        line = ": ".join(str(part) for part in parts)
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))


class Arm(NamedTuple):
    """A part of a sweep with values and factors of its own, beside those that all parts share."""

    fixed: dict[str, Any]
    factors: dict[str, tuple[Any, ...]]


class Given(NamedTuple):
    """What a spec says of one condition."""

    arm: str
    """"" without arms."""
    learner: str
    curriculum: str
    settings: "dict[str, Setting]"
    """What it has values for."""
    values: dict[str, Any]
    """Those that are given; of the rest, defaults hold."""


@dataclass(frozen=True)
class Spec:
    """What a sweep trains. Every value has been checked against the world's and the learner's settings."""

    name: str
    world: str
    learner: str
    curriculum: str
    seeds: int
    """Of each condition; with a precision, of its first round."""
    precision: float | None
    """The half-width to which the rate of every label is to be known; seeds are added to conditions until it is."""
    max_seeds: int | None
    """Of a condition; given with a precision, and only with one."""
    master_seed: int
    keys: str
    """`independent`, or `paired`: the conditions share their initialisations."""
    fixed: dict[str, Any]
    factors: dict[str, tuple[Any, ...]]
    """Crossed: every combination is a condition."""
    arms: dict[str, Arm]
    """By name; a condition of the sweep belongs to one of them, if there are any."""
    sampled: dict[str, dict[str, Any]]
    """By key: `low`, `high` and `scale` (`linear` or `log`) of the law from which each lane draws its own value."""
    probe_at: tuple[float, ...]
    """Fractions of training at which the probes are run."""
    policies: bool
    chunk: int | None
    """None takes the platform's default, or on resume what the folder was begun with."""
    shard_chunks: int
    source: str = field(compare=False)
    """The file, for messages."""
    given: dict[str, Any] = field(compare=False, repr=False)
    """What was read, overrides included, as dotted keys: `load_spec` gives the same spec for it."""
    settings: "dict[str, Setting]" = field(compare=False, repr=False)
    """Those of the world and of schedules, and of every learner and curriculum that the spec names."""
    of_learner: "dict[str, dict[str, Setting]]" = field(compare=False, repr=False)
    """By name, each learner's own."""
    of_curriculum: "dict[str, dict[str, Setting]]" = field(compare=False, repr=False)

    def settings_for(self, learner: str, curriculum: str) -> "dict[str, Setting]":
        """What a condition with this learner and curriculum has a value for."""
        own = self.of_learner[learner] | self.of_curriculum[curriculum]
        found = {key: own.get(key, one) for key, one in self.settings.items() if key in own or not _is_chosen(key)}
        # A schedule of a setting that this learner does not have is left out with it.
        return {key: one for key, one in found.items() if _moved(key, self.settings) in {None, *found}}

    def written(self, key: str, arm: str = "") -> str:
        """Where the spec gives this setting to an arm: `factors.KEY`, `fixed.KEY`, …, or KEY itself, a schedule's."""
        if key in self.factors:
            return f"factors.{key}"
        if key in self.parts[arm].fixed or key in self.parts[arm].factors:
            return f"arms.{arm}.{key}"
        if key in self.sampled:
            return f"sampled.{key}"
        return key if key.startswith("schedules.") else f"fixed.{key}"

    @property
    def most_seeds(self) -> int:
        """That a condition may come to have."""
        return self.max_seeds or self.seeds

    @property
    def parts(self) -> dict[str, Arm]:
        """The arms; without any, one that is the whole."""
        return self.arms or {"": Arm({}, {})}

    @property
    def columns(self) -> list[str]:
        """What tells conditions apart in the tables: `arm`, every factor that some arm has, and the shared ones."""
        of_arms = dict.fromkeys(key for arm in self.arms.values() for key in arm.factors)
        return [*(["arm"] if self.arms else []), *of_arms, *self.factors]

    def conditions(self) -> Iterator["Given"]:
        """What the spec says of each condition.

        What is fixed for all is left out where the condition's learner or curriculum has no such setting; raises
        SpecError where a factor or an arm gives it one.
        """
        for name, arm in self.parts.items():
            crossed = arm.factors | self.factors
            for values in itertools.product(*crossed.values()):
                chosen = arm.fixed | dict(zip(crossed, values, strict=True))
                learner = chosen.pop("learner.name", self.learner)
                curriculum = chosen.pop("curriculum.name", self.curriculum)
                settings = self.settings_for(learner, curriculum)
                for key in chosen:
                    if key not in settings:
                        owner = curriculum if key.startswith("curriculum.") else learner
                        where = self.written(key, name)
                        raise SpecError(self.source, where, f"{owner} has no setting of this name; give it in an arm.")
                shared = {key: value for key, value in (self.fixed | self.sampled).items() if key in settings}
                yield Given(name, learner, curriculum, settings, shared | chosen)

    def flat(self) -> dict[str, Any]:
        """The spec as dotted keys with JSON values."""
        return {
            "name": self.name,
            "world": self.world,
            "learner": self.learner,
            **({"curriculum": self.curriculum} if self.curriculum != "random" else {}),
            "seeds": self.seeds,
            **({"precision": self.precision, "max_seeds": self.max_seeds} if self.precision else {}),
            "master_seed": self.master_seed,
            "keys": self.keys,
            **{key if key.startswith("schedules.") else f"fixed.{key}": value for key, value in self.fixed.items()},
            **{f"factors.{key}": list(values) for key, values in self.factors.items()},
            **{f"arms.{name}.{key}": value for name, arm in self.arms.items() for key, value in arm.fixed.items()},
            **{
                f"arms.{name}.{key}": list(values)
                for name, arm in self.arms.items()
                for key, values in arm.factors.items()
            },
            **{f"sampled.{key}": law for key, law in self.sampled.items()},
            "probes.at": list(self.probe_at),
            "save.policies": self.policies,
            "run.chunk": self.chunk,
            "run.shard_chunks": self.shard_chunks,
        }


def load_spec(source: str | Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Spec:
    """Reads and checks a spec.

    Args:
      source: the path of a .toml file, the name of a shipped preset, or the content as a mapping.
      overrides: `KEY=VALUE` strings as given to `--set`; KEY is any path in the file, VALUE is TOML or a bare string.
    Raises:
      SpecError: one line that says where, what was found and what would be accepted.
    """
    if isinstance(source, Mapping):
        label, content = "spec", dict(source)
    else:
        label, content = str(source), _parse(str(source))
    flat = _flatten(content, label)
    origin = dict.fromkeys(flat, label)
    for override in overrides:
        for path, value in _override(override, flat):
            flat[path] = value
            origin[path] = "--set"
    return _Checker(label, flat, origin).spec()


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that looks most like `word`."""
    candidates = list(known)
    # Long input would make the comparison slow, and says nothing more about what was meant.
    return (difflib.get_close_matches(word[:100], candidates, n=1, cutoff=0.0) or candidates)[0]


def _parse(argument: str) -> dict[str, Any]:
    presets = {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}
    is_path = "." in argument or "/" in argument
    path = Path(argument) if is_path or argument not in presets else presets[argument]
    try:
        if not is_path and argument not in presets and not path.is_file():
            hint = f"nearest: {nearest(argument, presets)}; or give the path of a .toml file"
            raise SpecError(argument, f"no preset has this name; {hint}.")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError(argument, f"no such file; expected a .toml file or a preset ({', '.join(presets)}).") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{error.object[error.start]:02x} on line {line} is not UTF-8"
        raise SpecError(argument, f"{found}; save the file as UTF-8.") from None
    except SpecError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(argument, f"cannot be read ({reason}); expected a .toml file.") from None
    try:
        return tomllib.loads(text)
    except ValueError as error:  # besides syntax, integers of more digits than Python is willing to read
        located = re.fullmatch(r"(.*) \(at (.*)\)", str(error), re.DOTALL)
        problem, where = located.groups() if located else (str(error), "line 1")
        if where == "end of document":
            where = f"line {len(text.splitlines()) or 1}, end of document"
        raise SpecError(argument, where, f"{problem}; expected TOML.") from None
    except RecursionError:
        raise SpecError(argument, "is nested too deeply; expected tables of dotted keys.") from None


def _flatten(table: Mapping[str, Any], label: str, prefix: str = "") -> dict[str, Any]:
    """Nested tables and quoted keys alike, as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        inner = _flatten(value, label, f"{path}.") if isinstance(value, Mapping) else {path: value}
        if not inner and path.startswith(("arms.", "sampled.")):
            raise SpecError(label, path, "is empty; expected settings, or leave it out.")
        for twice in inner.keys() & flat.keys():
            raise SpecError(label, twice, "is given twice; give it once.")
        flat |= inner
    return flat


def _override(text: str, flat: dict[str, Any]) -> list[tuple[str, Any]]:
    """Drops what `KEY=VALUE` replaces from `flat`, and returns what it sets."""
    path, equals, written = text.partition("=")
    path = path.strip()
    if not equals or not path:
        raise SpecError("--set", text, "is not KEY=VALUE; for example seeds=8.")
    value: Any = written.strip()
    try:
        parsed = tomllib.loads(f"value = {written}")
        value = parsed["value"] if parsed.keys() == {"value"} else value
    except (ValueError, RecursionError):
        pass
    for old in [key for key in flat if key == path or key.startswith(f"{path}.")]:
        del flat[old]
    return list(_flatten({path: value}, "--set").items())


class _Checker:
    """One pass over the dotted keys of a spec; the first mistake is raised."""

    def __init__(self, label: str, flat: dict[str, Any], origin: dict[str, str]):
        self.label, self.flat, self.origin = label, flat, origin
        self.alternatives: list[dict[str, Setting]] = []

    def error(self, path: str, message: object) -> SpecError:
        return SpecError(self.origin.get(path, self.label), path, f"{str(message).rstrip('.')}.")

    def take(self, setting: "Setting") -> Any:
        """The checked value of a key of the spec itself, or its default."""
        if setting.key not in self.flat:
            if setting.key == "seeds":
                raise self.error("seeds", f"is missing; expected {setting.describe()}")
            return setting.default
        return self.check(setting.key, setting, self.flat[setting.key])

    def check(self, path: str, setting: "Setting", value: Any) -> Any:
        # Learners may share a setting and differ in what they accept.
        every = [one[setting.key] for one in self.alternatives if setting.key in one] or [setting]
        for one in every:
            try:
                checked = one.check(value)
            except ValueError:
                raise self.error(path, f"{_short(value)} is not {one.describe()}") from None
        return checked + 0.0 if isinstance(checked, float) else checked  # -0.0 and 0.0 are one condition

    def text(self, path: str, default: str | None = None) -> str:
        value = self.flat.get(path, default)
        if value is None:
            raise self.error(path, "is missing; expected a name in quotes")
        if not isinstance(value, str):
            raise self.error(path, f"{_short(value)} is not a name; expected text in quotes")
        return value

    def known(self, path: str, value: str, names: list[str], what: str) -> str:
        if value not in names:
            raise self.error(path, f"{_short(value)} is not a {what}; nearest: {nearest(value, names)}")
        return value

    def spec(self) -> Spec:
        import envs
        import jaxrl
        from envs.settings import Setting

        world = self.text("world")
        own = ":" in world and not world.startswith("gymnax:")
        if world not in envs.WORLDS and not own:  # gymnax is imported for its names alone, and takes a second
            world = self.known("world", world, envs.names(), "world")
        try:
            of_world = envs.settings(world)
        except (ValueError, OSError) as error:  # some gymnax environments cannot be played, or download data
            why = str(error).removeprefix("world: ")
            raise self.error("world", f"{world!r} cannot be made here ({why}); choose another") from None
        learner, of_learner = self.components("learner", "ppo", jaxrl.learners(), jaxrl.settings)
        curriculum, of_curriculum = self.components(
            "curriculum", "random", jaxrl.curricula(), jaxrl.curriculum_settings
        )
        chosen = [*of_learner.values(), *of_curriculum.values()]
        settings = of_world | {key: setting for one in chosen for key, setting in one.items()}
        self.alternatives = chosen
        scheduled, of_schedules = self.schedules(settings)
        settings |= of_schedules
        owners = {"env": world, "learner": "/".join(of_learner), "curriculum": "/".join(of_curriculum)}
        named = {
            f"{kind}.name": Setting(f"{kind}.name", str, default, True, choices=tuple(found))
            for kind, default, found in (
                ("learner", learner, of_learner),
                ("curriculum", curriculum, of_curriculum),
            )
        }
        top = [
            Setting("seeds", int, None, True, low=1),
            Setting("precision", float, None, True, low=0.001, high=0.5),
            Setting("max_seeds", int, None, True, low=1),
            Setting("master_seed", int, 0, True, low=0),
            Setting("keys", str, "independent", True, choices=("independent", "paired")),
            Setting("save.policies", bool, False, True),
            Setting("run.chunk", int, None, True, low=1, high=MAX_WIDTH),
            Setting("run.shard_chunks", int, 1, True, low=1, high=MAX_WIDTH),
        ]
        names = ["name", "world", "learner", "curriculum", *(setting.key for setting in top), "probes.at"]
        for path in self.flat:
            section, _, key = path.partition(".")
            if path in ("fixed.learner.name", "fixed.curriculum.name"):
                kind = key.removesuffix(".name")
                raise self.error(path, f"is the same for all conditions; give it at the top, as {kind} = ...")
            if section in ("fixed", "factors") and key:
                if key not in settings and key not in named:
                    raise self.unknown(section, key, settings, owners)
            elif path not in names and not (section in ("schedules", "arms", "sampled") and key):
                written = [f"{section}.{key}" for section in ("fixed", "factors") for key in settings]
                raise self.error(path, f"a spec has no such key; nearest: {nearest(path, names + written)}")
        values = {setting.key: self.take(setting) for setting in top}
        self.check_rounds(values)
        name = self.text("name")
        if not _NAME.fullmatch(name):
            raise self.error("name", f"{_short(name)} is not a plain folder name; {_PLAIN}")
        fixed, factors = self.section("fixed"), self.section("factors")
        for key in fixed.keys() & factors.keys():
            raise self.error(f"fixed.{key}", "is a factor too; give it under one of fixed and factors")
        for key in scheduled.keys() & factors.keys():
            raise self.error(key, "is a factor too; give it once")
        arms = self.arms(settings | named, factors, owners)
        of_arms = {key for arm in arms.values() for key in (*arm.fixed, *arm.factors)}
        sampled = self.sampled(settings, fixed.keys() | factors.keys() | scheduled.keys() | of_arms)
        for key, setting in of_schedules.items():
            everywhere = arms and all(key in arm.fixed or key in arm.factors for arm in arms.values())
            given = scheduled.keys() | factors.keys() | sampled.keys()
            if setting.default is None and key not in given and not everywhere:
                hint = f"here, as factors.{key}, sampled, or in each arm"
                raise self.error(key, f"is missing; expected {setting.describe()}, {hint}")
        spec = Spec(
            name=name,
            world=world,
            learner=learner,
            curriculum=curriculum,
            seeds=values["seeds"],
            precision=values["precision"],
            max_seeds=values["max_seeds"],
            master_seed=values["master_seed"],
            keys=values["keys"],
            fixed={key: self.check(f"fixed.{key}", settings[key], value) for key, value in fixed.items()} | scheduled,
            factors={
                key: self.levels(f"factors.{key}", (settings | named)[key], value) for key, value in factors.items()
            },
            arms=arms,
            sampled=sampled,
            probe_at=self.probe_at(),
            policies=values["save.policies"],
            chunk=values["run.chunk"],
            shard_chunks=values["run.shard_chunks"],
            source=self.label,
            given=dict(self.flat),
            settings=settings,
            of_learner=of_learner,
            of_curriculum=of_curriculum,
        )
        self.check_size(spec)
        return spec

    def components(
        self, kind: str, default: str, names: list[str], settings_of: "Callable[[str], dict[str, Setting]]"
    ) -> "tuple[str, dict[str, dict[str, Setting]]]":
        """The learner (or curriculum) of conditions that name none, and the settings of each that is named."""
        top = {kind: self.text(kind, default)}
        key = f"{kind}.name"
        every = {f"factors.{key}": self.flat.get(f"factors.{key}", [])}
        arms = {path.split(".")[1] for path in self.flat if path.startswith("arms.")}
        in_arms = {path: value for path, value in self.flat.items() if re.fullmatch(rf"arms\.[^.]*\.{key}", path)}
        if every[f"factors.{key}"] == [] and (not arms or len(in_arms) < len(arms)):
            every |= top
        found: dict[str, dict[str, Setting]] = {}
        for path, value in (every | in_arms).items():
            for name in value if isinstance(value, list) else [value]:
                if not (isinstance(name, str) and ":" in name):
                    self.known(path, name, names, kind)
                try:
                    found[name] = settings_of(name)
                except ValueError as error:
                    raise self.error(path, error) from None
        return top[kind], found

    def schedules(self, settings: "dict[str, Setting]") -> "tuple[dict[str, Any], dict[str, Setting]]":
        """What the section `schedules` fixes, by full key, and every setting of the schedules that it declares."""
        if not self.section("schedules"):
            return {}, {}
        from jaxrl.schedules import KINDS, LISTED, settings_of

        fixed: dict[str, Any] = {}
        every: dict[str, Setting] = {}
        given: dict[str, dict[str, Any]] = {}
        for path, value in self.section("schedules").items():
            owner = next((key for key in settings if path.startswith(f"{key}.")), None)
            if path in settings:
                raise self.error(f"schedules.{path}", f"{_short(value)} is not a schedule; expected a table with kind")
            if owner is None:
                near = nearest(path.rpartition(".")[0], settings)
                raise self.error(f"schedules.{path}", f"no setting of this name can follow a schedule; nearest: {near}")
            given.setdefault(owner, {})[path.removeprefix(f"{owner}.")] = value
        for key, numbers in given.items():
            moving, prefix = settings[key], f"schedules.{key}"
            if moving.static or moving.kind is not float or key.startswith("curriculum."):
                raise self.error(
                    prefix,
                    "only numbers that are neither counts nor compiled in, nor a curriculum's, can follow a schedule",
                )
            if "kind" not in numbers:
                raise self.error(f"{prefix}.kind", f"is missing; expected one of {', '.join(KINDS)}")
            kind = self.known(f"{prefix}.kind", self.text(f"{prefix}.kind"), list(KINDS), "kind of schedule")
            points = self.unroll(prefix, numbers) if kind in LISTED else 1
            of_this = settings_of(key, kind, points, moving)
            every |= of_this
            fixed |= {f"{prefix}.kind": kind, f"{prefix}.points": points}
            for name, value in numbers.items():
                path = f"{prefix}.{name}"
                if name == "points" or path not in of_this:
                    names = [one.removeprefix(f"{prefix}.") for one in of_this if not one.endswith(".points")]
                    raise self.error(path, f"a {kind} schedule has no such number; it has {', '.join(names)}")
                fixed[path] = self.check(path, of_this[path], value)
        return fixed, every

    def unroll(self, prefix: str, numbers: dict[str, Any]) -> int:
        """Turns the lists `at` and `to` of a schedule into a number each; returns how many."""
        lists = {name: numbers.pop(name, None) for name in ("at", "to")}
        lengths = {len(value) if isinstance(value, list) else 0 for value in lists.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise self.error(prefix, f"{numbers['kind']} expects at and to, two lists of as many numbers")
        at = [value for value in lists["at"] if isinstance(value, int | float)]
        if len(at) < len(lists["at"]) or any(after <= before for before, after in zip(at, at[1:], strict=False)):
            raise self.error(f"{prefix}.at", f"{_short(lists['at'])} will not do; expected rising shares of training")
        numbers |= {f"{name}.{i + 1}": value for name, values in lists.items() for i, value in enumerate(values)}
        return lengths.pop()

    def section(self, section: str) -> dict[str, Any]:
        prefix = f"{section}."
        return {path.removeprefix(prefix): value for path, value in self.flat.items() if path.startswith(prefix)}

    def unknown(self, section: str, key: str, settings: "dict[str, Setting]", owners: dict[str, str]) -> SpecError:
        owner = owners.get(key.partition(".")[0], owners["env"])
        near = nearest(key, settings)
        what = "factor" if section == "factors" else "setting"
        hint = f"nearest: {near} ({settings[near].describe()})"
        return self.error(f"{section}.{key}", f"{owner} has no {what} of this name; {hint}")

    def arms(self, settings: "dict[str, Setting]", factors: dict[str, Any], owners: dict[str, str]) -> dict[str, Arm]:
        """The section `arms`: in each, a single value replaces what is fixed, and a list is a factor."""
        found: dict[str, Arm] = {}
        for path, value in self.section("arms").items():
            name, _, key = path.partition(".")
            if not key:
                hint = "expected a table of settings, such as arms.NAME.env.KEY = 0.5"
                raise self.error(f"arms.{path}", f"{_short(value)} is not an arm; {hint}")
            if not _NAME.fullmatch(name):
                raise self.error(f"arms.{path}", f"{_short(name)} is not a plain name; {_PLAIN}")
            if key not in settings:
                raise self.unknown(f"arms.{name}", key, settings, owners)
            if key.startswith("schedules.") and key.rpartition(".")[2] in ("kind", "points"):
                raise self.error(f"arms.{path}", "what a schedule is cannot differ between arms; its numbers can")
            if key in factors:
                raise self.error(f"arms.{path}", "is a factor of all arms too; give it under one of them")
            arm = found.setdefault(name, Arm({}, {}))
            if isinstance(value, list):
                arm.factors[key] = self.levels(f"arms.{path}", settings[key], value)
            else:
                arm.fixed[key] = self.check(f"arms.{path}", settings[key], value)
        return found

    def sampled(self, settings: "dict[str, Setting]", given: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The section `sampled`: for each key the law of its values."""
        found: dict[str, dict[str, Any]] = {}
        for path, value in self.section("sampled").items():
            key, _, name = path.rpartition(".")
            if key not in settings and path not in settings and name in ("low", "high", "scale"):
                near = nearest(key, settings)
                raise self.error(f"sampled.{key}", f"no setting of this name can be sampled; nearest: {near}")
            if path in settings or name not in ("low", "high", "scale"):
                hint = "expected KEY = { low = NUMBER, high = NUMBER, scale = 'linear' or 'log' } of a traced number"
                raise self.error(f"sampled.{path}", f"{_short(value)} is not the law of a setting; {hint}")
            found.setdefault(key, {"low": None, "high": None, "scale": "linear"})[name] = value
        for key, law in found.items():
            path, setting = f"sampled.{key}", settings[key]
            if setting.static or setting.kind is not float:
                raise self.error(path, "only numbers that are neither counts nor compiled in can be sampled")
            if key in given:
                raise self.error(path, "is fixed, a factor or scheduled too; give it once")
            self.known(f"{path}.scale", self.text(f"{path}.scale", "linear"), ["linear", "log"], "scale")
            for end in ("low", "high"):
                if law[end] is None:
                    raise self.error(f"{path}.{end}", f"is missing; expected {setting.describe()}")
                law[end] = self.check(f"{path}.{end}", setting, law[end])
            if not law["low"] < law["high"]:
                raise self.error(f"{path}.high", f"{law['high']:g} is not above low, {law['low']:g}")
            if law["scale"] == "log" and law["low"] < 1e-30:
                raise self.error(f"{path}.low", f"{law['low']:g} has no logarithm here; expected at least 1e-30")
        return found

    def levels(self, path: str, setting: "Setting", value: Any) -> tuple[Any, ...]:
        """The values of one factor."""
        if not isinstance(value, list):
            hint = f"expected a list of values, each {setting.describe()}"
            raise self.error(path, f"{_short(value)} is not a list; {hint}")
        if not value:
            raise self.error(path, f"is empty; expected one value or more, each {setting.describe()}")
        checked = [self.check(path, setting, one) for one in value]
        if len(set(checked)) < len(checked):
            twice = next(one for one in checked if checked.count(one) > 1)
            raise self.error(path, f"{_short(twice)} is given twice; expected distinct values")
        return tuple(checked)

    def probe_at(self) -> tuple[float, ...]:
        found = self.flat.get("probes.at", [0.0, 0.25, 0.5, 1.0])
        numbers = isinstance(found, list) and all(isinstance(x, int | float) and x is not True for x in found)
        at = tuple(float(x) for x in found if x is not False) if numbers and len(found) <= 1000 else ()
        rising = all(before < after for before, after in zip(at, at[1:], strict=False))
        if not at or len(at) < len(found) or not rising or at[0] < 0 or at[-1] != 1:
            hint = "expected rising fractions of training in [0, 1] that end with 1"
            raise self.error("probes.at", f"{_short(found)} will not do; {hint}")
        return tuple(x + 0.0 for x in at)

    def check_rounds(self, values: dict[str, Any]) -> None:
        for given, other in (("precision", "max_seeds"), ("max_seeds", "precision")):
            if values[given] is not None and values[other] is None:
                raise self.error(given, f"is given without {other}; expected both, or seeds alone")
        most, first = values["max_seeds"], values["seeds"]
        if most is not None and most < first:
            raise self.error("max_seeds", f"{most} is fewer than the first round's, seeds = {_short(first)}")

    def check_size(self, spec: Spec) -> None:
        total = 0
        for name, arm in spec.parts.items():
            conditions = 1
            for key, values in (arm.factors | spec.factors).items():
                conditions *= len(values)
                if total + conditions > MAX_CONDITIONS:
                    where = f"factors.{key}" if key in spec.factors else f"arms.{name}.{key}"
                    raise self.error(where, f"makes more than {MAX_CONDITIONS:,} conditions; split the sweep")
            total += conditions
        if total * spec.most_seeds > MAX_LANES:
            found = f"{_short(spec.most_seeds)} for each of {total} conditions"
            key = "max_seeds" if spec.max_seeds else "seeds"
            raise self.error(key, f"{found} is more than {MAX_LANES:,} lanes; split the sweep")


def _is_chosen(key: str) -> bool:
    """Whether a setting is a learner's or a curriculum's."""
    return key.startswith(("learner.", "curriculum."))


def _moved(key: str, settings: "dict[str, Setting]") -> str | None:
    """The setting that a schedule's own setting is about; None for any other."""
    rest = key.removeprefix("schedules.")
    return None if rest == key else next((one for one in settings if rest.startswith(f"{one}.")), None)


def _short(value: object) -> str:
    """A value as it was found, cut where it would fill the screen."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python is willing to print
        text = "a very large number"
    return text if len(text) <= 80 else f"{text[:77]}..."
