"""Differences of rates: published intervals, exact tests, pairs that are pairs, and families that keep their level."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, multinomial
from statsmodels.stats.multitest import multipletests

import analysis
from analysis import compare, difference_interval, paired_difference_interval

LABELS = ["intended", "proxy:right-end", "mixed"]


def frame(counts: dict[str, int], n: int, **more) -> pd.DataFrame:
    """`n` seeds in each arm, the first so many of which are intended and the others go for the proxy."""
    seed = np.tile(np.arange(n), len(counts))
    labels = pd.Categorical.from_codes(1 * (seed >= np.repeat(list(counts.values()), n)), LABELS, ordered=True)
    return pd.DataFrame({"arm": np.repeat(list(counts), n), "seed": seed, "label": labels} | more)


def test_independent_differences_have_newcombes_published_intervals():
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10, cases a, b and g."""
    low, high = difference_interval([56, 9, 10], [70, 10, 10], [48, 3, 0], [80, 10, 20])
    np.testing.assert_allclose(low[:2], [0.0524, 0.1705], atol=5e-5)
    np.testing.assert_allclose(high[:2], [0.3339, 0.8090], atol=5e-5)
    assert (low[2], high[2]) == pytest.approx((0.6791, 1), abs=5e-5)
    assert np.isnan(difference_interval(0, 0, 1, 2)).all()


def test_paired_differences_have_newcombes_published_intervals():
    """Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10: 36, 12, 2, 0 and 0, 29, 1, 0."""
    low, high = paired_difference_interval([36, 0], [12, 29], [2, 1], [0, 0])
    np.testing.assert_allclose(low, [0.0569, 0.6666], atol=5e-5)
    np.testing.assert_allclose(high, [0.3404, 0.9882], atol=5e-5)


@pytest.mark.parametrize(("rate", "other"), [(0.5, 0.5), (0.9, 0.3), (0.1, 0.02)])
def test_newcombes_intervals_cover_over_all_outcomes(rate, other):
    """Exactly, at 16 seeds: they may fall a little short of 0.95."""
    n = 16
    one, two = (counts.ravel() for counts in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    low, high = difference_interval(one, n, two, n)
    held = (low <= rate - other + 1e-12) & (rate - other <= high + 1e-12)
    assert (binom.pmf(one, n, rate) * binom.pmf(two, n, other))[held].sum() > 0.94

    both = 0.8 * min(rate, other)
    chances = [both, rate - both, other - both, 1 - rate - other + both]
    cells = np.array(
        [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    )
    low, high = paired_difference_interval(*cells.T)
    held = (low <= rate - other + 1e-12) & (rate - other <= high + 1e-12)
    assert multinomial.pmf(cells, n, chances)[held].sum() > 0.94


def test_a_family_has_fishers_p_and_holms_correction():
    """Fisher's tea: 3 of 4 against 1 of 4 has p = 34/70; 4 of 4 against 0 of 4 has 2/70."""
    table = compare(frame({"a": 1, "b": 3, "c": 4, "d": 0}, 4), "arm", against="a", label="intended")
    assert table["arm"].tolist() == ["b", "c", "d"] and set(table["arm.against"]) == {"a"}
    assert table["difference"].tolist() == [0.5, 0.75, -0.25]
    np.testing.assert_allclose(table["p"], [34 / 70, 10 / 70, 1])
    np.testing.assert_allclose(table["p_holm"], [68 / 70, 30 / 70, 1])
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    every = compare(frame({"a": 1, "c": 4, "d": 0}, 4), "arm", label="intended")
    assert list(zip(every["arm"], every["arm.against"], strict=True)) == [("c", "a"), ("d", "a"), ("d", "c")]
    assert every["p"].iloc[-1] == pytest.approx(2 / 70)


def test_holm_holds_the_family_error_where_single_tests_do_not():
    """Eight arms like the baseline: some p <= 0.05 in about a sixth of sweeps, some p_holm in at most 0.05."""
    random = np.random.default_rng(0)
    n, arms, sweeps = 64, 8, 60
    single = family = 0
    for _ in range(sweeps):
        counts = dict(zip("abcdefghi", random.binomial(n, 0.3, arms + 1).tolist(), strict=True))
        table = compare(frame(counts, n), "arm", against="a", label="intended")
        single += (table["p"] <= 0.05).any()
        family += (table["p_holm"] <= 0.05).any()
    assert single / sweeps > 0.1
    assert family / sweeps <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / sweeps)


def test_simultaneous_intervals_are_those_of_a_higher_level():
    df = frame({"a": 1, "b": 3, "c": 4}, 4)
    wide = compare(df, "arm", label="intended", simultaneous=True)
    np.testing.assert_allclose(
        wide[["low", "high"]], compare(df, "arm", label="intended", level=1 - 0.05 / 3)[["low", "high"]]
    )
    rates = analysis.rates(df, "arm", "intended", simultaneous=True)
    np.testing.assert_allclose(rates["low"], analysis.rates(df, "arm", "intended", level=1 - 0.05 / 3)["low"])


def test_paired_seeds_are_compared_with_themselves():
    """Eight seeds turn and none turns back: p = 2 / 2^8, whatever the other twelve do."""
    df = frame({"a": 6, "b": 14}, 20)
    paired, alone = (compare(df, "arm", "a", "intended", paired=one).iloc[0] for one in (True, False))
    assert paired["p"] == pytest.approx(2 / 2**8) and alone["p"] > 0.01
    np.testing.assert_allclose([paired["low"], paired["high"]], paired_difference_interval(6, 8, 0, 6))
    assert paired["low"] > alone["low"]
    df.attrs["paired"] = True
    assert compare(df, "arm", "a", "intended")["p"].iloc[0] == paired["p"]
    with pytest.warns(UserWarning, match="3 seeds without a partner"):
        assert compare(df.iloc[3:], "arm", "a", "intended")["n"].tolist() == [17]
    twice = pd.concat([df, df], ignore_index=True)
    with pytest.raises(ValueError, match="several lanes of one group have the same seed"):
        compare(twice, "arm", "a", "intended", paired=True)
    with pytest.raises(ValueError, match="shares no seed"):
        compare(df.assign(seed=np.arange(len(df))), "arm", "a", "intended", paired=True)


def test_a_folder_says_whether_its_keys_were_paired(write_results):
    path = write_results("one", [({"env.diversity": x}, {"coin": x}, 4) for x in (0.0, 1.0)])
    assert analysis.load(path).attrs["paired"] is False
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["layers"][0]["spec"]["keys"] = "paired"
    (path / "manifest.json").write_text(json.dumps(manifest))
    df = analysis.load(path)
    assert df.attrs["paired"] is True and (df["decided"] == 64).all()
    table = compare(df, "env.diversity", 0, "intended")
    assert table["p"].iloc[0] == pytest.approx(2 / 2**4)  # Fisher's would be 2 / 70


def test_groups_are_compared_within_others():
    one, two = frame({"a": 1, "b": 3}, 4, wall="open"), frame({"a": 0, "b": 4}, 4, wall="fixed")
    df = pd.concat([one, two], ignore_index=True)
    table = compare(df, "arm", "a", "intended", within="wall")
    assert table["wall"].tolist() == ["fixed", "open"] and table["difference"].tolist() == [1, 0.5]
    both = compare(df, ["arm", "wall"], ("a", "open"), "intended")
    assert both[["arm", "wall", "arm.against", "wall.against"]].values.tolist()[0] == ["a", "fixed", "a", "open"]
    assert len(both) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "amr"}, "no column named 'amr'; nearest: arm"),
        ({"by": "arm", "against": "z"}, "no group 'z' of arm; expected one of: a, b"),
        ({"by": "arm", "against": ("a", 1)}, "expected a value of each of arm"),
        ({"by": "arm", "within": "arm"}, "nothing to compare"),
        ({"by": []}, "at least one column"),
        ({"by": "arm", "label": "intendet"}, "nearest: intended"),
        ({"by": "arm", "level": 95}, "level: 95"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        compare(frame({"a": 1, "b": 2}, 4), **options)
