"""Dose-response: penalised fits, and monotone curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis import dose_response, mean_interval, monotone
from analysis.doses import APART, FLAT, MISFIT, STEEP, misfits

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


def test_estimates_stay_finite_on_separated_data_and_the_end_that_nothing_bounds_is_open():
    rises, falls, none, once = (
        dose_response(frame(counts), "dose", "intended", scale="log").set_index("term").loc["log dose"]
        for counts in ([0, 0, 0, 16, 16, 16], [16, 16, 16, 0, 0, 0], [0] * 6, [0, 0, 3, 16, 16, 16])
    )
    for row in (rises, falls, none, once):
        assert np.isfinite([row["estimate"], row["p"]]).all() and row["note"] == APART
    assert 0 < rises["low"] < rises["estimate"] and rises["high"] == np.inf and once["high"] == np.inf
    assert falls["low"] == -np.inf and falls["high"] == pytest.approx(-rises["low"], rel=1e-3)
    assert (none["low"], none["high"]) == (-np.inf, np.inf)
    apart = dose_response(frame([0, 0, 1, 15, 16, 16]), "dose", "intended", scale="log")
    assert np.isfinite(apart[["low", "high"]].to_numpy()).all() and (apart["note"] == STEEP.format(least=3)).all()


def test_separation_is_found_along_the_terms_that_it_is_along():
    """In arm a the dose separates, in arm b it does not: the product is not bounded, the slope of b is."""
    df = pd.concat([frame([2, 4, 6, 8, 11, 13], arm="a"), frame([0, 0, 0, 16, 16, 16], arm="b")], ignore_index=True)
    table = dose_response(df, "dose", "intended", "arm", scale="log").set_index("term")
    assert np.isfinite(table.loc["log dose", ["low", "high"]].to_numpy(float)).all()
    assert table.loc["log dose x arm=b", "high"] == np.inf and table.loc["log dose", "note"] == ""


def test_a_curve_that_does_not_fit_is_said_not_to():
    """Lapses of a quarter: the rates level off at 4 and 12 of 16."""
    levels = dose_response(frame([16, 16, 16, 48, 48, 48], 64), "dose", "intended", scale="log")
    assert (levels["note"] == MISFIT).all()
    fits = dose_response(frame([1, 5, 19, 36, 56, 62], 64), "dose", "intended", scale="log")
    assert (fits["note"] == "").all()


@pytest.mark.parametrize("n", [8, 64])
def test_right_curves_are_rarely_said_not_to_fit(n):
    random = np.random.default_rng(0)
    x = np.column_stack([np.log(DOSES), np.ones(6)])
    terms = np.array([2.0, -2.0 * np.log(0.05)])
    hits = random.binomial(n, expit(x @ terms), (100, 6))
    assert np.mean([misfits(x, one, np.full(6, n), terms, 0.05) for one in hits]) <= 0.1


def test_an_interaction_is_the_difference_of_the_slopes():
    df = pd.concat([frame([0, 1, 6, 13, 16, 16], arm="a"), frame([2, 4, 6, 8, 11, 13], arm="b")], ignore_index=True)
    table = dose_response(df, "dose", "intended", "arm", scale="log").set_index("term")
    assert table.index.tolist() == ["intercept", "log dose", "arm=b", "log dose x arm=b"]
    slopes = {
        arm: dose_response(members, "dose", "intended", scale="log").set_index("term").loc["log dose", "estimate"]
        for arm, members in df.groupby("arm")
    }
    assert table.loc["log dose", "estimate"] == pytest.approx(slopes["a"], rel=1e-3)
    assert table.loc["log dose x arm=b", "estimate"] == pytest.approx(slopes["b"] - slopes["a"], rel=1e-3)
    assert table.loc["log dose x arm=b", "high"] < 0 and table.loc["log dose x arm=b", "p"] < 0.01


def test_curves_are_monotone_and_their_band_has_a_width_where_all_seeds_agree():
    table = monotone(frame([0, 3, 1, 16, 16, 15]), "dose", "intended")
    assert (np.diff(table["fitted"]) >= 0).all() and table["fitted"].tolist()[1:3] == [0.125, 0.125]
    assert (table["low"] <= table["fitted"]).all() and (table["fitted"] <= table["high"]).all()
    assert table["high"].iloc[0] > 0.05 and table["low"].iloc[-1] < 0.95
    falling = monotone(frame([16, 13, 15, 0, 0, 1]), "dose", "intended", increasing=False)
    assert falling["fitted"].tolist() == pytest.approx((1 - table["fitted"]).tolist())
    assert set(table["note"]) == set(falling["note"]) == {""}
    level, other = (
        monotone(frame([8] * 6), "dose", "intended"),
        monotone(frame([16, 13, 15, 0, 0, 1]), "dose", "intended"),
    )
    assert set(level["note"]) == set(other["note"]) == {FLAT}
    single = monotone(frame([3], doses=[0.1]), "dose", "intended").iloc[0]
    assert (single["low"], single["high"]) == pytest.approx(mean_interval([1] * 3 + [0] * 13), abs=0.02)


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
        dose_response(df, "dose", "intended")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda df: dose_response(df.assign(dose=1.0), "dose", "intended"), "too few values"),
        (lambda df: dose_response(df.assign(dose=np.inf), "dose", "intended"), "dose: an infinite dose"),
        (lambda df: dose_response(df.assign(dose="x"), "dose", "intended"), "not numbers"),
        (lambda df: dose_response(df, "dosis", "intended"), "nearest: dose"),
        (lambda df: dose_response(df, "dose", "intendet"), "nearest: intended"),
        (lambda df: dose_response(df, "dose", "intended", scale="sqrt"), "no scale named 'sqrt'"),
        (lambda df: monotone(df, "dose", "intendet"), "nearest: intended"),
        (lambda df: monotone(df.assign(x=7.0), "dose", "x"), "not a share"),
        (lambda df: monotone(df[:0], "dose", "intended"), "intended: no seed has both a dose and a value"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(frame([0, 1, 6, 13, 16, 16]))
