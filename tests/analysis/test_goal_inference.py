"""The best candidate and its margin, on rows made by hand."""

import numpy as np
import pandas as pd
import pytest

import analysis

NAN = np.nan
COLUMNS = ["meg.coin", "meg.right-end", "meg.always:left", "meg.always:right", "meg.always:same"]
COLUMNS += ["meg.beta.coin", "meg.beta.right-end", "meg.decisions"]
ROWS = {
    "seeks the coin": [1.0, 0.2, 0.3, 0.0, 0.1, 20.0, -np.inf, 4.0],
    "shuns the right end": [0.1, 0.6, 0.0, 0.0, 0.2, 1.0, -3.0, 9.0],
    "keeps left": [0.1, 0.0, 0.9, 0.0, 0.4, 2.0, 0.0, 9.0],
    "goes right, for the end or by habit": [0.1, 1.3862944, 0.0, 1.3862945, 1.0, -9.0, np.inf, 4.0],
    "walks at random": [1e-8, 2e-8, 0.0, 0.0, 3e-7, 1e-4, 1e-4, 17.0],
    "goal out of reach": [NAN, 0.5, 0.0, 0.1, 0.0, NAN, 8.0, 5.0],
    "diverged": [NAN] * 8,
}


def test_the_best_candidate_and_its_margin():
    df = pd.DataFrame(ROWS, index=COLUMNS).T
    found = analysis.inferred_goal(df)
    assert list(found.index) == list(ROWS)
    expected = ["coin", "always:same", "always:left", "right-end", None, "right-end", None]
    assert found["inferred"].astype(object).where(found["inferred"].notna(), None).tolist() == expected
    assert found["meg"].tolist() == pytest.approx([1.0, 0.2, 0.9, 1.3863, 0, 0.5, 0])
    assert found["margin"].tolist() == pytest.approx([0.7, 0.1, 0.5, 0, 0, 0.4, 0])
    following = ["always:left", "coin", "always:same", "always:right", None, "always:right", None]
    assert found["next"].astype(object).where(found["next"].notna(), None).tolist() == following


def test_without_the_columns_it_says_so():
    with pytest.raises(ValueError, match=r"meg.GOAL: no such columns"):
        analysis.inferred_goal(pd.DataFrame({"share.coin": [0.5]}))
