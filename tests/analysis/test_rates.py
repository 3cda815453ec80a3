"""Rates count seeds, and their intervals are the published ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import analysis
from analysis import half_width, interval, rates

LABELS = ["intended", "proxy:right-end", "mixed", "incapable", "undetermined"]


@pytest.fixture
def lanes() -> pd.DataFrame:
    """Ten seeds at diversity 0.3 (8 intended, 1 incapable, 1 undetermined) and five at 0 (all proxy)."""
    labels = ["intended"] * 8 + ["incapable", "undetermined"] + ["proxy:right-end"] * 5
    given = pd.Categorical(labels, categories=LABELS, ordered=True)
    return pd.DataFrame({"label": given, "env.diversity": [0.3] * 10 + [0.0] * 5, "side": ["a"] * 5 + ["b"] * 10})


def test_every_label_and_every_seed_is_counted(lanes):
    table = rates(lanes, by="env.diversity")
    assert list(table.columns) == ["env.diversity", "label", "n", "count", "rate", "low", "high"]
    assert list(table["label"]) == LABELS * 2
    assert list(table["env.diversity"]) == [0.0] * 5 + [0.3] * 5
    assert list(table["count"]) == [0, 5, 0, 0, 0, 8, 0, 0, 1, 1]
    assert list(table["n"]) == [5] * 5 + [10] * 5
    assert table.groupby("env.diversity")["rate"].sum().eq(1).all()
    assert list(rates(lanes, ["side", "env.diversity"], "intended")["count"]) == [5, 0, 3]
    assert rates(lanes, label="incapable")[["n", "count"]].values.tolist() == [[15, 1]]


def test_intervals_are_those_worked_by_hand(lanes):
    """Eight of ten and none of five. Wilson 1927 by his formula; Clopper and Pearson 1934 by beta quantiles."""
    wilson = rates(lanes, "env.diversity", "intended", method="wilson")[["low", "high"]]
    z = 1.959963984540054
    centre, half = (8 + z**2 / 2) / (10 + z**2), z * np.sqrt(10 * 0.8 * 0.2 + z**2 / 4) / (10 + z**2)
    np.testing.assert_allclose(wilson.loc[1], [centre - half, centre + half], rtol=1e-9)
    np.testing.assert_allclose(wilson.loc[1], [0.4901625, 0.9433178], atol=1e-6)
    np.testing.assert_allclose(wilson.loc[0], [0, z**2 / (5 + z**2)], atol=1e-12)
    exact = rates(lanes, "env.diversity", "intended")[["low", "high"]]
    np.testing.assert_allclose(exact.loc[1], [0.4439045, 0.9747893], atol=1e-6)
    np.testing.assert_allclose(exact.loc[0], [0, 1 - 0.025 ** (1 / 5)], atol=1e-9)
    narrower = rates(lanes, "env.diversity", "intended", level=0.8)
    assert (narrower["high"] < exact["high"]).all()


def test_a_name_that_does_not_exist_is_answered_with_the_nearest(lanes):
    with pytest.raises(ValueError, match="no column named 'env.divresity'; nearest: env.diversity"):
        rates(lanes, "env.divresity")
    with pytest.raises(ValueError, match="no label named 'intendet'; nearest: intended"):
        rates(lanes, "side", label="intendet")
    with pytest.raises(ValueError, match="no method named 'wald'; expected one of: clopper-pearson, wilson"):
        rates(lanes, "side", method="wald")


@pytest.mark.parametrize("n", [8, 64])
def test_the_default_covers_at_every_rate_and_wilsons_does_not(n):
    """Exactly: coverage is least beside the ends of intervals. Wilson's minimum is at rates near 0.18 / n."""
    least = {}
    for method in ("clopper-pearson", "wilson"):
        low, high = interval(np.arange(n + 1), n, method)
        ends = np.concatenate([low[1:], high[:-1]])[:, None]
        at = np.concatenate([ends * (1 - 1e-9), ends + (1 - ends) * 1e-9])
        least[method] = (binom.pmf(np.arange(n + 1), n, at) * ((low <= at) & (at <= high))).sum(axis=1).min()
    assert least["clopper-pearson"] >= 0.95 and least["wilson"] == pytest.approx(0.836, abs=0.003)


def test_twenty_seeds_buy_a_fifth():
    assert half_width(20) == pytest.approx(0.228, abs=0.001)
    assert half_width(20, rate=0.95) < half_width(20)
    with pytest.raises(ValueError, match="at least 1"):
        half_width(0)


def test_conditions_are_not_pooled_silently(write_results):
    cells = [({"env.diversity": x, "learner.discount": g}, {"coin": 1.0}, 2) for x in (0.0, 1.0) for g in (0.9, 0.97)]
    df = analysis.load(write_results("two", cells))
    with pytest.warns(UserWarning, match="pooled over learner.discount"):
        analysis.rates(df, by="env.diversity")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert analysis.rates(df, by=["env.diversity", "learner.discount"], label="intended")["n"].tolist() == [2] * 4
    assert [row.get_suptitle() for row in analysis.figures.overview(df, "env.diversity").subfigs] == [
        "learner.discount = 0.9", "learner.discount = 0.97",
    ]  # fmt: skip
