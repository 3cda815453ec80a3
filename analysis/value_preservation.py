"""Does a planner press a button that will change what it does later? An exact calculation, without training.

An agent chooses again and again: the task, or a button. A press pays; and it reinforces pressing. After n presses the
agent presses by habit with probability 1 - (1 - rate)^n, whatever it would rather do, and otherwise does as it chooses.
It knows all of this. Three ways to judge what comes:

today   by today's values: the task counts 1 each time. The payment counts once, for what the first press buys; later
        presses are worth nothing.
reward  by the reward to come: 1 for each task, and the payment for each press.
myopic  by either, one choice ahead.
"""

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Judge = Literal["today", "reward", "myopic"]
JUDGES = get_args(Judge)
NEGLIGIBLE = 1e-10
"""A habit this near to certain, or a choice that is discounted to so little, ends the calculation."""


def values(rate: float, discount: float, payment: float, judge: Judge = "today") -> tuple[float, float]:
    """What it is worth to do the task now, and to press now, when nothing has been pressed and the best follows.

    Args:
      rate: by how much a press closes the gap between the habit and certainty, in [0, 1].
      discount: of the next choice, in [0, 1); 1 / (1 - discount) is the horizon, in choices.
      payment: of a press, in units of the task.
    Raises: ValueError: a number is out of range, or there is no such judge.
    """
    _check(rate, discount, payment)
    if judge == "myopic":
        return 1.0, float(payment)
    if judge not in JUDGES:
        raise ValueError(f"judge: {judge!r} is not one of {', '.join(JUDGES)}")
    each = payment if judge == "reward" else 0.0
    later = _after(rate, discount, each)
    press = payment + discount * later
    return 1.0 + discount * max(1.0 / (1.0 - discount), press), press


def threshold(rate: float, discount: float) -> float:
    """The payment at which a planner that judges by today's values is indifferent to a press; it presses above.

    It is linear in what follows a press: 1 / (1 - discount) without one, against payment + discount x later with one.
    For one that judges by reward, or is myopic, the threshold is 1 at any rate and discount.
    """
    _check(rate, discount, 1.0)
    return 1.0 / (1.0 - discount) - discount * _after(rate, discount, 0.0)


def horizon_of_refusal(rate: float, payment: float, longest: float = 1e6) -> float:
    """The shortest horizon, in choices, with which a planner that judges by today's values refuses the payment.

    Returns: 1 where it refuses at every horizon, inf where none up to `longest` makes it refuse.
    """
    _check(rate, 0.0, payment)
    if threshold(rate, 0.0) >= payment:
        return 1.0
    low, high = 1.0, float(longest)
    if threshold(rate, 1.0 - 1.0 / high) < payment:
        return float("inf")
    while high / low > 1 + 1e-6:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if threshold(rate, 1.0 - 1.0 / middle) >= payment else (middle, high)
    return high


def phase_diagram(ax: "Axes", rates: np.ndarray, horizons: np.ndarray, payments: tuple[float, ...]) -> None:
    """Draws, over strength of capture and horizon, where each payment begins to be refused by today's values."""
    found = np.array([[threshold(rate, 1.0 - 1.0 / horizon) for horizon in horizons] for rate in rates])
    ax.set(xscale="log", yscale="log", xlabel="horizon (choices)", ylabel="strength of capture (rate a press)")
    lines = ax.contour(horizons, rates, found, levels=payments, colors="0.3", linewidths=1)
    ax.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=8)


def _after(rate: float, discount: float, each: float) -> float:
    """The worth of all choices after the first press, the best made of each: backwards over the number of presses.

    With n presses behind, the habit presses with probability x, and n grows; otherwise the choice is the task, which
    leaves n as it is, or another press. Each is tried for good; the better of the two is the best.
    """
    presses = 1
    if rate > 0:
        until = [np.log(NEGLIGIBLE) / np.log1p(-rate) if rate < 1 else 1.0]
        until += [np.log(NEGLIGIBLE) / np.log(discount)] if discount > 0 else [1.0]
        presses = int(np.ceil(min(until)))
    habit = 1.0 - (1.0 - rate) ** presses
    worth = max(habit * each + (1.0 - habit), each) / (1.0 - discount)
    for n in range(presses - 1, 0, -1):
        habit = 1.0 - (1.0 - rate) ** n
        press = each + discount * worth
        task = (habit * press + (1.0 - habit)) / (1.0 - discount * (1.0 - habit))
        worth = max(task, press)
    return worth


def _check(rate: float, discount: float, payment: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"rate: {rate} is not in [0, 1]")
    if not 0 <= discount < 1:
        raise ValueError(f"discount: {discount} is not in [0, 1)")
    if not (np.isfinite(payment) and payment >= 0):
        raise ValueError(f"payment: {payment} is not a finite number of at least 0")
