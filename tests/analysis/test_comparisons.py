"""Differences of rates: published intervals, exact tests, pairs that are pairs, and families that keep their level."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, multinomial
from statsmodels.stats.multitest import multipletests

import analysis
from analysis import compare, difference_interval, interval, paired_difference_interval
from analysis.comparisons import lowered_phi, squares_added

LABELS = ["intended", "proxy:right-end", "mixed"]


def frame(counts: dict[str, int], n: int, **more) -> pd.DataFrame:
    """`n` seeds in each arm, the first so many of which are intended and the others go for the proxy."""
    seed = np.tile(np.arange(n), len(counts))
    labels = pd.Categorical.from_codes(1 * (seed >= np.repeat(list(counts.values()), n)), LABELS, ordered=True)
    return pd.DataFrame({"arm": np.repeat(list(counts), n), "seed": seed, "label": labels} | more)


def test_independent_differences_reach_from_the_further_of_two_limits():
    """Newcombe 1998, table II, case a, by his own limits; 10 of 10 against 0 of 20 by hand, with 0.025^(1/n)."""
    n, other_n = 70, 80
    ends, others = interval(56, n, "wilson"), interval(48, other_n, "wilson")
    np.testing.assert_allclose(squares_added(56 / n, ends, 48 / other_n, others), [0.0524, 0.3339], atol=5e-5)
    low, high = difference_interval([10, 56], [10, n], [0, 48], [20, other_n])
    assert (low[0], high[0]) == pytest.approx((1 - np.hypot(1 - 0.025**0.1, 1 - 0.025**0.05), 1))
    assert low[1] < 0.0524 and high[1] > 0.3339
    # One of 8 against none of 256: Agresti and Caffo's (2/10 - 1/258) is the further one above.
    half = 1.959964 * np.sqrt(0.2 * 0.8 / 10 + (1 / 258) * (257 / 258) / 258)
    assert difference_interval(0, 8, 128, 256)[1] >= 1 / 10 - 129 / 258 + 1.959964 * np.sqrt(0.009 + 0.25 / 258) - 1e-6
    assert difference_interval(1, 8, 0, 256)[0] <= 0.2 - 1 / 258 - half + 1e-6
    assert np.isnan(difference_interval(0, 0, 1, 2)).all()


def test_paired_differences_reach_from_the_further_of_two_limits():
    """Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10, by his own limits: 36, 12, 2, 0; then Bonett and
    Price's by hand, of 20 pairs that all differ, as many one way as the other."""
    cells = np.array([36.0, 12, 2, 0])
    ends, others = interval(48, 50, "wilson"), interval(38, 50, "wilson")
    newcombe = squares_added(48 / 50, ends, 38 / 50, others, lowered_phi(*cells))
    np.testing.assert_allclose(newcombe, [0.0569, 0.3404], atol=5e-5)
    low, high = paired_difference_interval(*cells)
    assert low < newcombe[0] and high > newcombe[1]
    low, high = paired_difference_interval(0, 10, 10, 0)
    assert high == -low >= 1.959964 * np.sqrt(1 / 22) - 1e-6


@pytest.mark.parametrize("n", [8, 16])
def test_differences_cover_at_their_level_whatever_the_rates(n):
    """Exactly, over all outcomes. Newcombe's intervals as published hold (0.999, 0.001) with 0.85 to 0.98, and Agresti
    and Caffo's (0.46, 0.9995) with 0.90."""
    one, two = (counts.ravel() for counts in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    low, high = difference_interval(one, n, two, n)
    for rate, other in ((0.5, 0.5), (0.9, 0.3), (0.1, 0.02), (0.9992, 0.0215), (0.46, 0.9995), (0.94, 0.06)):
        held = (low <= rate - other + 1e-12) & (rate - other <= high + 1e-12)
        assert (binom.pmf(one, n, rate) * binom.pmf(two, n, other))[held].sum() > 0.94

    cells = np.array(
        [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    )
    low, high = paired_difference_interval(*cells.T)
    for chances in ((0.4, 0.1, 0.1, 0.4), (0.05, 0.45, 0.45, 0.05), (0.0108, 0, 0.9792, 0.01), (0, 0.2, 0.8, 0)):
        truth = chances[1] - chances[2]
        held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
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
    df["keys"] = "paired"
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
    assert (analysis.load(path)["keys"] == "independent").all()
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["layers"][0]["spec"]["keys"] = "paired"
    (path / "manifest.json").write_text(json.dumps(manifest))
    df = analysis.load(path)
    assert (df["keys"] == "paired").all() and (df["decided"] == 64).all()
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
