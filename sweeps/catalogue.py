"""What there is to choose from: worlds, learners and curricula, with their settings."""

import inspect
from collections.abc import Mapping
from typing import Any

from sweeps.spec import SpecError, nearest


def worlds(only: str | None = None) -> list[dict[str, Any]]:
    """Every world, then every learner.

    A world's record has world (its name), doc, goals (name, role), actions, counters, settings (key, default, accepts,
    static, doc) and, of its default kind, probes (name, kind, goals, paid, labels, held_out, levels, episodes,
    horizon). A gymnax environment has no goals; what else there is to say is None unless it is asked for: to know that,
    it has to be built, and some download data for that. A learner's record has learner and settings.

    Args:
      only: the name of one world or learner.
    Raises:
      SpecError: nothing has this name.
    """
    import envs
    import jaxrl

    def settings(found: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"key": s.key, "default": s.default, "accepts": s.describe(), "static": s.static, "doc": s.doc}
            for s in found.values()
        ]

    def described(name: str) -> dict[str, Any]:
        if name not in envs.WORLDS and only is None:
            return {"world": name, "goals": [], "counters": []} | dict.fromkeys(
                ("doc", "actions", "settings", "probes")
            )
        world = envs.make(name)
        return {
            "world": name,
            "doc": inspect.getdoc(type(world)),
            "goals": [{"name": goal.name, "role": goal.role} for goal in world.goals],
            "actions": list(world.action_names),
            "counters": list(world.counters),
            "settings": settings(envs.settings(name)),
            "probes": [
                {
                    "name": one.name, "kind": one.kind, "goals": list(one.goals), "labels": one.labels,
                    "held_out": one.held_out, "levels": one.distinct, "episodes": one.episodes, "horizon": one.horizon,
                    "paid": list(one.paid),
                }
                for one in world.probes()
            ],
        }  # fmt: skip

    parts = {
        "learner": (jaxrl.learners(), jaxrl.settings),
        "curriculum": (jaxrl.curricula(), jaxrl.curriculum_settings),
    }
    known = [*envs.names(), *(name for names, _ in parts.values() for name in names)]
    if only is not None and only not in known:
        raise SpecError(only, f"no world, learner or curriculum has this name; nearest: {nearest(only, known)}.")
    records = [described(name) for name in envs.names() if only in (None, name)]
    return records + [
        {part: name, "settings": settings(settings_of(name))}
        for part, (names, settings_of) in parts.items()
        for name in names
        if only in (None, name)
    ]
