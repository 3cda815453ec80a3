"""The sections `stages` and `pipelines`: one task after the other, as arms and schedules of the kind `stages`."""

from typing import TYPE_CHECKING, Any

from sweeps.spec.checker import Checker
from sweeps.spec.errors import short
from sweeps.spec.keys import PLAIN, PLAIN_NAME
from sweeps.spec.record import Pipeline
from sweeps.spec.sections import Settings, entries, unknown_setting

if TYPE_CHECKING:
    from envs.settings import Setting

RESET = "learner.reset_optimiser_at"
OPTIMISERS = ("kept", "fresh")
_SLACK = 1e-6
"""By which shares may fail to sum to 1."""


def pipelines_of(checker: Checker, settings: Settings) -> "tuple[dict[str, Pipeline], dict[str, Setting]]":
    """The pipelines of a spec, and the settings of the schedules that make them; they are then among its arms.

    All have as many stages, those of shorter ones beginning at 1, which never comes; so one program serves them all.
    """
    stages = _stages(checker, settings)
    found = _pipelines(checker, stages)
    for name in ("stages", "pipelines"):
        for path in [path for path in checker.flat if path.startswith(f"{name}.")]:
            del checker.flat[path]
    if not found:
        if stages:
            name = next(iter(stages))
            raise checker.error(f"stages.{name}", "is in no pipeline; expected [pipelines] with lists of stages")
        return found, {}
    if arm := next((path for path in checker.flat if path.startswith("arms.")), None):
        raise checker.error(arm, "a spec has arms or pipelines; give what differs as another pipeline, or as a factor")
    moved = list(dict.fromkeys(key for one in found.values() for name in one.stages for key in stages[name]))
    if any(one.fresh for one in found.values()):
        _check_fresh(checker, settings.own, found, moved)
        moved.append(RESET)
    later = max(len(one.stages) for one in found.values()) - 1
    from jaxrl.schedules import settings_of

    of_schedules: dict[str, Setting] = {}
    for key in moved:
        _check_moved(checker, stages, key)
        if later:
            of_schedules |= settings_of(key, "stages", later, settings.own[key])
    for name, one in found.items():
        for key in moved:
            fixed, setting = f"fixed.{key}", settings.own[key]
            elsewhere = checker.value(fixed, setting, checker.flat[fixed]) if fixed in checker.flat else setting.default
            values = [stages[stage].get(key, elsewhere) for stage in one.stages]
            values = [1.0, *one.begins] if key == RESET and one.fresh else values
            checker.flat |= {f"arms.{name}.{path}": value for path, value in _moving(key, one, values, later).items()}
    return found, of_schedules


def _stages(checker: Checker, settings: Settings) -> dict[str, dict[str, Any]]:
    """What each stage sets."""
    found: dict[str, dict[str, Any]] = {}
    for name, key, value in entries(checker, "stages", "a stage", "1"):
        path = f"{name}.{key}"
        if key not in settings.own:
            raise unknown_setting(checker, f"stages.{name}", key, settings)
        setting = settings.own[key]
        if setting.static or setting.kind not in (float, int) or key.startswith(("curriculum.", "schedules.")):
            why = "only numbers that are not compiled in, nor a curriculum's or a schedule's, can change between stages"
            raise checker.error(f"stages.{path}", why)
        found.setdefault(name, {})[key] = checker.value(f"stages.{path}", setting, value)
    return found


def _pipelines(checker: Checker, stages: dict[str, dict[str, Any]]) -> dict[str, Pipeline]:
    given: dict[str, dict[str, Any]] = {}
    for path, value in checker.section("pipelines").items():
        name, _, key = path.partition(".")
        if not PLAIN_NAME.fullmatch(name):
            raise checker.error(f"pipelines.{path}", f"{short(name)} is not a plain name; {PLAIN}")
        if key not in ("", "stages", "optimiser"):
            raise checker.error(f"pipelines.{path}", "a pipeline has no such key; it has stages and optimiser")
        given.setdefault(name, {})[key or "stages"] = value
    found = {}
    for name, one in given.items():
        path = f"pipelines.{name}"
        optimiser = checker.text(f"{path}.optimiser", one.get("optimiser", "kept"))
        checker.known(f"{path}.optimiser", optimiser, OPTIMISERS, "way to treat the optimiser (kept or fresh)")
        listed = one.get("stages")
        if not isinstance(listed, list) or not listed:
            hint = 'expected a list of stages, such as ["red", { stage = "square", share = 0.25 }]'
            raise checker.error(path, f"{short(listed)} is not a pipeline; {hint}")
        names, shares = zip(*(_entry(checker, path, stages, entry) for entry in listed), strict=True)
        found[name] = Pipeline(names, _shares(checker, path, shares), optimiser == "fresh")
    return found


def _entry(checker: Checker, path: str, stages: dict[str, dict[str, Any]], entry: Any) -> tuple[str, float | None]:
    """The name of a stage in a pipeline, and its share, where one is given."""
    share = None
    if isinstance(entry, dict):
        if strange := sorted(entry.keys() - {"stage", "share"}) or [] if "stage" in entry else ["stage"]:
            what = "is missing" if strange == ["stage"] else "is no part of an entry"
            raise checker.error(path, f"{strange[0]} {what} in {short(entry)}; expected stage and share")
        share = entry.get("share")
        if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1):
            raise checker.error(path, f"the share {short(share)} is not a number in (0, 1]")
        entry = entry["stage"]
    if not stages:
        raise checker.error(
            path, f"{short(entry)} is not a stage; there are none: expected [stages.NAME] with settings"
        )
    return checker.known(path, checker.text(path, entry), list(stages), "stage"), share


def _shares(checker: Checker, path: str, given: tuple[float | None, ...]) -> tuple[float, ...]:
    shares = [share for share in given if share is not None]
    if not shares:
        return (1 / len(given),) * len(given)
    if len(shares) < len(given):
        raise checker.error(path, f"{len(shares)} of {len(given)} stages have a share; expected all or none")
    if abs(sum(shares) - 1) > _SLACK:
        raise checker.error(path, f"the shares {shares} sum to {sum(shares):g}; expected 1")
    return tuple(map(float, shares))


def _check_fresh(checker: Checker, own: "dict[str, Setting]", found: dict[str, Pipeline], moved: list[str]) -> None:
    name = next(name for name, one in found.items() if one.fresh)
    if RESET not in own:
        raise checker.error(f"pipelines.{name}.optimiser", f"no learner here has {RESET}; expected kept")
    if RESET in moved:
        raise checker.error(f"pipelines.{name}.optimiser", f"a stage sets {RESET} too; expected kept")


def _check_moved(checker: Checker, stages: dict[str, dict[str, Any]], key: str) -> None:
    """Raises SpecError where something else than stages says what a setting is."""
    name = next((name for name, one in stages.items() if key in one), None)
    where = f"stages.{name}.{key}" if name else "pipelines"
    for section in ("factors", "sampled", "schedules"):
        if any(path == f"{section}.{key}" or path.startswith(f"{section}.{key}.") for path in checker.flat):
            raise checker.error(where, f"{section}.{key} says what {key} is too; give it in one of them")


def _moving(key: str, one: Pipeline, values: list[Any], later: int) -> dict[str, Any]:
    """A setting's value in the first stage of a pipeline, and the numbers of the schedule that it follows."""
    pads = later - len(one.begins)
    at, to = one.begins + [1.0] * pads, values[1:] + values[-1:] * pads
    numbers = {f"schedules.{key}.at.{i}": share for i, share in enumerate(at, 1)}
    return {key: values[0]} | numbers | {f"schedules.{key}.to.{i}": value for i, value in enumerate(to, 1)}
