"""The spread of policies is told from that of their episodes, whatever their distribution."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom, chi2

from analysis import interval, mean_interval, policy_shares, true_shares
from analysis.hierarchical import _chances, _likeliest, _points


@pytest.mark.parametrize("above", [None, 0.3, 0.0, 1.0])
def test_the_mixture_is_the_likeliest_and_so_is_that_with_a_part_fixed(above):
    """Lindsay 1983: it is where moving weight to any point, within what is free, gains nothing."""
    random = np.random.default_rng(0)
    n = random.integers(10, 33, 16)
    count = random.binomial(n, random.beta(2, 1, 16))
    points, over = _points(0.75, 32.0)
    kinds, policies = np.unique(np.stack([count, n]), axis=1, return_counts=True)
    chances = _chances(kinds, points)
    likely, weights = _likeliest(chances, policies, over, above)
    assert likely == pytest.approx(policies @ np.log(chances @ weights)) and (weights >= 0).all()
    gain = (policies / (chances @ weights)) @ chances
    groups = [(np.full(len(points), True), 1.0)] if above is None else [(over, above), (~over, 1 - above)]
    for group, part in groups:
        assert weights[group].sum() == pytest.approx(part)
        assert part * gain[group].max() - weights[group] @ gain[group] < 0.02


def test_policies_that_agree_and_policies_that_split_lie_at_the_ends_of_the_spread():
    alike, split = true_shares([32] * 20, 64), true_shares([0] * 10 + [64] * 10, 64)
    assert alike.spread < 1e-6 and alike.spread_high < 0.2 and alike.above == 0 and alike.above_high < 0.25
    assert split.spread == pytest.approx(1) and split.spread_low > 0.75
    assert (split.mean, split.above) == pytest.approx((0.5, 0.5), abs=1e-6)
    unanimous = true_shares([64] * 20, 64)
    assert unanimous.mean == unanimous.mean_high == 1 and 0.8 < unanimous.mean_low < 0.9
    assert unanimous.spread == 0 and (unanimous.spread_low, unanimous.spread_high) == (0, 1)
    assert (unanimous.mean_low, unanimous.mean_high) == mean_interval([1] * 20)
    assert true_shares([1], [1])[4:6] == (0, 1) and np.isnan(true_shares([], [])).all()


def test_policies_that_always_do_the_same_give_the_likelihoods_interval_of_a_proportion():
    """3 of 20 with one more: 2 (l(4/21) - l(p)) is chi-squared's quantile at the upper end."""
    found = true_shares([64] * 3 + [0] * 17, 64)
    lost = 2 * (binom.logpmf(4, 21, 4 / 21) - binom.logpmf(4, 21, found.above_high))
    assert lost == pytest.approx(chi2.ppf(0.95, 1), abs=0.01)
    low, high = interval(3, 20)
    assert abs(found.above_low - low) < 0.02 and abs(found.above_high - high) < 0.02


def test_the_part_above_a_threshold_does_not_hang_on_the_episodes_and_its_interval_does():
    """0.684 of Beta(4, 1) lies above 0.75; labels find fewer, the fewer the episodes."""
    random = np.random.default_rng(1)
    few, many = (true_shares(random.binomial(n, random.beta(4, 1, 200)), n) for n in (16, 128))
    truth = beta.sf(0.75, 4, 1)
    assert few.above_low < truth < few.above_high and many.above_low < truth < many.above_high
    assert many.above_high - many.above_low < 0.7 * (few.above_high - few.above_low)


@pytest.mark.parametrize(
    ("shares", "parts"), [((0.5, 0.9), (0.5, 0.5)), ((0.2, 0.9), (0.94, 0.06)), ((0, 0.7, 1), (0.3, 0.3, 0.4))]
)
def test_intervals_cover_policies_of_few_kinds(shares, parts):
    """A beta distribution fitted to the second covers its spread with 0.57 and its mean with 0.79."""
    random, shares, parts = np.random.default_rng(2), np.array(shares), np.array(parts)
    fits = [true_shares(random.binomial(16, random.choice(shares, 12, p=parts)), 16) for _ in range(15)]
    mean = shares @ parts
    truth = (mean, (shares**2 @ parts - mean**2) / (mean * (1 - mean)), parts[shares > 0.75].sum())
    ends = np.array(fits).reshape(-1, 3, 3)
    held = (ends[:, :, 1] <= truth) & (truth <= ends[:, :, 2] + 1e-9)
    assert (held.mean(axis=0) >= 0.8).all()
    assert ((ends[:, :, 1] <= ends[:, :, 0]) & (ends[:, :, 0] <= ends[:, :, 2])).all()


def test_seeds_without_a_decided_episode_are_counted_apart():
    df = pd.DataFrame({"arm": ["a"] * 3 + ["b"], "share.x": [0.25, 0.5, np.nan, np.nan], "decided": [16, 8, 0, 0]})
    table = policy_shares(df, "x", "arm")
    assert table[["n", "without"]].values.tolist() == [[2, 1], [0, 1]]
    assert table.loc[0, "mean"] == pytest.approx(true_shares([4, 4], [16, 8]).mean) and np.isnan(table.loc[1, "mean"])
    with pytest.raises(ValueError, match=r"no column named 'share\.y'; nearest: share\.x"):
        policy_shares(df, "y")
    uneven = pd.DataFrame({"share.x": [1.0, 0.5, 1.0], "decided": [31.5, 10.25, 31.5]})  # levels, not episodes
    (row,) = policy_shares(uneven, "x").itertuples()
    assert row.n == 3 and 0.8 < row.mean < 0.95
    broken = df.assign(decided=[16, 8, 4, 0])
    with pytest.raises(
        ValueError, match=r"share\.x: NaN in 1 rows with decided > 0; expected a share of those episodes"
    ):
        policy_shares(broken, "x")
    with pytest.raises(ValueError, match="threshold: 1"):
        true_shares([1], [2], threshold=1)
