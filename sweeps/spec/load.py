"""From what was written to a checked spec."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.folder import MAX_LANES
from sweeps.spec.checker import Checker
from sweeps.spec.errors import nearest, short
from sweeps.spec.keys import KEYS, SECTIONS
from sweeps.spec.reading import read
from sweeps.spec.record import Spec
from sweeps.spec.sections import Settings, arms_of, sampled_of, schedules_of, unknown_setting
from sweeps.spec.stages import pipelines_of

if TYPE_CHECKING:
    from envs.settings import Setting

MAX_CONDITIONS = 100_000
"""Every condition is held in memory and written into the manifest."""


def load_spec(source: str | Path | Mapping[str, Any], overrides: Iterable[str] = ()) -> Spec:
    """Reads and checks a spec.

    Args:
      source: the path of a .toml file, the name of a preset, or the content as a mapping, whose values may be NumPy's.
      overrides: `KEY=VALUE` strings as given to `--set`; KEY is any path in the file, or a setting, which is then
        fixed; VALUE is TOML or a bare string.
    Raises:
      SpecError: one line that says where, what was found and what would be accepted.
    """
    checker = Checker(read(source, overrides))
    top = {key.attribute: key for key in KEYS}
    world = checker.take(top["world"])
    settings, of_learner, of_curriculum, scheduled = _settings(checker, world)
    _fix_overrides(checker, settings)
    given = dict(checker.flat)
    names = {kind: checker.take(top[kind]) for kind in ("learner", "curriculum")}
    owners = {"env": world, "learner": "/".join(of_learner), "curriculum": "/".join(of_curriculum)}
    choices = _choices({"learner": of_learner, "curriculum": of_curriculum}, names)
    pipelines, of_stages = pipelines_of(checker, Settings(settings, choices, owners))
    settings |= of_stages
    scheduled |= {key: one.default for key, one in of_stages.items() if one.static}
    of_conditions = Settings(settings, choices, owners)
    _check_keys(checker, of_conditions)
    values = {attribute: checker.take(key) for attribute, key in top.items()}
    _check_rounds(checker, values)
    fixed, factors = checker.section("fixed"), checker.section("factors")
    for key in fixed.keys() & factors.keys():
        raise checker.error(f"fixed.{key}", "is a factor too; give it under one of fixed and factors")
    for key in scheduled.keys() & factors.keys():
        raise checker.error(key, "is a factor too; give it once")
    arms = arms_of(checker, of_conditions, factors)
    of_arms = {key for arm in arms.values() for key in (*arm.fixed, *arm.factors)}
    sampled = sampled_of(checker, settings, fixed.keys() | factors.keys() | scheduled.keys() | of_arms)
    in_all_arms = {key for key in of_arms if all(key in arm.fixed or key in arm.factors for arm in arms.values())}
    _check_schedules(checker, settings, scheduled.keys() | factors.keys() | sampled.keys() | in_all_arms)
    spec = Spec(
        **values,
        fixed={key: checker.value(f"fixed.{key}", settings[key], one) for key, one in fixed.items()} | scheduled,
        factors={
            key: checker.levels(f"factors.{key}", of_conditions.all[key], value) for key, value in factors.items()
        },
        arms=arms,
        sampled=sampled,
        source=checker.label,
        given=given,
        pipelines=pipelines,
        settings=settings,
        of_learner=of_learner,
        of_curriculum=of_curriculum,
    )
    _check_size(checker, spec)
    return spec


def _fix_overrides(checker: Checker, settings: "dict[str, Setting]") -> None:
    """Puts settings that `--set` gives by their own keys, as env.diversity=0.5, into the section `fixed`."""
    for key in settings.keys() & checker.flat.keys():
        section, value = f"fixed.{key}", checker.flat[key]
        if checker.origin[key] != "--set" or key.partition(".")[0] in SECTIONS:
            continue
        if elsewhere := _given_elsewhere(checker.flat, key):
            value = "[VALUE, ...]" if elsewhere.startswith("factors.") else "VALUE"
            raise checker.error(key, f"the spec gives it as {elsewhere}; change that: --set '{elsewhere}={value}'")
        if checker.origin.get(section) == "--set":
            raise checker.error(key, f"is given as {section} too; give it once")
        if isinstance(value, list):
            raise checker.error(key, f"{short(value)} is a list; for a factor: --set 'factors.{key}=[VALUE, ...]'")
        checker.flat[section] = checker.flat.pop(key)
        checker.origin[section] = "--set"
        if key in checker.hints:
            checker.hints[section] = checker.hints[key]


def _given_elsewhere(flat: Iterable[str], key: str) -> str | None:
    """Where a spec has values for a setting that what is fixed would not replace."""
    places = rf"((?:factors|(?:arms|stages)\.[^.]*|sampled)\.{re.escape(key)})(?:\.(?:low|high|scale))?"
    return next((found[1] for path in flat if (found := re.fullmatch(places, path))), None)


def _settings(
    checker: Checker, world: str
) -> "tuple[dict[str, Setting], dict[str, dict[str, Setting]], dict[str, dict[str, Setting]], dict[str, Any]]":
    """Every setting that conditions may have; those of each learner and curriculum; what the schedules fix."""
    import jaxrl

    of_world = _settings_of_world(checker, world)
    of_learner = _components(checker, "learner", "ppo", jaxrl.learners(), jaxrl.settings)
    of_curriculum = _components(checker, "curriculum", "random", jaxrl.curricula(), jaxrl.curriculum_settings)
    checker.alternatives = {"learner": of_learner, "curriculum": of_curriculum}
    every = [*of_learner.values(), *of_curriculum.values()]
    settings = of_world | {key: setting for one in every for key, setting in one.items()}
    scheduled, of_schedules = schedules_of(checker, settings)
    return settings | of_schedules, of_learner, of_curriculum, scheduled


def _settings_of_world(checker: Checker, world: str) -> "dict[str, Setting]":
    import envs

    own = ":" in world and not world.startswith("gymnax:")
    if world not in envs.WORLDS and not own:  # gymnax is imported for its names alone
        checker.known("world", world, envs.names(), "world")
    try:
        return envs.settings(world)
    except (ValueError, OSError) as error:  # some gymnax environments cannot be played, or download data
        why = str(error).removeprefix("world: ")
        raise checker.error("world", f"{world!r} cannot be made here ({why}); choose another") from None


def _components(
    checker: Checker, kind: str, default: str, names: list[str], settings_of: "Callable[[str], dict[str, Setting]]"
) -> "dict[str, dict[str, Setting]]":
    """The settings of each learner (or curriculum) that the spec names for some condition."""
    key, factor = f"{kind}.name", f"factors.{kind}.name"
    every = {factor: checker.flat.get(factor, [])}
    arms = {path.split(".")[1] for path in checker.flat if path.startswith("arms.")}
    in_arms = {path: value for path, value in checker.flat.items() if re.fullmatch(rf"arms\.[^.]*\.{key}", path)}
    top = checker.text(kind, checker.flat.get(kind, default))
    if every[factor] == [] and (not arms or len(in_arms) < len(arms)):
        every[kind] = top
    found: dict[str, dict[str, Setting]] = {}
    for path, value in (every | in_arms).items():
        for name in value if isinstance(value, list) else [value]:
            if ":" not in checker.text(path, name):
                checker.known(path, name, names, kind)
            try:
                found[name] = settings_of(name)
            except ValueError as error:
                raise checker.error(path, error) from None
    return found


def _choices(parts: "dict[str, dict[str, dict[str, Setting]]]", top: dict[str, str]) -> "dict[str, Setting]":
    """`learner.name` and `curriculum.name` as settings that a factor or an arm may have."""
    from envs.settings import Setting

    return {
        f"{kind}.name": Setting(f"{kind}.name", str, top[kind], True, choices=tuple(found))
        for kind, found in parts.items()
    }


def _check_keys(checker: Checker, settings: Settings) -> None:
    """Raises SpecError for the first key that a spec does not have."""
    names = [key.path for key in KEYS]
    for path in checker.flat:
        section, _, key = path.partition(".")
        if path in ("fixed.learner.name", "fixed.curriculum.name"):
            kind = key.removesuffix(".name")
            raise checker.error(path, f"is the same for all conditions; give it at the top, as {kind} = ...")
        if section in ("fixed", "factors") and key:
            if key not in settings.all:
                raise unknown_setting(checker, section, key, settings)
        elif path not in names and not (section in SECTIONS and key):
            written = [f"{section}.{key}" for section in ("fixed", "factors") for key in settings.own]
            if checker.origin[path] == "--set":
                names += settings.own
            raise checker.error(path, f"a spec has no such key; nearest: {nearest(path, names + written)}")


def _check_rounds(checker: Checker, values: dict[str, Any]) -> None:
    for given, other in (("precision", "max_seeds"), ("max_seeds", "precision")):
        if values[given] is not None and values[other] is None:
            raise checker.error(given, f"is given without {other}; expected both, or seeds alone")
    most, first = values["max_seeds"], values["seeds"]
    if most is not None and most < first:
        raise checker.error("max_seeds", f"{most} is fewer than the first round's, seeds = {short(first)}")


def _check_schedules(checker: Checker, settings: "dict[str, Setting]", given: set[str]) -> None:
    """Raises SpecError where no condition gives a schedule a number that has no default."""
    for key, setting in settings.items():
        if key.startswith("schedules.") and setting.default is None and key not in given:
            hint = f"here, as factors.{key}, sampled, or in each arm"
            raise checker.error(key, f"is missing; expected {setting.describe()}, {hint}")


def _check_size(checker: Checker, spec: Spec) -> None:
    total = 0
    for name, arm in spec.parts.items():
        conditions = 1
        for key, values in (arm.factors | spec.factors).items():
            conditions *= len(values)
            if total + conditions > MAX_CONDITIONS:
                where = f"factors.{key}" if key in spec.factors else f"arms.{name}.{key}"
                raise checker.error(where, f"makes more than {MAX_CONDITIONS:,} conditions; split the sweep")
        total += conditions
    if total * spec.most_seeds > MAX_LANES:
        found = f"{short(spec.most_seeds)} for each of {total} conditions"
        key = "max_seeds" if spec.max_seeds else "seeds"
        raise checker.error(key, f"{found} is more than {MAX_LANES:,} lanes; split the sweep")
