"""What a frame says of the sweep that it came from: conditions, pairs, and how many seeds were meant."""

import warnings
from collections.abc import Sequence

import pandas as pd


def pooled_factors(df: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The factors that take several values within a group."""
    others = [factor for factor in df.attrs.get("factors", ()) if factor not in by]
    if not by or not others:
        return [factor for factor in others if df[factor].nunique(dropna=False) > 1]
    spread = df.groupby(list(by), observed=True, dropna=False)[others].nunique(dropna=False).max()
    return [factor for factor in others if spread[factor] > 1]


def warn_of_pooling(df: pd.DataFrame, by: Sequence[str]) -> None:
    """Warns, on the caller's caller's line, where groups hold several conditions."""
    if pooled := pooled_factors(df, by):
        warnings.warn(f"pooled over {', '.join(pooled)}: lanes of different conditions count alike", stacklevel=3)


def warn_of_stopping(df: pd.DataFrame, what: str, instead: str) -> None:
    """Warns, on the caller's caller's line, where how many seeds there are depends on how they turned out."""
    if df.attrs.get("adaptive"):
        found = f"seeds were added until intervals were narrow, and {what} are for numbers of seeds fixed before"
        warnings.warn(f"{found}; {instead}", stacklevel=3)
