"""Typical seeds stand in the middle of their label; outliers stand apart from their condition."""

import numpy as np
import pandas as pd
import pytest

from analysis import outliers, typical

NAMES = ["intended", "proxy:b", "mixed", "incapable", "undetermined"]


def frame(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Rows of (condition, label, share of b)."""
    df = pd.DataFrame(rows, columns=["condition", "label", "share.b"])
    df["share.a"] = 1 - df["share.b"]
    df["label"] = pd.Categorical(df["label"], categories=NAMES, ordered=True)
    return df


def test_the_typical_seed_is_nearest_to_the_median_of_its_label():
    df = frame([("c", "proxy:b", share) for share in (1.0, 0.8, 0.95, 0.9)] + [("c", "intended", 0.92)])
    assert list(typical(df, "proxy:b", 4)["share.b"]) == [0.95, 0.9, 1.0, 0.8], "the median is 0.925; a tie goes on"
    undecided = frame([("c", "incapable", np.nan), ("c", "incapable", 0.5), ("c", "incapable", 0.2)])
    assert list(typical(undecided, "incapable", 3).index) == [1, 2, 0]
    assert list(typical(undecided[:1], "incapable").index) == [0]


def test_a_label_that_no_seed_has_is_told_with_those_that_there_are():
    df = frame([("c", "proxy:b", 1.0), ("c", "proxy:b", 1.0), ("c", "intended", 0.0)])
    with pytest.raises(ValueError, match=r"no seed has the label mixed; .*: proxy:b \(2\), intended \(1\)"):
        typical(df, "mixed")
    with pytest.raises(ValueError, match="no label named 'proxi:b'; nearest: proxy:b"):
        typical(df, "proxi:b")


def test_an_outlier_has_a_rare_label_or_else_a_share_far_from_the_median_of_its_condition():
    rows = [("c", "proxy:b", share) for share in (1.0, 0.9, 0.4)] + [("d", "intended", 0.0)] * 4
    rows += [("d", "mixed", 0.01)]
    df = frame(rows)
    assert list(outliers(df, 3).index) == [7, 3, 4], "1 of 5 seeds, then 4 of 5"
    assert list(outliers(df[df["condition"] == "c"], 2).index) == [2, 0], "the median is 0.9; of equals the first"
