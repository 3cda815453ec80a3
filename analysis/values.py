"""The text of a value that names something: of a factor, in tables, ticks, legends and names of conditions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

CHOSEN = 8
"""Significant digits to which a number is taken as somebody's choice, such as 0.99995, and written in full."""
FEWEST, MOST = 4, 17
"""Significant digits of other numbers: as many as tell a column's values apart."""


def naming(column: Iterable[Any]) -> Callable[[Any], str]:
    """A function from a value of the column to the shortest text that tells it from the column's other values.

    For 0.9999, 0.99995 and 1.0 these texts are "0.9999", "0.99995" and "1"; numbers with many digits, such as drawn
    ones, are rounded to the fewest that keep them apart. A missing value is "none".
    """
    values = list(pd.unique(column) if isinstance(column, pd.Series) else column)
    numbers = {float(value) for value in values if _is_float(value)}
    digits = FEWEST
    while digits < MOST and len({_number(one, digits) for one in numbers}) < len(numbers):
        digits += 1
    missing = "missing" if any(isinstance(value, str) and value == "none" for value in values) else "none"

    def name(value: Any) -> str:
        if _is_float(value):
            return _number(float(value), digits)
        return missing if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)

    return name


def condition_names(df: pd.DataFrame, factors: Sequence[str]) -> Callable[[Any], str]:
    """A function from values of the factors, one each, to the name of the condition: "x = 0.1, y = none"."""
    names = [naming(df[factor]) for factor in factors]

    def name(values: Iterable[Any]) -> str:
        named = (f"{key} = {text(one)}" for key, text, one in zip(factors, names, values, strict=True))
        return ", ".join(named) or "all seeds"

    return name


def _is_float(value: Any) -> bool:
    return isinstance(value, float | np.floating) and not np.isnan(value)


def _number(value: float, digits: int) -> str:
    full = f"{value:.{CHOSEN}g}"
    return full if float(full) == value else f"{value:.{digits}g}"
