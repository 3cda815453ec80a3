"""How a report writes values, counts and the names of conditions."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd


def text_of(value: Any) -> str:
    """A value of a setting or factor."""
    if isinstance(value, str | bool | list | dict | tuple):
        return str(value)
    return "none" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value)


def name_of(factors: Sequence[str], values: Iterable[Any]) -> str:
    """A condition, by its values of the factors."""
    named = (f"{key} = {text_of(value)}" for key, value in zip(factors, values, strict=True))
    return ", ".join(named) or "all seeds"


def count(n: int, word: str) -> str:
    """1 seed, 2 seeds."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def span(numbers: Sequence[int]) -> str:
    """16, or 16 to 64."""
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
