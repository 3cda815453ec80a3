"""The spread of policies is told from that of their episodes."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta, betabinom, chi2, f

from analysis import beta_binomial, policy_shares


def test_the_fit_is_the_maximum_and_its_interval_the_profile_likelihoods():
    random = np.random.default_rng(0)
    n = random.integers(10, 33, 16)
    count = random.binomial(n, random.beta(2, 1, 16))

    def loss(logits: np.ndarray) -> float:
        mean, spread = expit(logits)
        return -betabinom.logpmf(count, n, mean * (1 - spread) / spread, (1 - mean) * (1 - spread) / spread).sum()

    best = minimize(loss, [0, 0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    found = beta_binomial(count, n)
    assert (found.mean, found.spread) == pytest.approx(tuple(expit(best.x)), abs=1e-4)
    for end in (found.mean_low, found.mean_high):
        mean = np.log(end / (1 - end))
        rest = minimize(lambda spread, mean=mean: loss(np.array([mean, spread[0]])), [0], method="Nelder-Mead")
        assert 2 * (rest.fun - best.fun) == pytest.approx(f.ppf(0.95, 1, 15), rel=0.01)
    assert f.ppf(0.95, 1, 15) > chi2.ppf(0.95, 1)
    size = (1 - found.spread) / found.spread
    assert found.above == pytest.approx(beta.sf(0.75, found.mean * size, (1 - found.mean) * size), abs=1e-3)


def test_policies_that_agree_and_policies_that_split_lie_at_the_ends_of_the_spread():
    alike, split = beta_binomial([32] * 20, 64), beta_binomial([0] * 10 + [64] * 10, 64)
    assert alike.spread == 0 and alike.spread_high < 0.01 and alike.above_high < 1e-6
    assert split.spread == pytest.approx(1) and split.spread_low > 0.9
    assert (split.mean, split.above) == pytest.approx((0.5, 0.5), abs=1e-6)
    assert split.mean_high - split.mean_low > 5 * (alike.mean_high - alike.mean_low)
    unanimous = beta_binomial([64] * 20, 64)
    assert unanimous.mean == unanimous.mean_high == 1 and 0.85 < unanimous.mean_low < 0.95
    assert beta_binomial([3], [4])[1:3] == (0, 1) and np.isnan(beta_binomial([], [])).all()


def test_what_it_says_of_policies_does_not_hang_on_their_episodes():
    """0.684 of Beta(4, 1) lies above 0.75; labels find fewer, the fewer the episodes."""
    random = np.random.default_rng(1)
    true = random.beta(4, 1, 4000)
    above = [beta_binomial(random.binomial(n, true), n).above for n in (8, 64)]
    np.testing.assert_allclose(above, beta.sf(0.75, 4, 1), atol=0.02)


@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.3), (0.9, 0.3), (0.5, 0.9)])
def test_intervals_cover(mean, spread):
    random = np.random.default_rng(2)
    a, b = mean * (1 - spread) / spread, (1 - mean) * (1 - spread) / spread
    fits = [beta_binomial(random.binomial(16, random.beta(a, b, 12)), 16) for _ in range(80)]
    held = np.mean(
        [
            (
                one.mean_low <= mean <= one.mean_high,
                one.spread_low <= spread <= one.spread_high,
                one.above_low <= beta.sf(0.75, a, b) <= one.above_high,
            )
            for one in fits
        ],
        axis=0,
    )
    assert (held >= 0.9).all()


def test_seeds_without_a_decided_episode_are_counted_apart():
    df = pd.DataFrame({"arm": ["a"] * 3 + ["b"], "share.x": [0.25, 0.5, np.nan, np.nan], "decided": [16, 8, 0, 0]})
    table = policy_shares(df, "x", "arm")
    assert table[["n", "without"]].values.tolist() == [[2, 1], [0, 1]]
    assert table.loc[0, "mean"] == pytest.approx(beta_binomial([4, 4], [16, 8]).mean) and np.isnan(table.loc[1, "mean"])
    with pytest.raises(ValueError, match=r"no column named 'share\.y'; nearest: share\.x"):
        policy_shares(df, "y")
    with pytest.raises(ValueError, match="threshold: 1"):
        beta_binomial([1], [2], threshold=1)
