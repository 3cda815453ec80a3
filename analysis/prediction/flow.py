"""Gradient flow on the objectives of stages, one after the other, for margins that are linear in what is learnt.

Margins are m = U v, with features U of the rows of `Pipelines` and weights v, which begin at 0. In a stage of length t
the weights follow dv/dt = U'(pull * sigmoid'(m)), and the margins so follow dm/dt = U U'(pull * sigmoid'(m)): U U' is
their kernel. The next stage begins where the last one ended.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from analysis.prediction.pipelines import Pipelines

STEPS, FIRST = 24, 1e-3
"""Of Runge and Kutta's fourth order in a stage, and the end of the first of them as a share of the stage. The ends are
spread evenly over the logarithm of time, as margins grow with that once a stage is learnt."""


class Pass(NamedTuple):
    """What pipelines did together in a stage with the same salience."""

    stage: int
    salience: int
    members: np.ndarray
    """i64[n], their places."""
    rows: np.ndarray
    """i64[r], the rows that count in any of them."""
    visited: list[np.ndarray]
    """f64[n, features] each, the weights at which slopes were taken, four a step."""


def steps(count: int = STEPS) -> np.ndarray:
    """f64[count], the lengths of steps, which sum to 1."""
    return np.diff(np.geomspace(FIRST, 1, count), prepend=0.0) if count > 1 else np.ones(1)


def slope_of_sigmoid(margin: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(margin))
    return small / (1 + small) ** 2


def ascend(
    pipelines: Pipelines,
    features: np.ndarray,
    start: Any = 0.0,
    count: int = STEPS,
    slope_of: Callable[[np.ndarray], np.ndarray] = slope_of_sigmoid,
) -> tuple[np.ndarray, list[Pass]]:
    """The weights at the end, f64[pipelines, features], and what led there, for `pull_back`.

    Args:
      features: U, f64[salience, rows, features], for each of the scales of inputs in `pipelines.salience`.
      start: margins at weights 0, which broadcasts to f64[pipelines, salience, rows].
      count: steps a stage.
      slope_of: the derivative by a margin of what is gained where its first thing pays.
    """
    weights = np.zeros((len(pipelines), features.shape[-1]))
    start = np.broadcast_to(start, (len(pipelines), *features.shape[:2]))
    passes: list[Pass] = []
    for stage in range(pipelines.share.shape[1]):
        there = pipelines.share[:, stage] > 0
        for salience in np.unique(pipelines.salience_of[there, stage]):
            members = np.flatnonzero(there & (pipelines.salience_of[:, stage] == salience))
            rows = np.flatnonzero((pipelines.pull[members, stage] != 0).any(axis=0))
            done = Pass(stage, int(salience), members, rows, [])
            slope = _slope(done, pipelines, features, start, slope_of)
            weights[members] = _stepped(slope, weights[members], pipelines.share[members, stage][:, None], count)
            passes.append(done)
    return weights, passes


def _slope(done: Pass, pipelines: Pipelines, features: Any, start: Any, slope_of: Any) -> Any:
    here, pull = features[done.salience][done.rows], pipelines.pull[done.members, done.stage][:, done.rows]
    offset = start[done.members, done.salience][:, done.rows]

    def slope(at: np.ndarray) -> np.ndarray:
        done.visited.append(at)
        return (pull * slope_of(at @ here.T + offset)) @ here

    return slope


def _stepped(slope: Any, now: np.ndarray, length: np.ndarray, count: int) -> np.ndarray:
    for share in steps(count):
        step = share * length
        one = slope(now)
        two = slope(now + step / 2 * one)
        three = slope(now + step / 2 * two)
        four = slope(now + step * three)
        now = now + step / 6 * (one + 2 * two + 2 * three + four)
    return now


def pull_back(
    pipelines: Pipelines, features: np.ndarray, passes: list[Pass], by_weights: np.ndarray, count: int = STEPS
) -> np.ndarray:
    """The derivative by `features` of a loss whose derivative by the final weights is `by_weights`, f64[salience, rows,
    features]: the steps of `ascend` from margins 0, backwards."""
    found = np.zeros_like(features)
    by_weights = by_weights.copy()
    for done in reversed(passes):
        here, pull = features[done.salience][done.rows], pipelines.pull[done.members, done.stage][:, done.rows]
        length = pipelines.share[done.members, done.stage][:, None]
        total = np.zeros_like(here)

        def back(at, by_slope, here=here, pull=pull, total=total):
            margin = at @ here.T
            steep = pull * slope_of_sigmoid(margin)
            by_margin = -steep * np.tanh(margin / 2) * (by_slope @ here.T)
            total += steep.T @ by_slope + by_margin.T @ at
            return by_margin @ here

        now = by_weights[done.members]
        for place, share in reversed(list(enumerate(steps(count)))):
            step = share * length
            one, two, three, four = done.visited[4 * place : 4 * place + 4]
            by_four = back(four, step / 6 * now)
            by_three = back(three, step / 3 * now + step * by_four)
            by_two = back(two, step / 3 * now + step / 2 * by_three)
            by_one = back(one, step / 6 * now + step / 2 * by_two)
            now = now + by_one + by_two + by_three + by_four
        by_weights[done.members] = now
        found[done.salience][done.rows] += total
    return found


def margins(pipelines: Pipelines, features: np.ndarray, weights: np.ndarray, start: Any = 0.0) -> np.ndarray:
    """f64[pipelines, pairs], with the inputs as they are scaled where preferences are measured."""
    pairs, probed = len(pipelines.pairs), pipelines.salience_of[:, -1]
    start = np.broadcast_to(start, (len(pipelines), *features.shape[:2]))
    found = np.array(start[np.arange(len(pipelines)), probed, :pairs])
    for salience in np.unique(probed):
        members = probed == salience
        found[members] += weights[members] @ features[salience][:pairs].T
    return found
