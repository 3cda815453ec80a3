"""From the table of preferences to counts by pipeline, seed and pair."""

import numpy as np
import pandas as pd

from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipelines

COLUMNS = ("pipeline", "condition", "seed", "checkpoint", "kind", "rival", "kind_first", "rival_first")


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
    place, seeds = df["pipeline"].map({name: i for i, name in enumerate(names)}).to_numpy(int), df["seed"].to_numpy(int)
    each, seed = np.unique(seeds, return_inverse=True)
    first, decided = np.zeros((2, len(names), len(each), len(pipelines.pairs)), int)
    where = place, seed, number[kind, rival]
    first[where] = df["kind_first"].to_numpy(int)
    decided[where] = df["kind_first"].to_numpy(int) + df["rival_first"].to_numpy(int)
    return Measured(tuple(names), first, decided)


def as_measured(given: pd.DataFrame | Measured, pipelines: Pipelines) -> Measured:
    return measured_of(given, pipelines) if isinstance(given, pd.DataFrame) else given
