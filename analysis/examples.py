"""Which seeds to look at: the typical ones of a label, and those that differ from the rest of their condition."""

import pandas as pd

from analysis.names import check_name


def typical(df: pd.DataFrame, label: str, n: int = 1) -> pd.DataFrame:
    """The seeds of a label that are nearest to its medians, the nearest first.

    The middle is the median, for each goal, of `share.GOAL` over all seeds of the frame that have the label. A seed is
    as far from it as the sum over goals of the absolute differences; one without a share is 1 away for each goal whose
    median there is. Of seeds that are equally far the first of the frame counts.

    Args:
      df: as from `load`, one row a lane.
      n: how many, at most.
    Returns:
      Rows of `df`.
    Raises:
      ValueError: there is no such label, with the nearest that there is; or no seed has it.
    """
    check_name("label", label, df["label"].cat.categories)
    seeds = df[df["label"] == label]
    if seeds.empty:
        there = ", ".join(f"{name} ({count})" for name, count in df["label"].value_counts().items() if count)
        raise ValueError(f"no seed has the label {label}; labels and seeds that have them: {there}")
    return seeds.loc[_distance(seeds, _shares(seeds).median()).sort_values(kind="stable").index[:n]]


def outliers(df: pd.DataFrame, n: int = 1) -> pd.DataFrame:
    """The seeds that differ most from the others of their condition, the most different first.

    First counts how small a share of its condition's seeds has a seed's label; among equals, how far the seed is from
    the medians of its condition, as in `typical`; then the order of the frame.

    Args:
      df: as from `load`, one row a lane.
      n: how many, at most.
    Returns:
      Rows of `df`.
    """
    size = df.groupby("condition")["label"].transform("size")
    alike = df.groupby(["condition", "label"], observed=True)["label"].transform("size")
    distance = _distance(df, _shares(df).groupby(df["condition"]).transform("median"))
    order = pd.DataFrame({"alike": alike / size, "near": -distance})
    return df.loc[order.sort_values(["alike", "near"], kind="stable").index[:n]]


def _shares(df: pd.DataFrame) -> pd.DataFrame:
    return df[[name for name in map(str, df) if name.startswith("share.")]].astype(float)


def _distance(df: pd.DataFrame, middle: pd.Series | pd.DataFrame) -> pd.Series:
    """f64[rows]: how far the shares are from a middle, a row for all or one each."""
    away = (_shares(df) - middle).abs()
    return away.fillna((middle.notna() & away.isna()).astype(float)).sum(axis=1).round(9)  # so that ties are ties
