"""Each kind of number has one type in every table, and one pattern of bits for what is missing."""

import numpy as np
import pyarrow as pa
import pytest

from analysis.folder import as_table, factor_column, list_column, value_column


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (value_column("return_mean", np.ones(2)), pa.float32()),
        (value_column("checkpoint", np.ones(2, np.float32)), pa.float64()),
        (value_column("seed", np.ones(2, np.int32)), pa.int64()),
        (value_column("distance.coin", np.ones(2, int)), pa.int16()),
        (value_column("diverged", np.ones(2, bool)), pa.bool_()),
        (factor_column(float, [None, 1]), pa.float64()),
        (factor_column(bool, [None, True]), pa.bool_()),
        (list_column("reached.coin", [np.array([-1, 3]), np.empty(0)]), pa.list_(pa.int16())),
        (list_column("return", []), pa.list_(pa.float32())),
    ],
    ids=str,
)
def test_a_column_has_the_type_of_what_it_holds(column, kind):
    assert str(column.type).replace("element: ", "item: ").replace(" not null", "") == str(kind)


def test_every_nan_has_the_same_bits_and_only_a_missing_switch_is_null():
    column = value_column("x", np.array([np.nan, -np.nan, 1.0]))
    assert set(column.to_numpy()[:2].view(np.uint32)) == {np.float32(np.nan).view(np.uint32)}
    table = as_table({"x": column, "switch": factor_column(bool, [None, True, False])})
    assert [field.nullable for field in table.schema] == [False, True]
    assert factor_column(float, [None]).to_pylist()[0] != factor_column(float, [None]).to_pylist()[0], "NaN, not null"


def test_what_no_table_holds_is_refused_by_name():
    with pytest.raises(TypeError, match="column x has dtype complex128"):
        value_column("x", np.ones(1, complex))
