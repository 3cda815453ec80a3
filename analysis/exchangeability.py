"""Are correlates that are alike by construction treated alike? A permutation test over seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.design import warn_of_pooling
from analysis.names import check_name

AT_ONCE = 2**21
"""Numbers that are permuted together: bounds memory to some tens of megabytes."""


def exchangeability(
    df: pd.DataFrame,
    columns: Sequence[str],
    by: str | Sequence[str] = (),
    permutations: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Tests that the columns are exchangeable within each seed, in every group of conditions.

    The null hypothesis: exchanging the columns of a seed, of each seed by itself, leaves the joint law as it is. It
    holds where the columns measure the same of correlates with one law, one encoding and one set of probe levels. The
    statistic is the variance of the columns' means over seeds, so what is found is a preference that seeds share; seeds
    that each prefer one column strongly, and as many one as the other, are exchangeable. With two columns this is the
    sign-flip test of their mean difference.

    p = (1 + permuted statistics at least as large) / (1 + permutations), which is at most `level` with probability at
    most `level` under the null hypothesis, whatever the number of permutations.

    Pitman 1938 (randomised blocks); the correction by one is Phipson and Smyth's of 2010.

    Args:
      df: as from `load` or `load_probes`, one row a seed in each group.
      columns: two or more columns of numbers, such as `share.mark-1` and `share.mark-2`.
      by: columns that define a group; none gives one group of all rows.
      permutations: random ones, of each group.
      seed: of those.
    Returns:
      One row a group, sorted: the `by` columns; n, the seeds tested; missing, those left out because a column is NaN;
      `mean.COLUMN`; statistic; p. Without a seed to test, the numbers are NaN.
    Raises:
      ValueError: a column that does not exist, fewer than two columns, one named twice, or no permutations.
    """
    columns, by = list(columns), [by] if isinstance(by, str) else list(by)
    for column in [*columns, *by]:
        check_name("column", column, df.columns)
    if len(set(columns)) < max(len(columns), 2):
        raise ValueError(f"columns: {columns!r}; expected two or more, each named once")
    if permutations < 1:
        raise ValueError(f"permutations: {permutations!r} is not a number of at least 1")
    warn_of_pooling(df, by)
    groups = df.groupby(by, observed=True, dropna=False) if by else [((), df)]
    rows = []
    for key, members in groups:
        values = members[columns].to_numpy(float)
        present = values[~np.isnan(values).any(axis=1)]
        rows.append(
            dict(zip(by, key, strict=True))
            | {"n": len(present), "missing": len(values) - len(present)}
            | {f"mean.{name}": mean for name, mean in zip(columns, _means(present), strict=True)}
            | {"statistic": float(_means(present).var()), "p": _p(present, permutations, np.random.default_rng(seed))}
        )
    return pd.DataFrame(rows)


def _means(values: np.ndarray) -> np.ndarray:
    """f64[..., columns], the means of f64[..., seeds, columns] over seeds; NaN without seeds."""
    return values.sum(axis=-2) / (values.shape[-2] or np.nan)


def _p(values: np.ndarray, permutations: int, generator: np.random.Generator) -> float:
    if not len(values):
        return np.nan
    # Sums come out differently in their last bits when their terms are permuted.
    least = _means(values).var() - 1e-9 * values.var()
    reached, block = 0, max(AT_ONCE // values.size, 1)
    for start in range(0, permutations, block):
        count = min(block, permutations - start)
        permuted = generator.permuted(np.broadcast_to(values, (count, *values.shape)), axis=-1)
        reached += int((_means(permuted).var(axis=-1) >= least).sum())
    return (1 + reached) / (1 + permutations)
