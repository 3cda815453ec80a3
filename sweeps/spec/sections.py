"""The sections of a spec that are more than settings with values: arms, sampled and schedules."""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeps.spec.checker import Checker
from sweeps.spec.errors import SpecError, nearest, short
from sweeps.spec.keys import PLAIN, PLAIN_NAME
from sweeps.spec.record import Arm

if TYPE_CHECKING:
    from envs.settings import Setting


class Settings(NamedTuple):
    """What the conditions of a spec may have values for."""

    own: "dict[str, Setting]"
    choices: "dict[str, Setting]"
    """`learner.name` and `curriculum.name`."""
    owners: dict[str, str]
    """By the first word of a key: whose setting it is."""

    @property
    def all(self) -> "dict[str, Setting]":
        return self.own | self.choices


def unknown_setting(checker: Checker, section: str, key: str, settings: Settings) -> SpecError:
    """The error for a setting that neither the world nor a learner or curriculum has."""
    owner = settings.owners.get(key.partition(".")[0], settings.owners["env"])
    near = nearest(key, settings.own)
    what = "factor" if section == "factors" else "setting"
    hint = f"nearest: {near} ({settings.own[near].describe()})"
    return checker.error(f"{section}.{key}", f"{owner} has no {what} of this name; {hint}")


def entries(checker: Checker, section: str, one: str, example: str) -> Iterator[tuple[str, str, Any]]:
    """Name, key and value of what the tables of a section say, such as arms.NAME.env.KEY; `one` is its word."""
    for path, value in checker.section(section).items():
        name, _, key = path.partition(".")
        if not key:
            hint = f"expected a table of settings, such as {section}.NAME.env.KEY = {example}"
            raise checker.error(f"{section}.{path}", f"{short(value)} is not {one}; {hint}")
        if not PLAIN_NAME.fullmatch(name):
            raise checker.error(f"{section}.{path}", f"{short(name)} is not a plain name; {PLAIN}")
        yield name, key, value


def arms_of(checker: Checker, settings: Settings, factors: dict[str, Any]) -> dict[str, Arm]:
    """The section `arms`: in each, a single value replaces what is fixed, and a list is a factor."""
    found: dict[str, Arm] = {}
    known = settings.all
    for name, key, value in entries(checker, "arms", "an arm", "0.5"):
        path = f"{name}.{key}"
        if key not in known:
            raise unknown_setting(checker, f"arms.{name}", key, settings)
        if key.startswith("schedules.") and key.rpartition(".")[2] in ("kind", "points"):
            raise checker.error(f"arms.{path}", "the kind of a schedule cannot differ between arms; its numbers can")
        if key in factors:
            raise checker.error(f"arms.{path}", "is a factor of all arms too; give it under one of them")
        arm = found.setdefault(name, Arm({}, {}))
        if isinstance(value, list):
            arm.factors[key] = checker.levels(f"arms.{path}", known[key], value)
        else:
            arm.fixed[key] = checker.value(f"arms.{path}", known[key], value)
    return found


def sampled_of(checker: Checker, settings: "dict[str, Setting]", given: Container[str]) -> dict[str, dict[str, Any]]:
    """The section `sampled`: for each key the law of its values."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in checker.section("sampled").items():
        key, _, name = path.rpartition(".")
        if key not in settings and path not in settings and name in ("low", "high", "scale"):
            near = nearest(key, settings)
            raise checker.error(f"sampled.{key}", f"no setting of this name can be sampled; nearest: {near}")
        if path in settings or name not in ("low", "high", "scale"):
            hint = "expected KEY = { low = NUMBER, high = NUMBER, scale = 'linear' or 'log' } of a traced number"
            raise checker.error(f"sampled.{path}", f"{short(value)} is not a distribution for a setting; {hint}")
        found.setdefault(key, {"low": None, "high": None, "scale": "linear"})[name] = value
    for key, law in found.items():
        path, setting = f"sampled.{key}", settings[key]
        if setting.static or setting.kind is not float:
            raise checker.error(path, "only numbers that are neither counts nor static can be sampled")
        if key in given:
            raise checker.error(path, "is fixed, a factor or scheduled too; give it once")
        checker.known(f"{path}.scale", checker.text(f"{path}.scale", law["scale"]), ["linear", "log"], "scale")
        for end in ("low", "high"):
            if law[end] is None:
                raise checker.error(f"{path}.{end}", f"is missing; expected {setting.describe()}")
            law[end] = checker.value(f"{path}.{end}", setting, law[end])
        if not setting.used(law["low"]) < setting.used(law["high"]):
            raise checker.error(f"{path}.high", f"{law['high']!r} is not above low, {law['low']!r}, in float32")
        if law["scale"] == "log" and law["low"] < 1e-30:
            raise checker.error(f"{path}.low", f"{law['low']:g} has no logarithm here; expected at least 1e-30")
    return found


def schedules_of(checker: Checker, settings: "dict[str, Setting]") -> "tuple[dict[str, Any], dict[str, Setting]]":
    """What the section `schedules` fixes, by full key, and every setting of the schedules that it declares."""
    given: dict[str, dict[str, Any]] = {}
    for path, value in checker.section("schedules").items():
        owner = next((key for key in settings if path.startswith(f"{key}.")), None)
        if path in settings:
            raise checker.error(f"schedules.{path}", f"{short(value)} is not a schedule; expected a table with kind")
        if owner is None:
            near = nearest(path.rpartition(".")[0], settings)
            raise checker.error(f"schedules.{path}", f"no setting of this name can follow a schedule; nearest: {near}")
        given.setdefault(owner, {})[path.removeprefix(f"{owner}.")] = value
    fixed: dict[str, Any] = {}
    every: dict[str, Setting] = {}
    for key, numbers in given.items():
        fixed_here, of_this = _schedule(checker, key, numbers, settings[key])
        fixed |= fixed_here
        every |= of_this
    return fixed, every


def _schedule(
    checker: Checker, key: str, numbers: dict[str, Any], moving: "Setting"
) -> "tuple[dict[str, Any], dict[str, Setting]]":
    """What one schedule fixes, and its settings."""
    from jaxrl.schedules import JUMPING, KINDS, LISTED, settings_of

    prefix = f"schedules.{key}"
    if moving.static or moving.kind not in (float, int) or key.startswith("curriculum."):
        raise checker.error(prefix, "only numbers that are neither static nor a curriculum's can follow a schedule")
    if "kind" not in numbers:
        raise checker.error(f"{prefix}.kind", f"is missing; expected one of {', '.join(KINDS)}")
    named = checker.text(f"{prefix}.kind", numbers["kind"])
    kind = checker.known(f"{prefix}.kind", named, list(KINDS), "kind of schedule")
    if moving.kind is int and kind not in JUMPING:
        raise checker.error(f"{prefix}.kind", f"a count cannot be {kind}; expected {' or '.join(JUMPING)}")
    points = _unroll(checker, prefix, numbers) if kind in LISTED else 1
    settings = settings_of(key, kind, points, moving)
    fixed: dict[str, Any] = {f"{prefix}.kind": kind, f"{prefix}.points": points}
    for name, value in numbers.items():
        path = f"{prefix}.{name}"
        if name == "points" or path not in settings:
            names = [one.removeprefix(f"{prefix}.") for one in settings if not one.endswith(".points")]
            raise checker.error(path, f"a {kind} schedule has no such number; it has {', '.join(names)}")
        fixed[path] = checker.value(path, settings[path], value)
    return fixed, settings


def _unroll(checker: Checker, prefix: str, numbers: dict[str, Any]) -> int:
    """Turns the lists `at` and `to` of a schedule into a number each; returns how many."""
    from jaxrl.schedules import JUMPING

    lists = {name: numbers.pop(name, None) for name in ("at", "to")}
    lengths = {len(value) if isinstance(value, list) else 0 for value in lists.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise checker.error(prefix, f"{numbers['kind']} expects at and to, two lists of as many numbers")
    at = [value for value in lists["at"] if isinstance(value, int | float)]
    never = 1 if numbers["kind"] in JUMPING else None
    if len(at) < len(lists["at"]) or any(x >= y != never for x, y in zip(at, at[1:], strict=False)):
        raise checker.error(f"{prefix}.at", f"{short(lists['at'])} is not accepted; expected rising shares of training")
    numbers |= {f"{name}.{i + 1}": value for name, values in lists.items() for i, value in enumerate(values)}
    return lengths.pop()
