"""Points of indifference: by hand, and recovered from made-up choices."""

import numpy as np
import pytest

from analysis.exchange import indifference

OFFERED = np.repeat([-6, -4, -2, -1, 1, 2, 4, 6], 8)


def test_a_threshold_is_found_between_the_differences_that_it_lies_between():
    for threshold, middle in ((-3, -3), (0, 0), (1.5, 1.5), (5, 5)):
        chosen = (threshold > OFFERED)[None]
        assert indifference(OFFERED, chosen, np.ones_like(chosen)) == pytest.approx(middle)


def test_one_who_always_takes_one_of_them_is_told_by_the_bounds_and_no_choice_at_all_by_nan():
    chosen = np.stack([np.ones(64, bool), np.zeros(64, bool)])
    np.testing.assert_allclose(indifference(OFFERED, chosen, np.ones_like(chosen)), [6, -6])
    decided = np.stack([OFFERED != 4, OFFERED != 0])
    assert np.isnan(indifference(OFFERED, chosen, decided)).tolist() == [True, False]


def test_by_hand_on_three_differences_with_a_violation_pooled():
    """Shares 1/2, 3/4, 0 of four: the first two pool to 5/8, so 3/8 lies at the lower end and 5/8 between 1 and 3."""
    difference = np.repeat([-1, 1, 3], 4)
    chosen = np.array([[1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]], bool)
    assert indifference(difference, chosen, np.ones_like(chosen)) == pytest.approx(3 / 8 * -1 + 5 / 8 * 2)


def test_a_noisy_choice_is_recovered_on_average():
    generator = np.random.default_rng(0)
    difference = np.tile(np.arange(-12, 13), 8)
    probability = 1 / (1 + np.exp(1.5 * (difference - 2.5)))
    chosen = generator.random((500, len(difference))) < probability
    found = indifference(difference, chosen, np.ones_like(chosen))
    assert found.mean() == pytest.approx(2.5, abs=0.05) and found.std() < 0.5
