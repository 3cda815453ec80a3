"""Monotone fits, and trends, of many data sets at once."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.stats import mannwhitneyu, norm

from analysis.isotonic import isotonic, isotonic_from_each, trend


def test_they_are_scipys():
    random = np.random.default_rng(0)
    mean, weight = random.random((50, 7)), random.random((50, 7)) + 0.1
    for increasing in (True, False):
        expected = [
            isotonic_regression(one, weights=heavy, increasing=increasing).x
            for one, heavy in zip(mean, weight, strict=True)
        ]
        np.testing.assert_allclose(isotonic(mean, weight, increasing), expected)
    each = isotonic_from_each(mean, weight)
    for first in range(7):
        np.testing.assert_allclose(each[:, first, first:], isotonic(mean[:, first:], weight[:, first:]))


def test_a_trend_of_zeros_and_ones_is_mann_and_whitneys():
    hits, n = np.array([[0, 2, 3, 7], [5, 5, 5, 5], [0, 0, 0, 0]]), np.array([8, 10, 8, 9])
    some = hits.sum(axis=1)
    found = trend(hits, n, some * (35 - some) / 35 / 34)
    doses = np.arange(4)
    p = mannwhitneyu(
        np.repeat(doses, hits[0]), np.repeat(doses, n - hits[0]), use_continuity=False, method="asymptotic"
    ).pvalue
    assert 2 * norm.sf(found[0]) == pytest.approx(p) and found[2] == 0
