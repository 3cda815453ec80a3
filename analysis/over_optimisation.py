"""What a policy is truly worth against how far it has come from its beginning, where it learns from a learnt reward."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.design import warn_of_pooling
from analysis.intervals import check_level
from analysis.names import check_name
from analysis.shares import mean_interval


def over_optimisation(df: pd.DataFrame, by: str | Sequence[str] = (), level: float = 0.95) -> pd.DataFrame:
    """Gold and proxy return through training against the root of the KL divergence, after Gao et al. 2023 (figure 1).

    Seeds are compared at the same step of training, not at the same divergence.

    Args:
      df: as from `figures.curves_by_label` or `load_curves`, of lanes that learn their reward; others are left out.
      by: columns that define a group; none gives one group of all seeds.
      level: confidence of the two-sided interval over seeds: `mean_interval`'s, between the whole numbers that enclose
        all gold returns of `df`, 0 and 1.
    Returns:
      One row a group × point of training, sorted: the `by` columns, env_step, n (seeds that have a number), without
      (seeds of which no episode ended there), root_kl (mean over seeds, nats an episode), proxy (mean), gold (mean),
      low, high.
    Raises:
      ValueError: a column that does not exist, with the nearest that does, or no lane that learns its reward.
    """
    by = [by] if isinstance(by, str) else list(by)
    if "gold_return" not in df or not df["gold_return"].notna().any():
        raise ValueError("gold_return: no lane learns its reward (learner.reward_model_updates)")
    for column in by:
        check_name("column", column, df.columns)
    check_level(level)
    lane = [name for name in ("condition", "seed", "master_seed") if name in df]
    df = df[df["gold_return"].notna().groupby([df[name] for name in lane]).transform("any")]
    warn_of_pooling(df, [*by, "env_step"])
    gold = df["gold_return"].astype(float)
    least, most = min(0.0, np.floor(gold.min())), max(1.0, np.ceil(gold.max()))
    found = []
    for key, rows in df.groupby([*by, "env_step"], observed=True, dropna=False):
        known = rows[rows["gold_return"].notna()].astype({"gold_return": float})
        low, high = mean_interval(known["gold_return"], level, (least, most))
        root = np.sqrt(known["kl"].astype(float).clip(lower=0)).mean()
        means = root, known["proxy_return"].mean(), known["gold_return"].mean()
        found.append((*key, len(known), len(rows) - len(known), *means, low, high))
    names = [*by, "env_step", "n", "without", "root_kl", "proxy", "gold", "low", "high"]
    return pd.DataFrame(found, columns=names)
