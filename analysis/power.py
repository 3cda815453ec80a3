"""How many seeds a question takes, before any is trained."""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from analysis.intervals import check_level, half_width

FAR = 9.0
"""Standard deviations beyond which a count has no chance."""
NEGLIGIBLE = 1e-10
"""The probability of the outcomes that are left out."""
MOST = 2**30
"""Seeds beyond which no answer is sought."""


def seeds_for_half_width(half: float, rate: float = 0.5, level: float = 0.95) -> int:
    """The fewest seeds whose Clopper-Pearson interval at this rate has at most this half-width; see `half_width`.

    Raises ValueError where `half` is not in (0, 1) or `rate` is no rate.
    """
    if not 0 < half < 1:
        raise ValueError(f"half: {half!r} is not a half-width in (0, 1)")
    return _fewest(lambda n: half_width(n, rate, level) <= half)


def seeds_to_see(rate: float, probability: float = 0.95) -> int:
    """The fewest seeds that include an outcome of this rate at least once, with at least this probability.

    log(1 - probability) / log(1 - rate), rounded up: about 3 / rate at 0.95.

    Raises ValueError where either is not in (0, 1); a rate may be 1.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate: {rate!r} is not a rate in (0, 1]")
    if not 0 < probability < 1:
        raise ValueError(f"probability: {probability!r} is not strictly between 0 and 1")
    return 1 if rate == 1 else max(1, math.ceil(math.log1p(-probability) / math.log1p(-rate) - 1e-12))


def power(rate: float, other: float, n: int, level: float = 0.95) -> float:
    """The power of Fisher's exact test between two conditions of n seeds each; two-sided, at 1 - level.

    Exact, to 1e-9. With a family of k comparisons take 1 - (1 - level) / k as the level, which is at worst what
    Holm's procedure asks.

    Raises ValueError where a rate is not in [0, 1], n not at least 1 or the level not in (0, 1).
    """
    check_level(level)
    if n < 1:
        raise ValueError(f"n: {n!r} is not a number of seeds of at least 1")
    for one in (rate, other):
        if not 0 <= one <= 1:
            raise ValueError(f"rate: {one!r} is not a rate in [0, 1]")
    every = np.arange(n + 1)
    choose = gammaln(n + 1) - gammaln(every + 1) - gammaln(n - every + 1)
    chance, other_chance = (np.exp(choose + xlogy(every, one) + xlog1py(n - every, -one)) for one in (rate, other))
    plausible = [np.flatnonzero(one > NEGLIGIBLE / (n + 1)) for one in (chance, other_chance)]
    least, most = (sum(int(one[end]) for one in plausible) for end in (0, -1))
    missed = 0.0
    for total in range(least, most + 1):
        counts = np.arange(max(0, total - n), min(total, n) + 1)
        # Given the total, counts this far from its half have no chance, and are rejected.
        reach = FAR * np.sqrt(total * (2 * n - total) / (8 * n - 4)) + 1
        likely = counts[abs(counts - total / 2) <= reach]
        pmf = np.exp(choose[likely] + choose[total - likely] - choose[likely[0]] - choose[total - likely[0]])
        order = np.argsort(pmf)
        tail = np.cumsum(pmf[order]) / pmf.sum()
        # As likely counts belong to the tail; they come out differently in their last bits.
        p = tail[np.searchsorted(pmf[order], pmf * (1 + 1e-7), side="right") - 1]
        kept = likely[p > 1 - level]
        missed += float(chance[kept] @ other_chance[total - kept])
    return 1 - missed


def seeds_to_detect(rate: float, other: float, wanted: float = 0.8, level: float = 0.95) -> int:
    """The fewest seeds in each of two conditions for which `power` is at least `wanted`.

    Raises ValueError where the rates are equal, or as `analysis.power`.
    """
    if rate == other:
        raise ValueError(f"rate: both are {rate!r}; no number of seeds finds a difference that is not there")
    if not 0 < wanted < 1:
        raise ValueError(f"wanted: {wanted!r} is not a power strictly between 0 and 1")
    return _fewest(lambda n: power(rate, other, n, level) >= wanted)


def smallest_difference(n: int, wanted: float = 0.8, level: float = 0.95) -> float:
    """The smallest difference between rates around one half that n seeds a condition detect with this power.

    Between 0.5 - d / 2 and 0.5 + d / 2, where rates are hardest to distinguish, as in `analysis.power`; rounded up to
    1e-4. NaN where not even 0 and 1 are distinguished.

    Raises ValueError as `seeds_to_detect`.
    """
    if not 0 < wanted < 1:
        raise ValueError(f"wanted: {wanted!r} is not a power strictly between 0 and 1")
    steps = 10_000
    if power(0.0, 1.0, n, level) < wanted:
        return math.nan
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        half = middle / (2 * steps)
        low, high = (low, middle) if power(0.5 - half, 0.5 + half, n, level) >= wanted else (middle, high)
    return high / steps


def _fewest(enough: Callable[[int], bool]) -> int:
    """A number that is enough while the one below is not; the fewest where more is never worse."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            raise ValueError(f"more than {MOST:,} seeds")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
