"""What a frame says of the sweep that it came from: conditions, pairs, and how many seeds were meant.

Two rows are of one condition where their `condition` is the same, whatever the factors that a sweep declares.
"""

import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.values import naming

LANE = ["master_seed", "condition", "seed"]
"""Columns that name a lane among those of several folders."""
DESIGN = ["keys", "adaptive"]
"""Columns, as `load` gives them: "paired" or "independent", and whether seeds were added until rates were known."""
PARTS = ("arm", "pipeline", "world", "learner", "curriculum")
SETTINGS = ("env", "reward", "pay", "shaping", "approval", "lives", "ask", "learner", "curriculum", "schedules")
"""The heads of the names of settings."""
MOMENTS = ("checkpoint", "probe", "actor", "sampled")
"""What tells the rows of one lane apart, where a frame has several of each."""
TOTAL = "return_total"
"""A sum over all of training: lanes that were trained otherwise differ in it, even where all end alike."""
MOST_VALUES = 24
"""Of a factor, that are compared with each other: the first ones."""


def is_paired(df: pd.DataFrame) -> bool:
    """Whether seeds of one number share their initialisation, in all conditions of the frame."""
    return "keys" in df and bool((df["keys"] == "paired").all())


def is_adaptive(df: pd.DataFrame) -> bool:
    """Whether seeds were added to any condition until rates were known well enough."""
    return "adaptive" in df and bool(df["adaptive"].eq(True).any())


def factors_of(df: pd.DataFrame) -> list[str]:
    """The columns that tell conditions apart, or the rows of one lane; not what each seed drew for itself."""
    settings = [name for name in map(str, df) if "." in name and name.partition(".")[0] in SETTINGS]
    parts = [name for name in PARTS if f"{name}.name" not in df]
    names = [name for name in dict.fromkeys([*df.attrs.get("factors", ()), *parts, *settings, *MOMENTS]) if name in df]
    names = [name for name in names if df[name].nunique(dropna=False) > 1]
    if "condition" not in df:
        return names
    moments = df.duplicated([name for name in LANE if name in df]).any()
    spread = df.groupby("condition")[[name for name in names if name not in MOMENTS]].nunique(dropna=False).max()
    return [name for name in names if (moments if name in MOMENTS else spread[name] == 1)]


def drawn_settings(df: pd.DataFrame) -> list[str]:
    """The settings of which each seed drew a value for itself, so that they vary within a condition."""
    settings = [name for name in map(str, df) if "." in name and name.partition(".")[0] in SETTINGS]
    if not settings or "condition" not in df:
        return []
    spread = df.groupby("condition")[settings].nunique(dropna=False).max()
    return [name for name in settings if spread[name] > 1]


def without_draws(df: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The frame with "sampled" in place of what the seeds of a condition drew, so that these are one group."""
    drawn = {name: df.groupby("condition")[name].transform("nunique") > 1 for name in names}
    return df.assign(**{name: df[name].astype(object).mask(drawn[name], "sampled") for name in names})


def pooled_factors(df: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The columns of `factors_of` that take several values within a group."""
    others = [factor for factor in factors_of(df) if factor not in by]
    if not by or not others:
        return others
    spread = df.groupby(list(by), observed=True, dropna=False)[others].nunique(dropna=False).max()
    return [factor for factor in others if spread[factor] > 1]


def warn_of_pooling(df: pd.DataFrame, by: Sequence[str]) -> None:
    """Warns, on the caller's caller's line, where groups hold several conditions."""
    over = ", ".join(pooled_factors(df, by))
    if not over and "condition" in df:
        each = df.groupby(list(by), observed=True, dropna=False)["condition"].nunique() if by else df["condition"]
        if (each.max() if by else each.nunique()) > 1:
            over = "settings that no column shows"
    if over:
        warnings.warn(f"pooled over {over}: lanes of different conditions count alike", stacklevel=3)


def warn_of_stopping(df: pd.DataFrame, what: str, instead: str) -> None:
    """Warns, on the caller's caller's line, where how many seeds there are depends on how they turned out."""
    if is_adaptive(df):
        found = f"seeds were added until intervals were narrow, and {what} are for numbers of seeds fixed before"
        warnings.warn(f"{found}; {instead}", stacklevel=3)


def warn_of_pairs(df: pd.DataFrame, by: Sequence[str]) -> None:
    """Warns, on the caller's caller's line, where the same seeds stand at several doses."""
    if is_paired(df) and not pooled_factors(df, by):
        warnings.warn("keys were paired: intervals take the seeds at different doses as independent", stacklevel=3)


def warn_of_no_effect(df: pd.DataFrame, by: Sequence[str]) -> None:
    """Warns, on the caller's caller's line, where values of one of the columns gave identical lanes."""
    for factor, one, other in without_effect(df, by):
        warnings.warn(f"{factor}: {one} and {other} gave identical lanes, seed by seed: it had no effect", stacklevel=3)


def without_effect(df: pd.DataFrame, by: Sequence[str] | None = None) -> Iterator[tuple[str, str, str]]:
    """Factors without effect: (factor, value, value) where all pairs of conditions that differ only so are identical.

    Paired seeds start alike, so that lanes differ as soon as training reads a setting in which their conditions differ.
    Nothing is found where keys were not paired, or the frame lacks what training summed up.

    Args:
      by: the factors to look at; None looks at all.
    """
    if not is_paired(df) or "condition" not in df or TOTAL not in df:
        return
    factors = factors_of(df)
    prints = _fingerprints(df, factors)
    shown = df.drop_duplicates("condition").set_index("condition")[factors]
    for factor in factors if by is None else [factor for factor in factors if factor in by]:
        name, others = naming(shown[factor]), [one for one in factors if one != factor]
        same: dict[tuple[str, str], bool] = {}
        for _, group in shown.groupby(others, observed=True, dropna=False) if others else [((), shown)]:
            for (first, value), (second, another) in combinations(group[factor][:MOST_VALUES].items(), 2):
                one, other = prints[str(first)], prints[str(second)]
                both = ~np.isnan(one) & ~np.isnan(other)
                if value != another and both.any():
                    pair = (name(value), name(another))
                    same[pair] = same.get(pair, True) and bool((one == other)[both].all())
        yield from ((factor, *pair) for pair, alike in same.items() if alike)


def _fingerprints(df: pd.DataFrame, factors: Sequence[str]) -> dict[str, np.ndarray]:
    """Of each condition, a number f64[seeds] that tells what came out of a lane; NaN where it has no such seed."""
    known = {*LANE, *factors, *PARTS, *DESIGN, "program"}
    outcome = [
        name for name in map(str, df)
        if name not in known and not name.startswith("planner.") and name.partition(".")[0] not in SETTINGS
        and pd.api.types.is_numeric_dtype(df[name])
    ]  # fmt: skip
    seeds = [name for name in LANE if name in df and name != "condition"]
    rows = df[["condition", *seeds]].assign(print=pd.util.hash_pandas_object(df[outcome], index=False) // 2**11)
    wide = rows.drop_duplicates(["condition", *seeds]).pivot(index=seeds, columns="condition", values="print")
    return {str(condition): wide[condition].to_numpy(float) for condition in wide}
