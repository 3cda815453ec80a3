"""Tipping doses: enclosed by doses that were tried, whatever the curve, or said not to be."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binom

from analysis import tipping_dose
from analysis.tipping import OPEN, TURNS, UNBOUNDED, _below, _critical, crossings

LABELS = pd.CategoricalDtype(["intended", "proxy:right-end"], ordered=True)
DOSES = np.array([0.01, 0.02, 0.05, 0.1, 0.3, 1.0])


def frame(counts: list[int], n: int = 16, doses: np.ndarray = DOSES, **more) -> pd.DataFrame:
    """`n` seeds at each dose, the first so many of which are intended."""
    rows = [
        {"dose": dose, "seed": seed, "label": LABELS.categories[int(seed >= count)]} | more
        for dose, count in zip(doses, counts, strict=True)
        for seed in range(n)
    ]
    return pd.DataFrame(rows).astype({"label": LABELS})


def found(counts: list[int], n: int = 16, **more) -> dict:
    (row,) = tipping_dose(frame(counts, n), "dose", "intended", **more).to_dict("records")
    return row


def test_a_crossing_is_enclosed_by_doses_whose_rates_are_not_one_half():
    """The fit passes 6/16 at 0.05 and 13/16 at 0.1: a half at 2/7 of the way, in logarithms."""
    row = found([0, 1, 6, 13, 16, 16])
    assert (row["n"], row["crossing"], row["low"], row["high"], row["note"]) == (96, "yes", 0.02, 0.1, "")
    assert row["dose"] == pytest.approx(0.05 * 2 ** (2 / 7))
    assert found([0, 1, 6, 13, 16, 16], scale="linear")["dose"] == pytest.approx(0.05 + 0.05 * 2 / 7)
    mirrored = found([16, 15, 10, 3, 0, 0])
    assert mirrored == row


def test_a_rate_that_does_not_cross_is_said_not_to():
    below, above, flat, low = (found(counts) for counts in ([0] * 6, [16] * 6, [8, 7, 9, 8, 8, 8], [0, 0, 1, 1, 2, 3]))
    for row, side in ((below, "below"), (low, "below"), (above, "above")):
        assert row["crossing"] == "no" and np.isnan(row["dose"])
        assert row["note"] == f"no crossing: the rate is {side} 0.5 at every dose that was tried"
    assert flat["note"] == UNBOUNDED
    assert (flat["crossing"], flat["low"], flat["high"]) == ("unknown", 0, np.inf) and np.isnan(flat["dose"])
    rare = found([0, 0, 1, 1, 2, 9], rate=0.1)
    assert rare["note"] != below["note"] and rare["dose"] < 0.3, "another rate is crossed"


def test_a_crossing_that_may_lie_beyond_the_doses_is_open():
    """Of 6 of 16 a rate of one half is not rejected, and the fit stays below it."""
    row = found([0, 0, 0, 1, 2, 6])
    assert (row["crossing"], row["low"], row["high"]) == ("unknown", 0.3, np.inf) and np.isnan(row["dose"])
    assert row["note"] == OPEN.format(rate=0.5)
    assert 0.3 < found([0, 0, 0, 1, 2, 10])["dose"] < 1, "an estimate within the doses, by an interval without an end"


def test_a_rate_that_rises_and_falls_has_no_tipping_dose():
    row = found([0, 1, 15, 16, 3, 0])
    assert (row["crossing"], row["low"], row["high"], row["note"]) == ("unknown", 0, np.inf, TURNS)
    assert np.isnan(row["dose"])


def test_one_dose_is_ruled_out_by_the_exact_binomial_test():
    """The last dose has no other above it: its critical value is that of the binomial distribution at level 0.02."""
    for n in (8, 16, 64):
        critical = _critical((n,), 0.5, 0.02)
        most = max(count for count in range(n) if _below(np.array([[count]]), np.array([n]), 0.5) > critical)
        assert binom.cdf(most, n, 0.5) <= 0.023 and binom.cdf(most + 1, n, 0.5) > 0.018


@pytest.mark.parametrize("n", [8, 64])
@pytest.mark.parametrize(
    ("curve", "truth"),
    [
        (lambda x: expit(8 * np.log(x / 0.07)), 0.07),
        (lambda x: 0.5 ** (x / 0.06), 0.06),
        (lambda x: 1 - 0.5 ** (x / 0.07) ** 2, 0.07),
        (lambda x: 0.1 + 0.8 * expit(4 * np.log(x / 0.2)), 0.2),
        (lambda x: 0.45 * expit(x / 0.05), np.inf),
        (lambda x: np.where(x < 0.04, 0.45, 0.55), 0.04),
    ],
)
def test_it_covers_whatever_the_shape(curve, truth, n):
    """2,000 data sets each: logistic, exponential, complementary log-log, lapses, never one half, barely across."""
    hits = np.random.default_rng(0).binomial(n, curve(DOSES), (2000, 6))
    row = crossings(DOSES, hits, np.full(6, n), 0.5, "log", 0.05)
    assert ((row.low <= truth) & (truth <= row.high)).mean() >= 0.95
    if np.isinf(truth):
        assert (row.crossing == "yes").mean() <= 0.05
    else:
        assert (row.crossing == "no").mean() <= 0.05


def test_many_doses_are_looked_at_in_groups_of_neighbours():
    """A dose for each of 400 seeds, as where each draws its own."""
    random = np.random.default_rng(0)
    doses = np.sort(random.random(400))
    labels = LABELS.categories[(random.random(400) > expit(12 * (doses - 0.4))).astype(int)]
    df = pd.DataFrame({"dose": doses, "label": pd.Categorical(labels, dtype=LABELS)})
    row = tipping_dose(df, "dose", "intended", scale="linear").iloc[0]
    assert row["crossing"] == "yes" and 0.15 < row["low"] < row["dose"] < row["high"] < 0.6


def test_groups_stand_in_rows_of_their_own():
    df = pd.concat([frame([0, 1, 6, 13, 16, 16], arm="a"), frame([0] * 6, arm="b")], ignore_index=True)
    table = tipping_dose(df, "dose", "intended", "arm").set_index("arm")
    assert table["crossing"].to_dict() == {"a": "yes", "b": "no"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda df: tipping_dose(df.assign(dose=0.0), "dose", "intended"), "0 has no logarithm; leave such doses out"),
        (lambda df: tipping_dose(df.assign(dose=1.0), "dose", "intended"), "dose: a single dose; a tipping dose needs"),
        (lambda df: tipping_dose(df, "dose", "intended", "seed", rate=1), "rate: 1"),
        (lambda df: tipping_dose(df[:0], "dose", "intended"), "dose: no seed has a dose"),
        (
            lambda df: tipping_dose(df[:17].assign(arm="a"), "dose", "intended", ["seed"]),
            "dose: a single dose in group",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(frame([0, 1, 6, 13, 16, 16]))


def test_paired_keys_are_said_to_be_no_independent_seeds():
    df = frame([0, 1, 6, 13, 16, 16], keys="paired")
    with pytest.warns(UserWarning, match="keys were paired"):
        tipping_dose(df, "dose", "intended")
