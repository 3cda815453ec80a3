"""How many steps one goal is worth in terms of another."""

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.special import expit

from analysis.exchange import BEYOND, BLIND, indifference

OFFERED = np.repeat([-6, -4, -2, -1, 1, 2, 4, 6], 8)
POLICIES = (
    (0, 0.3, 0.0), (0, 1.0, 0.0), (0, 3.0, 0.0), (2.5, 1.5, 0.0), (2.5, 1.5, 0.1), (5, 0.3, 0.0), (5, 1.0, 0.0),
    (5, 1.5, 0.1), (5.9, 1.0, 0.0), (8, 1.0, 0.0), (12, 3.0, 0.0),
)  # fmt: skip
"""The true number of steps, how steeply the choice depends on them, and lapses."""


def spearman_karber(chosen: np.ndarray) -> float:
    """The mean of the distribution whose survival function is the share, made monotone: within what was offered."""
    offered = np.unique(OFFERED)
    share = [chosen[one == OFFERED].mean() for one in offered]
    falling = isotonic_regression(share, increasing=False).x
    edges = np.concatenate([offered[:1], (offered[1:] + offered[:-1]) / 2, offered[-1:]])
    return float(-np.diff(np.concatenate([[1.0], falling, [0.0]])) @ edges)


def exchange(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Eight choices at each of eight differences up to six steps; the last rows do not depend on the distance."""
    laws = [(*law, law[2] / 2 + (1 - law[2]) * expit(law[1] * (law[0] - OFFERED))) for law in POLICIES]
    laws += [(np.nan, 0.0, 2 * (1 - share), np.full(len(OFFERED), share)) for share in (0.9, 0.5, 0.3, 1.0)]
    rows = []
    for at, slope, lapses, share in laws:
        chosen = random.random((repeats, len(OFFERED))) < share
        found = indifference(OFFERED, chosen, np.ones_like(chosen))
        before = np.mean([spearman_karber(one) for one in chosen[: repeats // 10]])
        row = {"steps": at, "slope": slope}
        row |= {"lapses": lapses if slope else np.nan, "share": np.nan if slope else share[0]}
        traded = found.steps[found.why == ""]
        row |= {"spearman-karber": before, "median": np.median(traded) if slope and len(traded) else np.nan}
        row["covered"] = ((found.low <= at) & (at <= found.high)).mean() if slope else np.nan
        rows.append(row | {"beyond": (found.why == BEYOND).mean(), "distance-blind": (found.why == BLIND).mean()})
    return pd.DataFrame(rows)
