"""Dose-response: penalised fits, tipping doses that cover or say that they have no end, and monotone curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import expit

from analysis import dose_response, mean_interval, monotone, tipping_dose
from analysis.doses import _isotonic

LABELS = pd.CategoricalDtype(["intended", "proxy:right-end"], ordered=True)
DOSES = [0.01, 0.02, 0.05, 0.1, 0.3, 1.0]


def frame(counts: list[int], n: int = 16, doses: list[float] = DOSES, **more) -> pd.DataFrame:
    """`n` seeds at each dose, the first so many of which are intended."""
    rows = [
        {"dose": dose, "seed": seed, "label": LABELS.categories[int(seed >= count)]} | more
        for dose, count in zip(doses, counts, strict=True)
        for seed in range(n)
    ]
    return pd.DataFrame(rows).astype({"label": LABELS})


def test_firths_fit_of_two_doses_adds_half_a_seed_to_each_cell():
    """Saturated, Firth's penalty is that: log-odds log(0.5 / 4.5) and log(4.5 / 0.5)."""
    table = dose_response(frame([0, 4], 4, [0.0, 1.0]), "dose", "intended").set_index("term")
    assert table.loc["intercept", "estimate"] == pytest.approx(np.log(0.5 / 4.5), abs=1e-4)
    assert table.loc["dose", "estimate"] == pytest.approx(2 * np.log(9), abs=1e-4)
    tipping = tipping_dose(frame([0, 4], 4, [0.0, 1.0]), "dose", "intended", scale="linear").iloc[0]
    assert tipping["dose"] == pytest.approx(0.5, abs=1e-4)


def test_intervals_and_tests_stay_finite_on_separated_data():
    for counts in ([0, 0, 0, 16, 16, 16], [16, 16, 16, 0, 0, 0], [0] * 6, [0, 0, 3, 16, 16, 16]):
        table = dose_response(frame(counts), "dose", "intended", scale="log")
        assert np.isfinite(table[["estimate", "low", "high", "p"]].to_numpy()).all()
        assert (table["low"] < table["estimate"]).all() and (table["estimate"] < table["high"]).all()


def test_an_interaction_is_the_difference_of_the_slopes():
    df = pd.concat([frame([0, 1, 6, 13, 16, 16], arm="a"), frame([2, 4, 6, 8, 11, 13], arm="b")], ignore_index=True)
    table = dose_response(df, "dose", "intended", "arm", scale="log").set_index("term")
    assert table.index.tolist() == ["intercept", "log dose", "arm=b", "log dose x arm=b"]
    slopes = tipping_dose(df, "dose", "intended", "arm").set_index("arm")["slope"]
    assert table.loc["log dose", "estimate"] == pytest.approx(slopes["a"], rel=1e-3)
    assert table.loc["log dose x arm=b", "estimate"] == pytest.approx(slopes["b"] - slopes["a"], rel=1e-3)
    assert table.loc["log dose x arm=b", "high"] < 0 and table.loc["log dose x arm=b", "p"] < 0.01


def test_the_ends_of_the_tipping_doses_interval_are_just_not_rejected():
    """The rate at a dose is one half where the intercept is 0 with the dose measured from there."""
    df = frame([0, 1, 6, 13, 16, 16])
    found = tipping_dose(df, "dose", "intended").iloc[0]
    assert found["low"] < found["dose"] < found["high"] and found["note"] == ""
    for end in ("low", "high"):
        moved = df.assign(dose=np.log(df["dose"] / found[end]))
        assert dose_response(moved, "dose", "intended")["p"].iloc[0] == pytest.approx(0.05, rel=0.02)
    slope = dose_response(df, "dose", "intended", scale="log").iloc[1]
    assert found[["slope_low", "slope_high"]].tolist() == pytest.approx(slope[["low", "high"]].tolist(), rel=0.005)


def test_a_tipping_dose_that_the_data_do_not_bound_is_said_to_be_unbounded():
    flat, none = (tipping_dose(frame(counts), "dose", "intended").iloc[0] for counts in ([8, 7, 9, 8, 8, 8], [0] * 6))
    for row in (flat, none):
        assert (row["low"], row["high"]) == (0, np.inf) and row["note"].startswith("unbounded") and row["p"] > 0.5
    beyond = tipping_dose(frame([0, 0, 0, 1, 2, 6]), "dose", "intended").iloc[0]
    assert beyond["dose"] > 1 and beyond["note"] == "outside the doses that were tried"
    lower = tipping_dose(frame([0, 0, 0, 1, 2, 6]), "dose", "intended", rate=0.1).iloc[0]
    assert lower["dose"] < 1 and lower["note"] == ""


@pytest.mark.parametrize(("slope", "tipping", "seeds"), [(2.0, 0.05, 8), (8.0, 0.05, 8), (1.0, 1.0, 16)])
def test_the_tipping_doses_interval_covers(slope, tipping, seeds):
    random = np.random.default_rng(0)
    held = []
    for _ in range(80):
        counts = random.binomial(seeds, expit(slope * np.log(np.array(DOSES) / tipping))).tolist()
        row = tipping_dose(frame(counts, seeds), "dose", "intended").iloc[0]
        held.append(row["low"] <= tipping <= row["high"])
    assert np.mean(held) >= 0.9


def test_curves_are_monotone_and_their_band_has_a_width_where_all_seeds_agree():
    table = monotone(frame([0, 3, 1, 16, 16, 15]), "dose", "intended")
    assert (np.diff(table["fitted"]) >= 0).all() and table["fitted"].tolist()[1:3] == [0.125, 0.125]
    assert (table["low"] <= table["fitted"]).all() and (table["fitted"] <= table["high"]).all()
    assert table["high"].iloc[0] > 0.05 and table["low"].iloc[-1] < 0.95
    falling = monotone(frame([16, 13, 15, 0, 0, 1]), "dose", "intended", increasing=False)
    assert falling["fitted"].tolist() == pytest.approx((1 - table["fitted"]).tolist())
    single = monotone(frame([3], doses=[0.1]), "dose", "intended").iloc[0]
    assert (single["low"], single["high"]) == pytest.approx(mean_interval([1] * 3 + [0] * 13), abs=0.02)


def test_the_fast_isotonic_fit_is_scipys():
    random = np.random.default_rng(0)
    mean, weight = random.random((50, 7)), random.random((50, 7)) + 0.1
    for increasing in (True, False):
        expected = [
            isotonic_regression(one, weights=heavy, increasing=increasing).x
            for one, heavy in zip(mean, weight, strict=True)
        ]
        np.testing.assert_allclose(_isotonic(mean, weight, increasing), expected)


def test_a_band_of_shares_counts_paired_seeds_once():
    """The same seed has the same share at each of two doses: the lower end of their pooled mean is that of 8 seeds."""
    share = np.array([0, 1] * 4, float)
    df = pd.DataFrame({"dose": [1.0] * 8 + [2.0] * 8, "seed": [*range(8)] * 2, "share.x": np.tile(share, 2)})
    alone = monotone(df, "dose", "share.x")
    df["keys"] = "paired"
    paired = monotone(df, "dose", "share.x")
    assert (paired["high"] - paired["low"]).mean() > (alone["high"] - alone["low"]).mean() + 0.02


def test_paired_keys_are_said_to_be_no_independent_seeds():
    df = frame([0, 1, 6, 13, 16, 16])
    df["keys"] = "paired"
    with pytest.warns(UserWarning, match="keys were paired"):
        tipping_dose(df, "dose", "intended")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda df: tipping_dose(df.assign(dose=0.0), "dose", "intended"), "0 has no logarithm; leave such doses out"),
        (lambda df: tipping_dose(df.assign(dose=1.0), "dose", "intended"), "too few values"),
        (lambda df: tipping_dose(df, "dose", "intended", rate=1), "rate: 1"),
        (lambda df: dose_response(df.assign(dose="x"), "dose", "intended"), "not numbers"),
        (lambda df: dose_response(df, "dosis", "intended"), "nearest: dose"),
        (lambda df: dose_response(df, "dose", "intendet"), "nearest: intended"),
        (lambda df: dose_response(df, "dose", "intended", scale="sqrt"), "no scale named 'sqrt'"),
        (lambda df: monotone(df, "dose", "intendet"), "nearest: intended"),
        (lambda df: monotone(df.assign(x=7.0), "dose", "x"), "not a share"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(frame([0, 1, 6, 13, 16, 16]))
