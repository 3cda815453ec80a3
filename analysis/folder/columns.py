"""The types of the tables' columns.

Booleans, integers and floats are bool, int64 and float32; a factor, a checkpoint and a count of episodes are float64,
and a list of steps is list<int16>. Integers of 8 and 16 bits stay so. No column has nulls but a factor that a
lane's learner or curriculum has no setting for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

_WIDE = {"checkpoint"}
_OF_KIND = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
"""By the kind of a setting."""


def as_table(columns: Mapping[str, pa.Array]) -> pa.Table:
    fields = [pa.field(name, column.type, nullable=column.null_count > 0) for name, column in columns.items()]
    return pa.table(dict(columns), schema=pa.schema(fields))


def factor_column(kind: type, values: Sequence[Any]) -> pa.Array:
    """bool, int64, float64 or string; where the learner has no such setting, NaN of a float, null of another."""
    missing = float("nan") if kind is float else None
    return pa.array([missing if value is None else value for value in values], _OF_KIND[kind])


def list_column(name: str, rows: Sequence[np.ndarray]) -> pa.Array:
    """A list for each row: the returns of its episodes, or else steps."""
    kind = np.float32 if name == "return" else np.int16
    offsets = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
    values = _plain(np.concatenate([np.empty(0, kind), *rows]).astype(kind))
    item = pa.field("element", pa.from_numpy_dtype(kind), nullable=False)
    return pa.ListArray.from_arrays(offsets, pa.array(values), type=pa.list_(item))


def value_column(name: str, values: np.ndarray) -> pa.Array:
    """One value for each row."""
    values = np.ascontiguousarray(values)
    match values.dtype.kind:
        case "b":
            return pa.array(values)
        case "i" | "u":
            if name.startswith("distance."):
                return pa.array(values.astype(np.int16))
            return pa.array(values if values.dtype in (np.int8, np.int16) else values.astype(np.int64))
        case "f":
            return pa.array(_plain(values.astype(np.float64 if name in _WIDE else np.float32)), from_pandas=False)
        case "U":
            return pa.array(values.tolist(), pa.string())
    raise TypeError(f"column {name} has dtype {values.dtype}, which no table holds")


def count_column(values: np.ndarray) -> pa.Array:
    """Of what is computed from episodes, for each row: bool, int64, float64 or string."""
    kind = {"b": np.bool_, "i": np.int64, "f": np.float64, "O": object}[values.dtype.kind]
    return pa.array(_plain(values.astype(kind)), pa.string() if kind is object else None, from_pandas=False)


def _plain(values: np.ndarray) -> np.ndarray:
    """One bit pattern for every NaN, so that equal tables have equal bytes."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values) if values.dtype.kind == "f" else values
