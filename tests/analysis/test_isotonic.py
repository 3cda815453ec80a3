"""Monotone fits of many data sets at once."""

import numpy as np
from scipy.optimize import isotonic_regression

from analysis.isotonic import isotonic, isotonic_from_each


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
