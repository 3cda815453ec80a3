"""The test of exchangeability: by enumeration where that is short, its level under the null, and its power."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis

MARKS = ["share.mark-1", "share.mark-2", "share.mark-3"]
PERMUTATIONS = list(itertools.permutations(range(3)))


def test_statistic_and_p_agree_with_enumeration():
    """Three seeds with two columns have eight sign flips; the observed one and its negative are the two largest."""
    df = pd.DataFrame({"a": [0.9, 0.8, 0.6], "b": [0.1, 0.3, 0.5]})
    ((_, row),) = analysis.exchangeability(df, ["a", "b"], permutations=20_000).iterrows()
    difference = np.array([0.8, 0.5, 0.1])
    every = [abs(difference @ signs) for signs in itertools.product((1, -1), repeat=3)]
    exact = np.mean(np.array(every) >= difference.sum() - 1e-12)
    assert exact == 0.25 and row["p"] == pytest.approx(exact, abs=0.015)
    assert row["statistic"] == pytest.approx((difference.mean() / 2) ** 2)
    assert row[["n", "missing"]].tolist() == [3, 0]
    assert row[["mean.a", "mean.b"]].tolist() == pytest.approx([2.3 / 3, 0.3])


def test_under_the_null_p_is_uniform_though_each_seed_prefers_one_mark_strongly():
    groups, seeds = 500, 12
    shares = np.random.default_rng(0).dirichlet([0.2] * 3, size=groups * seeds)
    df = pd.DataFrame(shares, columns=MARKS).assign(sweep=np.repeat(np.arange(groups), seeds))
    found = analysis.exchangeability(df, MARKS, by="sweep", permutations=199)["p"]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(found <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_a_shift_that_seeds_share_is_found_and_in_its_own_group_alone():
    generator = np.random.default_rng(1)
    power = [
        analysis.exchangeability(pd.DataFrame(one, columns=MARKS), MARKS, permutations=199)["p"][0] <= 0.05
        for one in generator.dirichlet([6, 4, 4], size=(200, 40))
    ]
    assert np.mean(power) > 0.95
    once = generator.dirichlet([4, 4, 4], size=12)
    even = np.concatenate([once[:, order] for order in PERMUTATIONS])
    shifted = generator.dirichlet([6, 4, 4], size=72)
    df = pd.DataFrame(np.concatenate([shifted, even]), columns=MARKS).assign(scale=[1.5] * 72 + [1.0] * 72)
    table = analysis.exchangeability(df, MARKS, by="scale")
    assert table["scale"].tolist() == [1.0, 1.5]
    assert table["p"][0] > 0.99 and table["p"][1] < 0.001
    pd.testing.assert_frame_equal(table, analysis.exchangeability(df, MARKS, by=["scale"]))


def test_seeds_that_cannot_be_compared_are_counted_and_equal_columns_are_exchangeable():
    df = pd.DataFrame({"a": [0.1, 0.3, np.nan], "b": [0.1, 0.3, 0.2], "kind": ["x", "x", "y"]})
    table = analysis.exchangeability(df, ["a", "b"], by="kind", permutations=99)
    assert table["n"].tolist() == [2, 0] and table["missing"].tolist() == [0, 1]
    assert table["p"][0] == 1 and table["statistic"][0] == 0
    assert np.isnan(table["p"][1]) and np.isnan(table["mean.a"][1])


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (["a", "c"], {}, "no column named 'c'"),
        (["a"], {}, "two or more"),
        (["a", "a"], {}, "each named once"),
        (["a", "b"], {"permutations": 0}, "permutations"),
    ],
)
def test_what_makes_no_sense_is_refused(columns, options, said):
    with pytest.raises(ValueError, match=said):
        analysis.exchangeability(pd.DataFrame({"a": [0.1], "b": [0.2]}), columns, **options)
