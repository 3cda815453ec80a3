"""polars and duckdb read a folder as docs/tables.md says."""

import re
from pathlib import Path

import numpy as np
import pytest

import analysis

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
NOTEBOOKS = Path(analysis.__file__).parent / "notebooks"


@pytest.fixture(scope="module")
def results():
    return analysis.load(NOTEBOOKS / "results")


@pytest.mark.parametrize("tool", ["polars", "duckdb"])
def test_other_tools_count_what_analysis_counts(tool, results, monkeypatch):
    pytest.importorskip(tool)
    monkeypatch.chdir(NOTEBOOKS)
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.S) if code.startswith(f"import {tool}\n")]
    names: dict = {}
    exec(code, names)
    if tool == "polars":
        by = results.groupby(["env.diversity", "learner.total_steps"])["displaced_episodes"]
        assert names["displaced"]["seeds"].to_list() == by.size().to_list() == [16] * 10
        assert names["displaced"]["displaced"].to_list() == by.sum().to_list()
    else:
        found = names["coin_first"]
        ours = results.sort_values(["condition", "seed"])
        assert found["decided"].to_list() == ours["decided"].to_list()
        np.testing.assert_allclose(found["coin_first"] / found["decided"], ours["share.coin"])
