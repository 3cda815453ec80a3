"""Intervals of a rate that may be looked at after every seed: a confidence sequence, and seeds until it is narrow."""

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, expit

from analysis.intervals import check_level, checked_counts

PRIOR = 0.5
"""Both parameters of the beta distribution that is mixed over (Krichevsky and Trofimov 1981): narrow at rates near 0
and 1 too."""
HALVINGS = 64
"""Of the logit's range by which an end is found: to the last bits of a float64."""
FURTHEST = 800.0
"""The logit beyond which no end lies."""


def confidence_sequence(
    count: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95, running: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided interval of a rate, elementwise, that holds at all n at once; [0, 1] where n is 0.

    With probability at least `level` the rate lies in the intervals of every n, so that a sweep may look as often as it
    likes and stop when it likes, for whatever reason. The rates p that are left are those with

        B(count + 1/2, n - count + 1/2) / B(1/2, 1/2) < p^count (1 - p)^(n - count) / (1 - level),

    the likelihood mixed over a beta distribution against that of p: under p it is a martingale that begins at 1, which
    reaches 1 / (1 - level) with probability at most 1 - level (Ville 1939; Robbins 1970, Annals of Mathematical
    Statistics 41, 1397-1409). The price at a fixed n: half-widths some 1.2 times Clopper and Pearson's at 10 seeds, 1.6
    at 100, 1.9 at 1,000.

    Args:
      count: seeds with the outcome, of the first n.
      n: seeds so far.
      level: confidence, over all n together.
      running: whether to intersect each interval with those before it along the last axis, which is then the order in
        which seeds came: narrower, and no less valid.
    Raises:
      ValueError: a level outside (0, 1), or a count outside [0, n].
    """
    check_level(level)
    count, n = np.broadcast_arrays(*checked_counts(count, n))
    misses = n - count
    least = betaln(count + PRIOR, misses + PRIOR) - betaln(PRIOR, PRIOR) + np.log1p(-level)
    best = _logit(count, misses)
    low = _end(count, misses, least, np.full(n.shape, -FURTHEST), best)
    high = _end(count, misses, least, np.full(n.shape, FURTHEST), best)
    low, high = np.where(count > 0, low, 0.0), np.where(misses > 0, high, 1.0)
    if running:
        low, high = np.maximum.accumulate(low, axis=-1), np.minimum.accumulate(high, axis=-1)
    return low, high


def _logit(count: np.ndarray, misses: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.log(count) - np.log(misses), nan=0.0, posinf=FURTHEST, neginf=-FURTHEST)


def _end(
    count: np.ndarray, misses: np.ndarray, least: np.ndarray, outside: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """Where the log-likelihood falls to `least` between two logits, as a rate."""
    for _ in range(HALVINGS):
        middle = (outside + inside) / 2
        kept = -count * np.logaddexp(0, -middle) - misses * np.logaddexp(0, middle) > least
        inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
    return expit(outside)


def more_seeds(count: npt.ArrayLike, n: npt.ArrayLike, half: float, level: float = 0.95) -> np.ndarray:
    """How many more seeds bring the half-width of `confidence_sequence` to `half` if the rate does not change.

    The rate so far is taken as (count + 1/2) / (n + 1). An estimate for the next round of seeds: stopping when the
    interval is narrow enough keeps its confidence, however good the estimate was.

    Returns:
      i64, elementwise; 0 where the interval is narrow enough.
    Raises:
      ValueError: as `confidence_sequence`, or `half` not in (0, 1).
    """
    if not 0 < half < 1:
        raise ValueError(f"half: {half!r} is not a half-width in (0, 1)")
    count, n = np.broadcast_arrays(*checked_counts(count, n))
    rate = (count + PRIOR) / (n + 2 * PRIOR)

    def wide(count: np.ndarray, n: np.ndarray) -> np.ndarray:
        low, high = confidence_sequence(count, n, level)
        return (high - low) / 2 > half

    now = wide(count, n)
    enough = np.maximum(n, 1)
    while (short := now & wide(rate * enough, enough)).any():
        enough = np.where(short, 2 * enough, enough)
    few = n.copy()
    while (open_ := now & (enough - few > 1)).any():
        middle = np.floor((few + enough) / 2)
        short = wide(rate * middle, middle)
        few, enough = np.where(open_ & short, middle, few), np.where(open_ & ~short, middle, enough)
    return np.where(now, np.maximum(enough - n, 1), 0).astype(np.int64)


def next_seeds(
    counts: npt.ArrayLike, n: npt.ArrayLike, half: float, step: int, most: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Which conditions of a sweep with a precision need more seeds, and how many each gets.

    A condition needs more while the half-width of `confidence_sequence` exceeds `half` for the rate of any label. It
    gets what `more_seeds` says of the label that lacks most, in whole steps, but at most as many as it has: estimates
    from few seeds are poor, and seeds that were trained are spent.

    Args:
      counts: i64[conditions, labels], seeds with each label.
      n: i64[conditions], seeds so far.
      step: seeds of the first round.
      most: seeds that no condition exceeds.
    Returns:
      bool[conditions], the intervals of some label are too wide; i64[conditions], the seeds to have next, which are
      those that there are where intervals are narrow or nothing more may be added.
    Raises:
      ValueError: as `more_seeds`.
    """
    counts, n = np.asarray(counts, np.int64), np.asarray(n, np.int64)
    every = np.stack([counts, np.broadcast_to(n[:, None], counts.shape)]).reshape(2, -1)
    pairs, place = np.unique(every, axis=1, return_inverse=True)  # conditions have few different ones
    more = more_seeds(pairs[0], pairs[1], half, level)[place].reshape(counts.shape).max(axis=1, initial=0)
    wanted = n + np.minimum(n, -(-more // step) * step)
    return more > 0, np.maximum(n, np.minimum(wanted, most))


def simulated_rounds(
    rate: float, half: float, step: int, most: int, repeats: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Simulates rounds of `next_seeds`, from `step` seeds on, for conditions with two labels, one at this rate.

    Returns:
      Seeds with the label and all seeds, i64[rounds, repeats]; those that stopped in an earlier round stay as they are.
    """
    n, count = np.full(repeats, step), random.binomial(step, rate, repeats)
    rounds = [(count, n)]
    while True:
        _, to = next_seeds(np.stack([count, n - count], axis=1), n, half, step, most)
        if (to == n).all():
            counts, sizes = zip(*rounds, strict=True)
            return np.stack(counts), np.stack(sizes)
        count, n = count + random.binomial(to - n, rate), to
        rounds.append((count, n))
