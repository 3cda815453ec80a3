"""What a planner that foresees its own capture does: by hand, and by value iteration over the same choices."""

import numpy as np
import pytest

from analysis import value_preservation as preservation


def by_iteration(rate, discount, payment, judge, presses=80, sweeps=400):
    """The worth of the task and of a press with none behind, from a table of states and sweeps over it."""
    worth = np.zeros(presses + 1)
    for _ in range(sweeps):
        after = np.append(worth[1:], worth[-1])
        paid = np.full(presses + 1, payment if judge == "reward" else 0.0)
        paid[0] = payment
        press, task = paid + discount * after, 1 + discount * worth
        habit = 1 - (1 - rate) ** np.arange(presses + 1)
        worth = habit * press + (1 - habit) * np.maximum(press, task)
    return task[0], press[0]


def test_the_smallest_case_by_hand():
    """One press captures for good, and the horizon is 10 choices: the task is worth 10, a press its payment."""
    assert preservation.values(1.0, 0.9, 4.0, "today") == pytest.approx((10.0, 4.0))
    assert preservation.values(1.0, 0.9, 4.0, "reward") == pytest.approx((1 + 0.9 * 40, 40.0))
    assert preservation.values(1.0, 0.9, 4.0, "myopic") == (1.0, 4.0)
    assert preservation.threshold(1.0, 0.9) == pytest.approx(10.0)
    assert preservation.horizon_of_refusal(1.0, 4.0) == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize("judge", ["today", "reward"])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize("payment", [0.5, 2.0])
def test_values_are_those_of_value_iteration(judge, rate, payment):
    for discount in (0.0, 0.5, 0.9):
        found = preservation.values(rate, discount, payment, judge)
        np.testing.assert_allclose(found, by_iteration(rate, discount, payment, judge), rtol=1e-3)


def test_the_threshold_is_where_a_press_and_the_task_are_worth_the_same():
    for rate, discount in ((0.01, 0.99), (0.3, 0.5), (1.0, 0.97), (0.0, 0.9)):
        task, press = preservation.values(rate, discount, preservation.threshold(rate, discount), "today")
        assert press == pytest.approx(task, rel=1e-9)
    horizon = preservation.horizon_of_refusal(0.01, 2.0)
    assert preservation.threshold(0.01, 1 - 1 / horizon) == pytest.approx(2.0, rel=1e-3)


def test_what_does_not_capture_is_pressed_for_what_it_pays_at_any_horizon():
    assert preservation.horizon_of_refusal(0.0, 1.5) == float("inf")
    assert preservation.horizon_of_refusal(0.5, 0.9) == 1.0
    assert preservation.threshold(0.0, 0.999) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1.5, 0.9, 1.0), "rate: 1.5 is not in"),
        ((0.5, 1.0, 1.0), "discount: 1.0 is not in"),
        ((0.5, 0.9, -1.0), "payment: -1.0 is not a finite"),
        ((0.5, 0.9, 1.0, "tomorrow"), "judge: 'tomorrow' is not one of today, reward, myopic"),
    ],
)
def test_numbers_out_of_range_are_refused_in_one_line(arguments, said):
    with pytest.raises(ValueError, match=said):
        preservation.values(*arguments)
