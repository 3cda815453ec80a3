"""From a results folder to pipelines, and from its table of preferences to counts by pipeline, seed and pair."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.folder import Place, as_place, read_manifest
from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipeline, Pipelines, Stage

COLUMNS = ("pipeline", "condition", "seed", "checkpoint", "kind", "rival", "kind_first", "rival_first")

MOVED = "paid_colour", "paid_shape", "other_colour", "other_shape", "pairs", "scale_colour", "scale_shape"
"""Settings of the world `kinds` by which stages differ."""


def pipelines_of(directory: str | Place, families: Mapping[str, str] | None = None) -> Pipelines:
    """The pipelines of a sweep over the world `kinds`, from what each of its conditions was set to in each stage.

    Args:
      families: by pipeline, its family; of others, it is the name up to the first hyphen.
    Raises:
      ValueError: another world, no pipelines, or conditions of one pipeline that differ in its stages.
    """
    manifest = read_manifest(as_place(directory))
    conditions = manifest.conditions().values()
    world = manifest.layers[-1].world
    if world != "kinds" or any("pipeline" not in settings for settings in conditions):
        raise ValueError(f"{directory}: a sweep over {world}; expected pipelines of stages in the world kinds")
    sizes = {(settings["env.colours"], settings["env.shapes"]) for settings in conditions}
    if len(sizes) > 1:
        raise ValueError(f"{directory}: rooms with {len(sizes)} numbers of kinds; expected the same in all conditions")
    ((colours, shapes),) = sizes
    found: dict[str, Pipeline] = {}
    for settings in conditions:
        name, stages = settings["pipeline"], _stages(settings, colours, shapes)
        family = (families or {}).get(name, name.partition("-")[0])
        one = Pipeline(name, family, stages, stages[0].colour, stages[0].shape)
        if found.setdefault(name, one) != one:
            raise ValueError(f"pipeline {name}: its conditions differ in what a stage is; expected one")
    return Pipelines(colours, shapes, tuple(found.values()))


def _stages(settings: Mapping[str, Any], colours: int, shapes: int) -> tuple[Stage, ...]:
    """Preferences are measured under the settings of the first stage."""
    moves = {}
    for key in MOVED:
        schedule = f"schedules.env.{key}"
        count = sum(one.startswith(f"{schedule}.at.") for one in settings)
        moves[key] = [(settings[f"{schedule}.at.{i}"], settings[f"{schedule}.to.{i}"]) for i in range(1, count + 1)]
    begins = sorted({0.0} | {at for steps in moves.values() for at, _ in steps if at < 1})
    stages = []
    for begin, end in zip(begins, [*begins[1:], 1.0], strict=True):
        now = {key: settings[f"env.{key}"] for key in MOVED}
        now |= {key: to for key, steps in moves.items() for at, to in steps if at <= begin}
        paid, other = allowed(now, colours, shapes)
        others = float(now["pairs"]) * other / max(other.sum(), 1)
        given = (tuple((paid / paid.sum()).tolist()), tuple(others.tolist()))
        stages.append(Stage(*given, end - begin, float(now["scale_colour"]), float(now["scale_shape"])))
    return tuple(stages)


def allowed(settings: Mapping[str, Any], colours: int, shapes: int) -> np.ndarray:
    """bool[2, kinds], the kinds that the paid thing and the other one may be of; 0 stands for any colour or shape."""
    colour, shape = np.divmod(np.arange(colours * shapes), shapes)

    def fits(whose: str) -> np.ndarray:
        wanted = settings[f"{whose}_colour"], settings[f"{whose}_shape"]
        return ((wanted[0] == 0) | (colour + 1 == wanted[0])) & ((wanted[1] == 0) | (shape + 1 == wanted[1]))

    return np.stack([fits("paid"), fits("other") & ~fits("paid")])


def measured_of(df: pd.DataFrame, pipelines: Pipelines) -> Measured:
    """What was measured of those pipelines that the table has, at its last checkpoint.

    Args:
      df: as from `analysis.load_preferences`, with a column `pipeline`.
    Raises:
      ValueError: a column is missing, a pipeline has several conditions, or there are other kinds than the pipelines'.
    """
    for column in COLUMNS:
        if column not in df.columns:
            raise ValueError(f"preferences: no column {column}; expected {', '.join(COLUMNS)}")
    df = df[(df["checkpoint"] == df["checkpoint"].max()) & df["pipeline"].isin(pipelines.names)]
    conditions = df.groupby("pipeline", observed=True)["condition"].nunique()
    for name in conditions.index[conditions > 1]:
        raise ValueError(f"pipeline {name}: {conditions[name]} conditions; choose the rows of one, such as of one arm")
    number = np.full((pipelines.kinds, pipelines.kinds), -1)
    number[*pipelines.pairs.T] = np.arange(len(pipelines.pairs))
    kind, rival = df["kind"].to_numpy(int), df["rival"].to_numpy(int)
    if len(df) and (max(kind.max(), rival.max()) >= pipelines.kinds or (kind >= rival).any()):
        raise ValueError(
            f"preferences: pairs of other kinds than those of {pipelines.colours} colours x {pipelines.shapes} shapes; "
            "expected kind below rival"
        )
    names = [name for name in pipelines.names if name in conditions.index]
    place = df["pipeline"].astype(str).map({name: i for i, name in enumerate(names)}).to_numpy(int)
    seeds = df["seed"].to_numpy(int)
    each, seed = np.unique(seeds, return_inverse=True)
    first, decided = np.zeros((2, len(names), len(each), len(pipelines.pairs)), int)
    where = place, seed, number[kind, rival]
    first[where] = df["kind_first"].to_numpy(int)
    decided[where] = df["kind_first"].to_numpy(int) + df["rival_first"].to_numpy(int)
    return Measured(tuple(names), first, decided)


def as_measured(given: pd.DataFrame | Measured, pipelines: Pipelines) -> Measured:
    return measured_of(given, pipelines) if isinstance(given, pd.DataFrame) else given
