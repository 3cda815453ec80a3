"""Points of indifference: recovered from policies whose answer is known, or said to be none."""

import numpy as np
import pytest
from scipy.special import expit

from analysis.exchange import BEYOND, BLIND, UNDECIDED, indifference

OFFERED = np.repeat([-6, -4, -2, -1, 1, 2, 4, 6], 8)


def drawn(share, lanes=300, offered=OFFERED):
    """The outcome of policies that take the goal with these probabilities, bool[lanes, episodes]."""
    chosen = np.random.default_rng(0).random((lanes, len(offered))) < share
    return indifference(offered, chosen, np.ones_like(chosen))


def test_a_threshold_is_found_between_the_differences_that_it_lies_between():
    for threshold, below, above in ((-3, -4, -2), (0, -1, 1), (5, 4, 6)):
        chosen = (threshold > OFFERED)[None]
        found = indifference(OFFERED, chosen, np.ones_like(chosen))
        assert found.steps == pytest.approx(threshold, abs=0.1) and found.why == ""
        assert below - 0.2 <= found.low <= below + 0.5 and above - 0.5 <= found.high <= above + 0.2


@pytest.mark.parametrize(("at", "slope", "lapses"), [(0, 1, 0), (2.5, 1.5, 0.1), (5, 1, 0), (5, 1.5, 0.1), (5, 0.3, 0)])
def test_noisy_policies_are_recovered_where_the_answer_is_near_the_edge_of_what_was_offered(at, slope, lapses):
    """The Spearman-Karber estimate puts the last of them at 3.1: choices beyond 6 steps count as at 6."""
    found = drawn(lapses / 2 + (1 - lapses) * expit(slope * (at - OFFERED)))
    assert ((found.low <= at) & (at <= found.high)).mean() > 0.92
    assert np.nanmedian(found.steps) == pytest.approx(at, abs=0.2 if slope > 0.3 else 0.8)
    assert np.isnan(found.steps[found.why != ""]).all()


def test_a_change_beyond_what_was_offered_is_a_bound():
    always = indifference(OFFERED, np.array([[True], [False]]) & (OFFERED < 9), np.ones((2, 64), bool))
    assert always.why.tolist() == [BEYOND] * 2 and np.isnan(always.steps).all()
    assert always.low.tolist() == [6, -np.inf] and always.high.tolist() == [np.inf, -6]
    beyond = drawn(expit(8 - OFFERED))
    assert (beyond.why == BEYOND).mean() > 0.95
    assert ((beyond.low > 4) & (beyond.high == np.inf))[beyond.why == BEYOND].all()


def test_a_preference_that_distance_does_not_move_is_no_number_of_steps():
    """At 0.9, where Spearman-Karber said 4.8; a few policies come out as taking the goal nearly always."""
    for share, blind in ((0.9, 0.8), (0.5, 0.9), (0.3, 0.9)):
        found = drawn(np.full(64, share))
        assert (found.why == BLIND).mean() > blind and (found.why == "").mean() < 0.08
        lost = found.why == BLIND
        assert (found.low[lost] == -np.inf).all() and (found.high[lost] == np.inf).all()


def test_an_undecided_difference_is_left_out_and_no_decision_at_all_is_said():
    chosen = np.stack([OFFERED < 1.5] * 3)
    decided = np.stack([OFFERED != 4, OFFERED < 3, OFFERED > 9])
    found = indifference(OFFERED, chosen, decided)
    assert found.steps[:2] == pytest.approx([1.5, 1.5], abs=0.1) and found.why.tolist() == ["", "", UNDECIDED]
    assert np.isnan(found.steps[2]) and (found.low[2], found.high[2]) == (-np.inf, np.inf)
    # Where nothing was decided beyond 2 steps, a bound is there and not at 6.
    bound = indifference(OFFERED, OFFERED[None] < 9, decided[1:2])
    assert bound.why == BEYOND and (bound.low, bound.high) == (2, np.inf)


def test_copies_of_an_episode_tell_no_more_than_one_of_them():
    offered = np.array([-6, -4, -2, -1, 1, 2, 4, 6])
    chosen = np.array([[1, 1, 1, 0, 1, 0, 0, 0]], bool)
    one = indifference(offered, chosen, np.ones_like(chosen))
    many = indifference(OFFERED, np.repeat(chosen, 8, axis=1), np.ones((1, 64), bool), np.full(64, 1 / 8))
    np.testing.assert_allclose(np.array(many[:3]), np.array(one[:3]))
    certain = indifference(OFFERED, np.repeat(chosen, 8, axis=1), np.ones((1, 64), bool))
    assert certain.high - certain.low < 0.7 * (one.high - one.low)


def test_one_difference_tells_no_trend():
    at_two = np.full(8, 2)
    found = indifference(at_two, np.array([[1] * 8, [1, 0] * 4], bool), np.ones((2, 8), bool))
    assert found.why.tolist() == [BEYOND, BLIND] and found.low.tolist() == [2, -np.inf]
