"""The lanes that have given values."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.names import check_name
from analysis.values import naming

SHOWN = 20
"""Values of a column that an error lists."""


def select(df: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that have the values given, for example `select(df, {"learner.discount": [0.9, 0.97], "arm": "bin"})`.

    Args:
      df: as from `load`.
      where: column → a value, or a list of accepted values. Text is read as a value: "0.10" for 0.1,
        "none" for a missing value.
    Returns:
      Rows of `df`.
    Raises:
      ValueError: a column that does not exist or a value that no row has, with the nearest; or no row has all of them.
    """
    chosen, said = df, []
    for key, given in where.items():
        check_name("column", key, df.columns)
        wanted = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
        said.append(f"{key}={' or '.join(map(str, wanted))}")
        there = df[key].unique().tolist()
        rows = pd.Series(False, index=df.index)
        for value in wanted:
            for one in _same(key, value, there):
                rows |= df[key].isna() if _is_missing(one) else df[key] == one
        chosen = chosen[rows[chosen.index]]
    if chosen.empty and len(df):
        raise ValueError(f"no lane has {' and '.join(said)}")
    return chosen


def _same(key: str, value: Any, there: list[Any]) -> list[Any]:
    """Those of a column's values that are meant. Raises ValueError where there is none."""
    text, number, name = str(value), _as_number(value), naming(there)
    same = [
        one
        for one in there
        if text in (str(one), name(one))
        or (_is_missing(one) and _is_missing(value))
        or (isinstance(one, bool) and text == str(one).lower())
        or (number is not None and _as_number(one) == number)
    ]
    if not same:
        if number is None:
            check_name(f"value of {key}", text, map(name, there))
        shown = ", ".join(map(name, there[:SHOWN])) + (", …" if len(there) > SHOWN else "")
        raise ValueError(f"no lane has {key}={text}; its values: {shown}")
    return same


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _as_number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if number != number else number
