"""A confidence sequence holds however often one looks, where intervals of a fixed size do not."""

import math

import numpy as np
import pytest

from analysis import confidence_sequence, interval, more_seeds, next_seeds, simulated_rounds


def test_the_ends_are_where_the_mixture_outweighs_the_likelihood_twentyfold():
    """By hand at 1 of 3: the mixture is B(1.5, 2.5) / B(0.5, 0.5) = 1/16, so that p (1 - p)^2 = 1/320 at both ends."""
    low, high = confidence_sequence(1, 3)
    np.testing.assert_allclose([p * (1 - p) ** 2 for p in (low, high)], 1 / 320)
    assert low < 1 / 3 < high
    low, high = confidence_sequence(0, 2)  # B(0.5, 2.5) / B(0.5, 0.5) = 3/8
    assert low == 0 and (1 - high) ** 2 == pytest.approx(3 / 8 / 20)
    assert confidence_sequence(0, 0) == (0, 1)


def test_it_is_exact_for_a_million_seeds():
    """Against exact sums of logarithms: the mixture of k hits of n is a product of 2n odd halves over n!."""
    n = 10**6
    for count in (0, 3, n // 50, n // 2, n):
        logs = [math.fsum(np.log(np.arange(size) + 0.5)) for size in (count, n - count)]
        mixture = math.fsum([*logs, -math.lgamma(n + 1)])
        for p in confidence_sequence(count, n):
            if 0 < p < 1:
                likelihood = count * math.log(p) + (n - count) * math.log1p(-p)
                assert mixture - likelihood == pytest.approx(math.log(20), abs=1e-4)


@pytest.fixture(scope="module")
def looks():
    """(rate, counts i64[2000, 400]) of sweeps that are looked at after every seed."""
    random = np.random.default_rng(0)
    return [(p, np.cumsum(random.random((2000, 400)) < p, axis=1)) for p in (0.001, 0.02, 0.3, 0.5)]


@pytest.mark.slow
def test_it_covers_whenever_one_stops_and_a_fixed_interval_does_not(looks):
    n = np.arange(1, 401)
    every = np.minimum(np.arange(401)[:, None], n)
    sequence, fixed = confidence_sequence(every, n), interval(every, n)
    for p, counts in looks:
        always = {
            name: np.all((low[counts, n - 1] <= p) & (p <= high[counts, n - 1]), axis=1).mean()
            for name, (low, high) in {"sequence": sequence, "fixed": fixed}.items()
        }
        assert always["sequence"] >= 0.95
        assert always["fixed"] < (0.85 if p >= 0.02 else 0.96)


def test_running_intersections_only_narrow_and_cover(looks):
    n = np.arange(1, 401)
    p, counts = looks[2]
    low, high = confidence_sequence(counts[:200], n, running=True)
    assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
    assert ((low[:, -1] <= p) & (p <= high[:, -1])).mean() >= 0.95


def test_the_next_round_is_as_large_as_it_needs_to_be():
    for count, n, half in ((0, 8, 0.05), (4, 8, 0.1), (20, 100, 0.05)):
        more = int(more_seeds(count, n, half))
        rate = (count + 0.5) / (n + 1)
        widths = [np.subtract(*confidence_sequence(rate * size, size)[::-1]) / 2 for size in (n + more - 1, n + more)]
        assert widths[1] <= half < widths[0]
    assert more_seeds([0, 50], [1000, 100], 0.05).tolist()[0] == 0


def test_rounds_go_on_in_whole_steps_at_most_double_and_end_at_the_most():
    """By hand at +-0.2: 0 of 8, 0.219 to either side, lacks 7; 2 of 16, 0.238, lacks 13; 16 of 32, 0.258, lacks 29."""
    counts = [[0, 8, 0], [4, 3, 1], [0, 16, 0], [14, 2, 0], [15, 1, 0], [16, 16, 0]]
    n = np.sum(counts, axis=1)
    wide, to = next_seeds(counts, n, 0.2, step=8, most=40)
    assert wide.tolist() == [True, True, False, True, False, True]
    assert to.tolist() == [16, 16, 16, 32, 16, 40]
    assert next_seeds(counts, n, 0.2, step=8, most=100)[1].tolist() == [16, 16, 16, 32, 16, 64]
    wide, to = next_seeds([[20, 20], [30, 30]], [40, 60], 0.2, step=8, most=40)
    assert wide.all() and to.tolist() == [40, 60], "never fewer than there are"


def test_adaptive_sweeps_cover_where_intervals_of_a_fixed_size_do_not():
    random = np.random.default_rng(1)
    for p in (0.001, 0.02, 0.3, 0.5):
        counts, n = simulated_rounds(p, 0.1, 16, 500, 2000, random)
        held = {}
        for name, (low, high) in {"sequence": confidence_sequence(counts, n), "fixed": interval(counts, n)}.items():
            inside = (low <= p) & (p <= high)
            held[name] = inside.all(axis=0).mean(), inside[-1].mean()
        assert min(held["sequence"]) >= 0.95
        assert held["fixed"][0] < (0.9 if p >= 0.3 else 0.99)
        low, high = confidence_sequence(counts[-1], n[-1])
        assert ((high - low) / 2 <= 0.1).all() and n.max() < 500


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="more than the n"):
        confidence_sequence(3, 2)
    with pytest.raises(ValueError, match="level: 95"):
        confidence_sequence(1, 2, 95)
    with pytest.raises(ValueError, match="half: 0"):
        more_seeds(1, 2, 0)
