"""Lanes are selected by the values of their columns, in whatever way these are written."""

import numpy as np
import pandas as pd
import pytest

from analysis import select

DF = pd.DataFrame(
    {
        "x": [0.1, 0.25, 1.0, np.nan],
        "on": [True, False, True, False],
        "name": ["a", "b", "none", "c"],
        "n": [1, 2, 3, 4],
    }
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({}, [0, 1, 2, 3]),
        ({"x": 0.1}, [0]),
        ({"x": "0.10"}, [0]),
        ({"x": ["1e-1", 1]}, [0, 2]),
        ({"x": "none"}, [3]),
        ({"x": None}, [3]),
        ({"on": "true"}, [0, 2]),
        ({"on": False, "n": ["2", 4]}, [1, 3]),
        ({"name": ("a", "none")}, [0, 2]),
        ({"n": np.int64(3)}, [2]),
    ],
)
def test_values_as_numbers_or_as_text(where, rows):
    assert select(DF, where).index.tolist() == rows


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"y": 1}, "no column named 'y'"),
        ({"name": "none-"}, "no value of name named 'none-'; nearest: none"),
        ({"x": 0.7}, "no lane has x=0.7; its values: 0.1, 0.25, 1, none"),
        ({"x": 0.1, "n": [2, 3]}, "no lane has x=0.1 and n=2 or 3"),
    ],
)
def test_mistakes_are_one_line(where, said):
    with pytest.raises(ValueError, match=said):
        select(DF, where)
