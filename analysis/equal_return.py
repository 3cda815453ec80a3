"""Policies at equal training return: what training does to goals, apart from how well it has worked so far."""

import pandas as pd

from analysis.design import DESIGN
from analysis.figures import through_training
from analysis.folder import Place
from analysis.load import load_curves
from analysis.results import LANE


def at_return(directory: str | Place, level: float) -> pd.DataFrame:
    """One row a lane: its shares at the first checkpoint at which its training return had reached `level`.

    Equal steps compare learners that have come equally far in time; equal return those that have come equally far in
    what is rewarded. The return is that of the curve's last point up to the checkpoint, undiscounted and without
    shaping; for learners that select among many policies it is the whole population's.

    Args:
      directory: a results folder whose world has goals.
      level: the training return, a mean over episodes. Of lanes whose best returns differ, call once for each.
    Returns:
      The rows of `figures.through_training`, and `return_mean` at that checkpoint. A lane that never comes to `level`
      has its factors, condition, seed, master_seed, keys and adaptive alone, and NaN for the rest: it stays in every
      denominator.
    Raises:
      ValueError: as `load`.
    """
    through = through_training(directory)
    curves = load_curves(directory)[[*LANE, "update", "return_mean"]].dropna(subset="return_mean")
    rows = pd.merge_asof(
        through.sort_values("update"), curves.sort_values("update"), on="update", by=LANE, direction="backward"
    )
    reached = rows[rows["return_mean"] >= level].sort_values("update").drop_duplicates(LANE)
    factors = [name for name in through.attrs["factors"] if name != "checkpoint"]
    known = [*factors, "master_seed", *(name for name in DESIGN if name in rows)]
    lanes = rows[[*known, *LANE]].drop_duplicates(LANE)
    df = lanes.merge(reached.drop(columns=known), on=LANE, how="left")
    df = df.sort_values([*factors, *LANE], ignore_index=True)
    df.attrs["factors"] = factors
    return df
