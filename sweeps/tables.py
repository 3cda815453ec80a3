"""The columns of each table: what a program returns, as Arrow tables.

Booleans, integers and floats are bool, int64 and float32; a factor and a checkpoint are float64, and a list of steps is
list<int16>. No column has nulls but a factor that a lane's learner or curriculum has no setting for.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sweeps.plan import Condition, ProgramSpec, Shard

if TYPE_CHECKING:
    from jaxrl import Trained

Lanes = Sequence[tuple[Condition, int]]
_WIDE = {"checkpoint"}
_OF_KIND = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
"""By the kind of a setting."""
_OF_A_LANE = {"unseen_inputs"}
"""Numbers of a record that each lane has of its own, f32[lanes or more]; NaN in records without."""


def outcomes(shard: Shard, lanes: Lanes, sampled: Mapping[str, list[float]], trained: "Trained") -> pa.Table:
    """One row a lane. Lanes of `trained` beyond `lanes` are padding and are dropped.

    Args:
      lanes: some of the shard's.
      sampled: by setting, the value that each lane drew.
    """
    n, program = len(lanes), shard.program
    columns = {
        **_lane_columns(lanes, 1),
        "master_seed": pa.array([shard.master_seed] * n, pa.int64()),
        "program": pa.array([program.id] * n),
        "world": pa.array([program.world] * n),
        "learner": pa.array([program.learner] * n),
        **({"curriculum": pa.array([program.curriculum] * n)} if program.curriculum != "random" else {}),
        **{
            key: _factor(shard.kinds[key], [None if key in sampled else one.factors[key] for one, _ in lanes])
            for key in lanes[0][0].factors
        },
        **{key: pa.array(values, pa.float64()) for key, values in sampled.items()},
        **{name: _column(name, values[:n]) for name, values in trained.outcomes.items()},
    }
    return _table(columns)


def probes(program: ProgramSpec, lanes: Lanes, trained: "Trained") -> pa.Table:
    """One row a lane × probe record, a lane's rows together."""
    records = trained.probes
    return _table(
        {
            **_lane_columns(lanes, len(records)),
            "program": pa.array([program.id] * (len(lanes) * len(records))),
            **_record_columns(records, len(lanes)),
        }
    )


def curves(lanes: Lanes, trained: "Trained") -> pa.Table:
    """One row a lane × point, a lane's rows together."""
    columns = {name: _column(name, values[: len(lanes)].reshape(-1)) for name, values in trained.curves.items()}
    points = next(iter(trained.curves.values())).shape[1]
    return _table({**_lane_columns(lanes, points), **columns})


def levels(program: ProgramSpec, bank: Mapping[str, Any]) -> pa.Table:
    """One row a probe episode."""
    columns = {name: _column(name, np.asarray(values)) for name, values in bank.items()}
    return _table({"program": pa.array([program.id] * len(next(iter(columns.values())))), **columns})


def baselines(program: ProgramSpec, records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """One row a probe × known policy."""
    return _table({"program": pa.array([program.id] * len(records), pa.string()), **_record_columns(records, 1)})


def _table(columns: Mapping[str, pa.Array]) -> pa.Table:
    fields = [pa.field(name, column.type, nullable=column.null_count > 0) for name, column in columns.items()]
    return pa.table(dict(columns), schema=pa.schema(fields))


def _lane_columns(lanes: Lanes, repeat: int) -> dict[str, pa.Array]:
    return {
        "condition": pa.array([condition.id for condition, _ in lanes for _ in range(repeat)]),
        "seed": pa.array([seed for _, seed in lanes for _ in range(repeat)], pa.int64()),
    }


def _factor(kind: type, values: list[Any]) -> pa.Array:
    """bool, int64, float64 or string; where the learner has no such setting, NaN of a float, null of another."""
    missing = float("nan") if kind is float else None
    return pa.array([missing if value is None else value for value in values], _OF_KIND[kind])


def _record_columns(records: Sequence[Mapping[str, Any]], lanes: int) -> dict[str, pa.Array]:
    """Columns of lanes × records rows. A record has arrays [lanes or more, episodes], or lists of a lane's arrays."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {}
    for name in names:
        if name == "return" or name.startswith("reached."):
            kind = np.float32 if name == "return" else np.int16
            empty = np.empty((lanes, 0), kind)  # a record without this column
            found = [record.get(name, empty) for record in records]
            rows = [values[lane] for lane in range(lanes) for values in found]
            offsets = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
            values = _plain(np.concatenate(rows).astype(kind))
            item = pa.field("element", pa.from_numpy_dtype(kind), nullable=False)
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(values), type=pa.list_(item))
        elif name in _OF_A_LANE:
            nothing = np.full(lanes, np.nan)
            values = np.stack([record.get(name, nothing)[:lanes] for record in records], axis=1)
            columns[name] = _column(name, values.reshape(-1))
        else:
            columns[name] = _column(name, np.array([record[name] for record in records] * lanes))
    return columns


def _column(name: str, values: np.ndarray) -> pa.Array:
    values = np.ascontiguousarray(values)
    match values.dtype.kind:
        case "b":
            return pa.array(values)
        case "i" | "u":
            return pa.array(values.astype(np.int16 if name.startswith("distance.") else np.int64))
        case "f":
            return pa.array(_plain(values.astype(np.float64 if name in _WIDE else np.float32)), from_pandas=False)
        case "U":
            return pa.array(values.tolist(), pa.string())
    raise TypeError(f"column {name} has dtype {values.dtype}, which no table holds")


def _plain(values: np.ndarray) -> np.ndarray:
    """One bit pattern for every NaN, so that equal tables have equal bytes."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values) if values.dtype.kind == "f" else values
