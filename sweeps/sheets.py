"""Sheets: what a world trains on and is probed with, as pictures."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from analysis.folder import Place, write_file
from sweeps.environment import pinned
from sweeps.plan import Condition, Plan, ProgramSpec, Shard, canonical
from sweeps.spec import load_spec

if TYPE_CHECKING:
    from PIL.Image import Image

NAME = "levels.png"
CAPTION = "Training levels, and a row of levels of each probe."
MOST = 4
"""Sheets that a run leaves, of the first worlds where a sweep has more."""


@pinned()
def sheet(world: str, overrides: Iterable[str] = ()) -> "Image":
    """A picture of training and probe levels of a world.

    Args:
      overrides: `KEY=VALUE` strings that set `env.*` keys.
    Raises:
      SpecError: an unknown world or key, or a value out of range.
      ValueError: the world has no picture.
    """
    import envs
    from envs import render

    spec = load_spec({"name": "levels", "world": world, "seeds": 1}, [f"fixed.{change}" for change in overrides])
    return render.sheet(envs.make(world, spec.fixed), spec.fixed, _note(spec.fixed))


def write_sheet(folder: Place, image: "Image", name: str = NAME, caption: str = CAPTION) -> Place:
    """Writes a picture whole or not at all, its caption in the PNG's text under `Caption`; returns its path."""
    from PIL.PngImagePlugin import PngInfo

    text, content = PngInfo(), io.BytesIO()
    text.add_text("Caption", caption)
    image.save(content, "PNG", pnginfo=text)
    write_file(folder / name, content.getvalue())
    return folder / name


def leave_sheets(folder: Place, plan: Plan) -> None:
    """Writes the sheets that a run's folder lacks: one a world, with the settings of its first lane.

    Where all programs share a world it is `levels.png`, otherwise `levels-PROGRAM.png`, after the first program of
    each. Worlds without pictures leave none.
    """
    import envs
    from envs import render

    firsts: dict[bytes, tuple[ProgramSpec, Condition]] = {}
    for planned in plan.programs:
        program, conditions = planned.program, planned.conditions
        static = {key: value for key, value in program.static.items() if key.startswith("env.")}
        firsts.setdefault(canonical(static), (program, conditions[0]))
    for program, condition in list(firsts.values())[:MOST]:
        name = NAME if len(firsts) == 1 else f"levels-{program.id}.png"
        world = envs.make(program.world, program.static)
        if world.offers(envs.Drawn) and not (folder / name).exists():
            lane = Shard("", program, ((condition, 0),), plan.spec.master_seed, plan.spec.keys == "paired")
            write_sheet(folder, render.sheet(world, lane.values()[0], _note(condition.factors)), name)


def _note(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in values.items())
