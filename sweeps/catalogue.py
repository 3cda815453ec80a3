"""What there is to choose from: worlds, learners and curricula, with their settings."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

from sweeps.spec import SpecError, nearest


def worlds(only: str | None = None) -> list[dict[str, Any]]:
    """Records of all worlds, learners and curricula: settings, goals and probes.

    A world's record has world (its name), doc, goals (name, role), actions, counters, settings (key, default, accepts,
    static, doc) and, of its default kind, probes (name, kind, goals, paid, labels, held_out, whole, levels, episodes,
    horizon). A gymnax environment has no goals; what else there is to say is None unless it is asked for: to know that,
    it has to be built, and some download data for that. The record of a learner or a curriculum has its name under
    learner or curriculum, and settings.

    Args:
      only: the name of one world, learner or curriculum, or `module:Name` of one's own.
    Raises:
      SpecError: nothing has this name, or it cannot be imported or made.
    """
    import envs
    import jaxrl

    parts = {
        "learner": (jaxrl.learners(), jaxrl.settings),
        "curriculum": (jaxrl.curricula(), jaxrl.curriculum_settings),
    }
    if only is not None and ":" in only and not only.startswith("gymnax:"):
        return [_own(only)]
    known = [*envs.names(), *(name for names, _ in parts.values() for name in names)]
    if only is not None and only not in known:
        raise SpecError(only, f"no world, learner or curriculum has this name; nearest: {nearest(only, known)}.")
    records = [
        _world(name) if name in envs.WORLDS or only is not None else _unbuilt(name)
        for name in envs.names()
        if only in (None, name)
    ]
    return records + [
        {part: name, "settings": _settings(settings_of(name))}
        for part, (names, settings_of) in parts.items()
        for name in names
        if only in (None, name)
    ]


def _own(name: str) -> dict[str, Any]:
    """The record of a world, learner or curriculum of the user's own."""
    import envs
    import jaxrl
    from envs.settings import imported

    try:
        found = imported(name, object)
        if issubclass(found, jaxrl.Learner):
            return {"learner": name, "settings": _settings(jaxrl.settings(name))}
        if issubclass(found, jaxrl.Curriculum):
            return {"curriculum": name, "settings": _settings(jaxrl.curriculum_settings(name))}
        if issubclass(found, envs.World):
            envs.check_contract(envs.make(name))
            return _world(name)
    except ValueError as error:
        raise SpecError(name, f"{str(error).removeprefix(f'{name} ').rstrip('.')}.") from None
    raise SpecError(name, "is not a world, learner or curriculum; expected a subclass of envs.World or one of jaxrl's.")


def _world(name: str) -> dict[str, Any]:
    import envs

    world = envs.make(name)
    return {
        "world": name,
        "doc": _doc(type(world)),
        "goals": [{"name": goal.name, "role": goal.role} for goal in world.goals],
        "actions": list(world.action_names),
        "counters": list(world.counters),
        "settings": _settings(envs.settings(name)),
        "probes": [
            {
                "name": one.name, "kind": one.kind, "goals": list(one.goals), "labels": one.labels,
                "held_out": one.held_out, "whole": one.whole, "levels": one.distinct,
                "episodes": one.episodes, "horizon": one.horizon,
                "paid": list(one.paid),
            }
            for one in world.probes()
        ],
    }  # fmt: skip


def _unbuilt(name: str) -> dict[str, Any]:
    """The record of a gymnax environment that is only listed."""
    nothing = dict.fromkeys(("doc", "actions", "settings", "probes"))
    return {"world": name, "goals": [], "counters": []} | nothing


def _settings(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": one.key, "default": one.default, "accepts": one.describe(), "static": one.static, "doc": one.doc}
        for one in found.values()
    ]


def _doc(cls: type) -> str:
    """A class's docstring, from its source where there is one: `python -OO` drops docstrings."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):
        return inspect.getdoc(cls) or ""
    return (ast.get_docstring(node) if isinstance(node, ast.ClassDef) else None) or inspect.getdoc(cls) or ""
