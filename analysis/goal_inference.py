"""Which goal or reflex explains a policy best, and by how much: from the goal-directedness that `load` hands on."""

import numpy as np
import pandas as pd

NOTHING = 1e-4
"""Nats per decision below which a candidate explains nothing, and a difference is none: outcomes are in float32."""


def inferred_goal(df: pd.DataFrame) -> pd.DataFrame:
    """The candidate with the highest goal-directedness of each lane, and its margin over the next one.

    Candidates are goals and reflexes (`always:ACTION`, and `always:same`, which goes on as before). A goal counts only
    where it is sought: with a rationality of 0 or less, which explains a policy that shuns the goal, it counts 0. Of a
    goal and a reflex that explain as much, the goal is named, with a margin of 0.

    Args:
      df: rows of `analysis.load`, with columns meg.GOAL, meg.beta.GOAL and meg.always:ACTION.
    Returns:
      With the index of `df`: inferred (str; missing where nothing explains anything, or nothing was measured), meg
      (nats per decision, at most the logarithm of the number of actions), margin (nats per decision over the next
      candidate), and next (str, that candidate; missing where it explains nothing).
    Raises:
      ValueError: no such columns.
    """
    goals = [name.removeprefix("meg.beta.") for name in df.columns if name.startswith("meg.beta.")]
    reflexes = [name.removeprefix("meg.") for name in df.columns if name.startswith("meg.always:")]
    if not goals:
        raise ValueError("meg.GOAL: no such columns; policies with memory, and worlds without goals, have none")
    sought = [df[f"meg.{goal}"].where(df[f"meg.beta.{goal}"] > 0, 0.0) for goal in goals]
    scores = np.column_stack([*sought, *(df[f"meg.{reflex}"] for reflex in reflexes)]).astype(float)
    scores = np.round(np.nan_to_num(scores) / NOTHING) * NOTHING
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    names, every = np.array([*goals, *reflexes], object), np.arange(len(df))
    first, second = scores[every, order[:, 0]], scores[every, order[:, 1]]
    return pd.DataFrame(
        {
            "inferred": pd.Series(names[order[:, 0]], df.index, "str").where(first > 0),
            "meg": first,
            "margin": first - second,
            "next": pd.Series(names[order[:, 1]], df.index, "str").where(second > 0),
        },
        index=df.index,
    )
