"""Episodes are counted when they are written, and the counts are what a recount gives."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import analysis
from analysis.episodes import with_counts
from analysis.folder import read_table, write_table
from tests.analysis.conftest import shard
from tests.analysis.test_labels_again import SHIPPED

LEVELS = pa.table(
    {
        "program": ["p"] * 4,
        "probe": ["fork"] * 4,
        "labels": [True] * 4,
        "goals": ["coin,end"] * 4,
        "episode": np.arange(4),
        "layout": [7, 3, 5, 7],
        "distinct": [True] * 4,
        "distance.coin": np.full(4, 2),
        "distance.end": np.full(4, 3),
    }
)
"""Four episodes on three layouts: the first and the last are on one."""


BY_LEVEL = LEVELS.drop_columns(["layout", "distinct"]).append_column("distinct", [[True, True, True, False]])
"""The same of a folder that has no column of layouts."""


@pytest.mark.parametrize("levels", [LEVELS, BY_LEVEL])
def test_episodes_are_counted_by_hand(levels):
    rows = pa.table(
        {
            "program": ["p", "p"],
            "probe": ["fork", "fork"],
            "reached.coin": pa.array([[4, -1, 3, -1], [-1] * 4], pa.list_(pa.int16())),
            "reached.end": pa.array([[-1, 3, 3, 6], [-1] * 4], pa.list_(pa.int16())),
        }
    )
    first, nothing = with_counts(rows, levels, {"coin": "intended", "end": "proxy"}).to_pylist()
    expected = {"episodes": 3, "levels": 3, "ties": 1}
    expected |= {"first.coin": 1.5, "first.end": 1.5, "successes.coin": 1.5, "successes.end": 2.5}
    expected |= {"efficiency.coin": (0.5 * 2 / 4 + 2 / 3) / 1.5, "efficiency.end": (1 + 1 + 0.5 * 3 / 6) / 2.5}
    assert {name: first[name] for name in expected} == pytest.approx(expected)
    assert (nothing["episodes"], nothing["successes.end"]) == (3, 0) and np.isnan(nothing["efficiency.end"])


def test_counts_that_stand_in_the_tables_are_those_of_a_recount_whatever_rows_are_counted_together():
    pd.testing.assert_frame_equal(analysis.load(SHIPPED), analysis.load(SHIPPED, recount=True), check_exact=True)
    levels = pa.concat_tables(read_table(SHIPPED, "levels", path.stem) for path in (SHIPPED / "levels").iterdir())
    for path in (SHIPPED / "probes").iterdir():
        rows = read_table(SHIPPED, "probes", path.stem)
        again = with_counts(rows.slice(5, 700), levels, analysis.results.Results.open(SHIPPED).goals)
        pd.testing.assert_frame_equal(again.to_pandas(), rows.slice(5, 700).to_pandas(), check_exact=True)


def test_a_folder_without_counts_is_refused_in_one_line_and_counted_on_request(write_results):
    folder = write_results("old", [({"env.diversity": 0.0}, {}, 4)])
    before = analysis.load(folder)
    rows = read_table(folder, "probes", shard(1))
    write_table(folder, "probes", shard(1), rows.select(rows.column_names[: rows.column_names.index("episodes")]))
    with pytest.raises(ValueError, match=r"probes: holds episodes that have not been counted: .*recount=True[^\n]*$"):
        analysis.load(folder)
    pd.testing.assert_frame_equal(analysis.load(folder, recount=True), before)
