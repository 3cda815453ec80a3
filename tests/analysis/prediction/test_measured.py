"""Preferences and divergences, by hand."""

import numpy as np
import pytest

from analysis.prediction import Measured
from analysis.prediction.measured import between_halves, divergences
from tests.analysis.prediction.made import drawn, played


def test_seeds_count_alike_and_half_a_seed_is_added_on_either_side():
    """Seeds go for the first thing in 3 of 4 and in 1 of 1 episodes; a third decides nothing."""
    measured = Measured(("a",), np.array([[[3], [1], [0]]]), np.array([[[4], [1], [0]]]))
    assert measured.seeds.tolist() == [[2]]
    assert measured.preference[0, 0] == (0.75 + 1 + 0.5) / 3


def test_a_divergence_is_the_mean_over_pairs_that_were_decided():
    """One seed, which went for the first thing: preference 3/4. The second pair was never decided."""
    measured = Measured(("a",), np.array([[[1, 0]]]), np.array([[[1, 0]]]))
    expected = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert divergences(measured, np.array([[0.5, 0.9]])) == pytest.approx([expected])


def test_no_prediction_is_held_to_more_than_the_seeds_can_say():
    measured = Measured(("a",), np.array([[[1]]]), np.array([[[1]]]))
    assert divergences(measured, np.array([[1.0]])) == pytest.approx([0])


def test_halves_of_the_seeds_are_further_from_each_other_than_all_are_from_the_truth():
    pipelines = drawn(40)
    truth = np.random.default_rng(0).uniform(0.2, 0.8, (40, 15))
    measured = played(pipelines, truth, seeds=32, episodes=1)
    ratio = between_halves(measured).mean() / divergences(measured, truth).mean()
    assert 3.3 < ratio < 4.3  # 4, less what smoothing draws both halves together


def test_one_seed_has_no_halves():
    with pytest.raises(ValueError, match="1 seed has no halves"):
        between_halves(Measured(("a",), np.ones((1, 1, 1), int), np.ones((1, 1, 1), int)))


@pytest.mark.parametrize(("first", "decided"), [([[[2]]], [[[1]]]), ([[[-1]]], [[[1]]])])
def test_counts_are_counts(first, decided):
    with pytest.raises(ValueError, match="a count below 0, or above the episodes"):
        Measured(("a",), np.array(first), np.array(decided))
