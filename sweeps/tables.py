"""The columns of each table: what a program returns, as Arrow tables. Their types are those of `analysis.folder`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.folder import as_table, factor_column, list_column, value_column
from sweeps.plan import Condition, ProgramSpec, Shard

if TYPE_CHECKING:
    from jaxrl import Trained

Lanes = Sequence[tuple[Condition, int]]
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
            key: factor_column(shard.kinds[key], [None if key in sampled else one.factors[key] for one, _ in lanes])
            for key in lanes[0][0].factors
        },
        **{key: factor_column(float, values) for key, values in sampled.items()},
        **{name: value_column(name, values[:n]) for name, values in trained.outcomes.items()},
    }
    return as_table(columns)


def probes(program: ProgramSpec, lanes: Lanes, trained: "Trained") -> pa.Table:
    """One row a lane × probe record, a lane's rows together."""
    records = trained.probes
    return as_table(
        {
            **_lane_columns(lanes, len(records)),
            "program": pa.array([program.id] * (len(lanes) * len(records))),
            **_record_columns(records, len(lanes)),
        }
    )


def curves(lanes: Lanes, trained: "Trained") -> pa.Table:
    """One row a lane × point, a lane's rows together."""
    columns = {name: value_column(name, values[: len(lanes)].reshape(-1)) for name, values in trained.curves.items()}
    points = next(iter(trained.curves.values())).shape[1]
    return as_table({**_lane_columns(lanes, points), **columns})


def preference(lanes: Lanes, trained: "Trained") -> pa.Table:
    """One row a lane × checkpoint × pair of kinds, a lane's rows together."""
    columns = {
        name: value_column(name, values[: len(lanes)].reshape(-1)) for name, values in trained.preference.items()
    }
    pairs = next(iter(trained.preference.values())).shape[1]
    return as_table({**_lane_columns(lanes, pairs), **columns})


def internals(lanes: Lanes, columns: Mapping[str, np.ndarray]) -> pa.Table:
    """What was found in policies, from arrays [lanes, rows]: a lane's rows together."""
    rows = next(iter(columns.values())).shape[1]
    found = {name: value_column(name, values.reshape(-1)) for name, values in columns.items()}
    return as_table({**_lane_columns(lanes, rows), **found})


def levels(program: ProgramSpec, bank: Mapping[str, Any]) -> pa.Table:
    """One row a probe episode."""
    columns = {name: value_column(name, np.asarray(values)) for name, values in bank.items()}
    return as_table({"program": pa.array([program.id] * len(next(iter(columns.values())))), **columns})


def baselines(program: ProgramSpec, records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """One row a probe × known policy."""
    return as_table({"program": pa.array([program.id] * len(records), pa.string()), **_record_columns(records, 1)})


def _lane_columns(lanes: Lanes, repeat: int) -> dict[str, pa.Array]:
    return {
        "condition": pa.array([condition.id for condition, _ in lanes for _ in range(repeat)]),
        "seed": pa.array([seed for _, seed in lanes for _ in range(repeat)], pa.int64()),
    }


def _record_columns(records: Sequence[Mapping[str, Any]], lanes: int) -> dict[str, pa.Array]:
    """Columns of lanes × records rows. A record has arrays [lanes or more, episodes], or lists of a lane's arrays."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {}
    for name in names:
        if name == "return" or name.startswith("reached."):
            empty = np.empty((lanes, 0), np.int16)  # a record without this column
            found = [record.get(name, empty) for record in records]
            columns[name] = list_column(name, [values[lane] for lane in range(lanes) for values in found])
        elif name in _OF_A_LANE:
            nothing = np.full(lanes, np.nan)
            values = np.stack([record.get(name, nothing)[:lanes] for record in records], axis=1)
            columns[name] = value_column(name, values.reshape(-1))
        else:
            columns[name] = value_column(name, np.array([record[name] for record in records] * lanes))
    return columns
