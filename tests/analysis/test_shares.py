"""Means of shares over seeds, and an interval that covers them where seeds split and where they agree."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from analysis import difference_interval, mean_interval, monotone, paired_difference_interval, shares
from analysis.intervals import interval


@pytest.mark.parametrize("n", [8, 32])
def test_on_shares_of_none_and_all_it_is_the_exact_interval_of_a_probability(n):
    for count in range(n + 1):
        found = mean_interval([1] * count + [0] * (n - count))
        np.testing.assert_allclose(found, interval(count, n, "clopper-pearson"), atol=0.012)


def test_where_seeds_agree_it_reaches_as_far_as_one_unseen_seed_in_forty_may():
    """Of n seeds that share 1/2, the weight of the one beyond them has the quantile 1 - 0.025^(1/n)."""
    for n in (8, 64):
        reach = 0.5 * (1 - 0.025 ** (1 / n))
        np.testing.assert_allclose(mean_interval([0.5] * n), [0.5 - reach, 0.5 + reach], rtol=0.02)
    assert mean_interval([0.4, 0.6] * 16)[1] < mean_interval([0, 1] * 16)[1]


@pytest.mark.parametrize("n", [8, 32, 64])
@pytest.mark.parametrize("chance", [0.02, 0.1, 0.5])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.02, 0.9)])
def test_it_covers_the_mean_of_seeds_that_split(n, chance, low, high):
    """Exactly: seeds with two possible shares give n + 1 samples, of known probability."""
    mean = chance * high + (1 - chance) * low
    covered = 0.0
    for count in range(n + 1):
        below, above = mean_interval([high] * count + [low] * (n - count))
        covered += binom.pmf(count, n, chance) * (below <= mean <= above)
    assert covered >= 0.95


def test_of_many_seeds_it_is_computed_and_the_same_to_the_fourth_decimal():
    for count, n in ((0, 1000), (1, 1000), (300, 1000), (1000, 1000), (500_000, 1_000_000)):
        found = mean_interval(np.arange(n) < count)
        np.testing.assert_allclose(found, interval(count, n, "clopper-pearson"), atol=1e-5)
    random = np.random.default_rng(0)
    values, weights = np.sort(random.beta(0.2, 0.2, 600)), random.standard_exponential((20_000, 601))
    upper = np.quantile((weights[:, :-1] @ values + weights[:, -1]) / weights.sum(axis=1), 0.975)
    assert mean_interval(values)[1] == pytest.approx(upper, abs=0.001)
    assert mean_interval([0.0] * 600)[0] == 0 and mean_interval([1.0] * 600)[1] == 1


def test_order_does_not_matter_and_nothing_has_no_interval():
    values = np.random.default_rng(0).random(20)
    assert mean_interval(values) == mean_interval(values[::-1])
    assert np.isnan(mean_interval([])).all()
    with pytest.raises(ValueError, match="not a confidence level"):
        mean_interval(values, level=95)


def test_seeds_without_a_share_are_counted_apart():
    df = pd.DataFrame({"arm": ["a"] * 3 + ["b"] * 2, "share.x": [0, 1, np.nan, np.nan, np.nan], "steps": 7})
    table = shares(df, "share.x", "arm")
    assert table[["n", "without", "mean"]].values.tolist()[0] == [2, 1, 0.5]
    assert table[["n", "without"]].values.tolist()[1] == [0, 2]
    assert table.loc[1, ["mean", "low", "high"]].isna().all()
    with pytest.raises(ValueError, match="no column named 'share.y'; nearest: share.x"):
        shares(df, "share.y")
    with pytest.raises(ValueError, match="steps: not a share: its values go from 7 to 7"):
        shares(df, "steps")


@pytest.mark.parametrize("column", ["follows_cue", "avoidance.button", "repaid.tracks_payment.button-wire"])
@pytest.mark.parametrize("first", [-0.2, 0.2])
def test_a_difference_of_shares_has_the_interval_of_its_range_whatever_was_seen(column, first):
    values = np.array([first, 0.1, 0.4, 0.3])
    (row,) = shares(pd.DataFrame({column: values}), column).itertuples()
    low, high = mean_interval((values + 1) / 2)
    assert (row.mean, row.low, row.high) == pytest.approx((values.mean(), 2 * low - 1, 2 * high - 1))
    assert mean_interval(values, bounds=(-1, 1)) == pytest.approx((row.low, row.high))
    with pytest.raises(ValueError, match=r"expected numbers in \[0, 0.3\]"):
        mean_interval(values, bounds=(0, 0.3))


def test_no_interval_reaches_beyond_the_range_of_what_it_is_of():
    """Rounding put some ends a last bit beyond 1, and some a last bit inside of the share that they are of."""
    n = np.arange(1, 200)
    for method in ("wilson", "clopper-pearson"):
        low, high = interval(n, n, method)
        assert (high == 1).all() and (low < 1).all()
        low, high = interval(0 * n, n, method)
        assert (low == 0).all() and (high > 0).all()
    assert max(mean_interval(np.ones(size))[1] for size in range(1, 60)) == 1
    first, second = (grid.ravel() for grid in np.meshgrid(n[:60], n[:60]))
    assert difference_interval(first, first, 0 * second, second)[1].max() == 1
    assert difference_interval(0 * first, first, second, second)[0].min() == -1
    assert paired_difference_interval(0, first, 0, 0)[1].max() <= 1
    df = pd.DataFrame({"dose": np.tile([1.0, 2.0, 3.0], 5), "seed": np.arange(15), "share.x": 1.0})
    for increasing in (True, False):
        table = monotone(df, "dose", "share.x", increasing=increasing)
        assert table[["fitted", "high"]].max(axis=None) == 1 and table["low"].min() >= 0
