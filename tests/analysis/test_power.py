"""How many seeds a question takes agrees with counting all outcomes."""

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from analysis import (
    half_width,
    power,
    seeds_for_half_width,
    seeds_to_detect,
    seeds_to_see,
    smallest_difference,
    upper_bound,
)


@pytest.mark.parametrize(
    ("n", "rate", "other", "level"), [(7, 0.2, 0.9, 0.95), (12, 0.5, 0.5, 0.9), (9, 0.0, 1.0, 0.99)]
)
def test_power_is_the_chance_that_fishers_test_rejects(n, rate, other, level):
    chance = sum(
        binom.pmf(i, n, rate) * binom.pmf(j, n, other)
        for i in range(n + 1)
        for j in range(n + 1)
        if fisher_exact([[i, n - i], [j, n - j]]).pvalue <= 1 - level
    )
    assert power(rate, other, n, level) == pytest.approx(chance, abs=1e-8)


def test_the_number_of_seeds_is_enough_and_one_fewer_is_not():
    n = seeds_to_detect(0.5, 0.9)
    assert power(0.5, 0.9, n) >= 0.8 > power(0.5, 0.9, n - 1)
    assert seeds_to_detect(0.5, 0.9, 0.95) > n < seeds_to_detect(0.5, 0.9, level=0.995)
    n = seeds_for_half_width(0.1)
    assert half_width(n) <= 0.1 < half_width(n - 1) and n == 104
    assert seeds_for_half_width(0.1, rate=0.02) < n


def test_the_smallest_difference_is_found_and_a_smaller_one_is_not():
    found = smallest_difference(16)
    least, other = power(0.5 - found / 2, 0.5 + found / 2, 16), power(0.5001 - found / 2, 0.4999 + found / 2, 16)
    assert least >= 0.8 > other
    # Four of four against none of four is the least likely table: p = 2 / 70. It takes d with ((1 + d) / 2)^8 >= 0.8.
    assert smallest_difference(4) == pytest.approx(2 * 0.8 ** (1 / 8) - 1, abs=1e-4)
    assert np.isnan(smallest_difference(3)) and np.isnan(smallest_difference(4, level=0.98))
    assert smallest_difference(64) < smallest_difference(64, level=1 - 0.05 / 15) < 0.35
    # Rates that lie elsewhere are told apart at least as well.
    assert all(power(rate, rate + found, 16) >= 0.8 for rate in np.linspace(0, 1 - found, 9))


def test_a_rare_policy_is_seen_with_the_probability_that_was_asked():
    for rate in (0.001, 0.02, 0.5):
        n = seeds_to_see(rate)
        assert 1 - (1 - rate) ** n >= 0.95 > 1 - (1 - rate) ** (n - 1)
    assert seeds_to_see(0.01) == 299 and seeds_to_see(1) == 1 and seeds_to_see(0.5, 0.75) == 2


def test_where_nothing_was_seen_the_bound_is_the_rule_of_three():
    n = np.array([20, 100, 1000])
    np.testing.assert_allclose(upper_bound(0, n), 1 - 0.05 ** (1 / n))
    np.testing.assert_allclose(upper_bound(0, 1000), 3 / 1000, rtol=3e-3)
    np.testing.assert_allclose(binom.cdf(3, n, upper_bound(3, n)), 0.05)
    assert upper_bound([5, 0], [5, 0]).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: seeds_for_half_width(0), "not a half-width"),
        (lambda: seeds_to_see(0), "not a rate in"),
        (lambda: seeds_to_see(0.1, 1), "probability: 1"),
        (lambda: seeds_to_detect(0.3, 0.3), "difference that is not there"),
        (lambda: seeds_to_detect(0.3, 0.4, 1), "wanted: 1"),
        (lambda: smallest_difference(8, 0), "wanted: 0"),
        (lambda: power(0.3, 1.4, 10), r"rate: 1\.4"),
        (lambda: power(0.3, 0.4, 0), "n: 0"),
        (lambda: upper_bound(3, 2), "more than the n"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
