"""How often a random infinitely wide network that is right along a coin line also prefers the proxy at the probe.

The network is sum_j a_j relu(u_j . x) with u ~ N(0, I) and a ~ N(0, 1 / width). Infinitely wide, it is a centred
Gaussian process, and the posterior a ratio of two orthant probabilities, computed here in two ways that share neither
integrand nor points, so that each checks the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr, ndtri
from scipy.stats import qmc

from analysis.names import check_name

SMALLEST = np.finfo(float).tiny  # of a tail: an exact zero would have its quantile at infinity


def arc_cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Covariance of the infinitely wide network's outputs, f64[n, m], at non-zero inputs f64[n, d] and f64[m, d].

    Cho and Saul 2009 with degree 1, halved: they double the expectation E[relu(u.x) relu(u.y)].
    """
    norms, angle = _norms_and_angles(x, y)
    return norms * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def tangent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The tangent kernel of the same network, f64[n, m], where both of its layers are trained.

    Jacot, Gabriel and Hongler 2018: the covariance, and x.y times the probability that a unit is active on both.
    """
    norms, angle = _norms_and_angles(x, y)
    return arc_cosine(x, y) + norms * np.cos(angle) * (np.pi - angle) / (2 * np.pi)


def _norms_and_angles(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)
    return norms, np.arccos(np.clip(x @ y.T / norms, -1.0, 1.0))


def coin_line(length: int) -> np.ndarray:
    """The `length` training inputs of a coin line, then its probe, f64[length + 1, 3]."""
    training = [(1, position, length) for position in range(length)]
    return np.array([*training, (1, (length + 1) // 2, 0)], float)


def most_binding_first(covariance: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor f64[n, n] with the variables but the last, which stays, in a good order to condition in.

    Next comes the variable least likely to be positive where those before it have their expected values, so that the
    later factors of the product vary little. Gibson, Glasbey and Elston 1994; Genz and Bretz 2009.
    """
    n = len(covariance)
    order, expected = np.arange(n), np.zeros(n)
    for i in range(n - 1):
        factor = np.linalg.cholesky(covariance[np.ix_(order[:i], order[:i])])
        rows = np.linalg.solve(factor, covariance[np.ix_(order[:i], order[i:-1])]).T
        spread = np.sqrt(covariance.diagonal()[order[i:-1]] - (rows**2).sum(axis=1))
        floors = -(rows @ expected[:i]) / spread
        binding = int(floors.argmax())
        order[[i, i + binding]] = order[[i + binding, i]]
        floor = floors[binding]
        expected[i] = np.exp(-(floor**2) / 2) / np.sqrt(2 * np.pi) / max(ndtr(-floor), SMALLEST)
    return np.linalg.cholesky(covariance[np.ix_(order, order)])


def one_after_another(covariance: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draws the variables in turn, each positive given those before, and multiplies the chances of that.

    Args:
      covariance: f64[n, n], n at least 2.
      uniform: f64[points, n - 1], in the unit cube.
    Returns:
      f64[2, points], unbiased for P(all variables but the last are positive) and for P(all are).

    Genz 1992, separation of variables.
    """
    factor = most_binding_first(covariance)
    normal = np.empty_like(uniform)
    chance = np.ones((2, len(uniform)))
    for i, row in enumerate(factor):
        tail = np.maximum(ndtr(normal[:, :i] @ row[:i] / row[i]), SMALLEST)
        chance = np.stack([chance[1], chance[1] * tail])
        if i < uniform.shape[1]:
            normal[:, i] = -ndtri(np.maximum(uniform[:, i] * tail, SMALLEST))
    return chance


def all_but_the_sum(covariance: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draws what the sum of the variables leaves open, and integrates over the sum exactly.

    All are positive where the sum exceeds a bound that each draw sets, if the sum correlates positively with every one.
    No variable is conditioned on another, nothing is factorised that is near singular, and nothing is truncated.

    Args, returns: as `one_after_another`.
    Raises:
      ValueError: a variable that does not correlate positively with the sum.

    Griewank, Kuo, Leovey and Sloan 2018 call this preintegration.
    """
    scale = np.sqrt(covariance.diagonal())
    correlation = covariance / np.outer(scale, scale)
    with_sum = correlation.sum(axis=1) / np.sqrt(correlation.sum())
    if with_sum.min() <= 0:
        raise ValueError(f"covariance: variable {with_sum.argmin()} does not correlate positively with the sum")
    variances, directions = np.linalg.eigh(correlation - np.outer(with_sum, with_sum))
    # The largest first, as the points are the most even in their first coordinates; the smallest is 0, the sum's own.
    root = (directions * np.sqrt(np.maximum(variances, 0.0)))[:, :0:-1]
    bounds = -(ndtri(np.clip(uniform, SMALLEST, 1 - np.finfo(float).epsneg)) @ root.T) / with_sum
    return ndtr(-np.stack([bounds[:, :-1].max(axis=1), bounds.max(axis=1)]))


class Method(NamedTuple):
    """An integrand, as `one_after_another`, and the class of the randomised points that it is averaged over."""

    integrand: Callable[[np.ndarray, np.ndarray], np.ndarray]
    engine: type


METHODS = {"conditioning": Method(one_after_another, qmc.Sobol), "preintegration": Method(all_but_the_sum, qmc.Halton)}


def averages(covariance: np.ndarray, method: str, points: int, repeats: int, seed: int) -> np.ndarray:
    """Independent estimates f64[2, repeats] of P(all variables but the last are positive) and of P(all are).

    Raises ValueError, with the nearest valid name, where there is no such method.
    """
    check_name("method", method, METHODS)
    integrand, engine = METHODS[method]
    streams = np.random.default_rng(seed).spawn(repeats)
    cubes = (engine(len(covariance) - 1, rng=stream).random(points) for stream in streams)
    return np.stack([integrand(covariance, cube).mean(axis=1) for cube in cubes], axis=1)


def mean_and_error(estimates: np.ndarray) -> tuple[float, float]:
    """Mean of independent estimates f64[repeats], and its standard error."""
    return float(estimates.mean()), float(estimates.std(ddof=1) / np.sqrt(len(estimates)))


def orthant(
    covariance: np.ndarray, method: str = "conditioning", points: int = 2**15, repeats: int = 32, seed: int = 0
) -> tuple[float, float]:
    """Probability that centred Gaussian variables are all positive, and its standard error. As `proxy_posterior`."""
    return mean_and_error(averages(covariance, method, points, repeats, seed)[1])


def proxy_posterior(
    length: int, method: str = "conditioning", points: int = 2**15, repeats: int = 32, seed: int = 0
) -> tuple[float, float]:
    """P(output at the probe > 0 | outputs at all training inputs > 0), and its standard error.

    With the defaults, the error is at most about 1e-5 up to length 32, for some seconds of one core.

    Args:
      length: of the coin line, the number of training inputs.
      method: "conditioning" or "preintegration".
      points: of one randomised quasi-Monte Carlo rule, best a power of 2; above and below the line share them.
      repeats: independent randomisations, at least 2, from whose spread comes the standard error.
    Raises:
      ValueError: a method that does not exist, with the nearest that does.
    """
    inputs = coin_line(length)
    training, both = averages(arc_cosine(inputs, inputs), method, points, repeats, seed)
    return mean_and_error(both / training)


def kernel_flow(length: int, times: np.ndarray, samples: int = 10_000, seed: int = 0) -> np.ndarray:
    """P(output at the probe > 0) after training the infinitely wide network by gradient flow, f64[times].

    Training is cloning without diversity: the logistic loss averaged over the `length` training inputs, which all say
    right. Standard error at most 0.5 / sqrt(samples).

    Args:
      times: f64[times], rising, above 0.
    """
    inputs = coin_line(length)
    kernel = tangent(inputs, inputs[:-1]) / length
    root = np.linalg.cholesky(arc_cosine(inputs, inputs))
    output = np.random.default_rng(seed).standard_normal((samples, length + 1)) @ root.T

    def slope(output: np.ndarray, time: float) -> np.ndarray:
        return time * expit(-output[:, :-1]) @ kernel.T  # in the logarithm of time

    # Runge and Kutta's fourth order; small enough for the fastest direction, until whose end time is short.
    step = 0.02
    clock, found = np.log(1e-4 / np.trace(kernel)), []
    for end in np.log(times):
        while clock < end:
            h = min(step, end - clock)
            at = [np.exp(clock + share * h) for share in (0, 0.5, 1)]
            one = slope(output, at[0])
            two = slope(output + h / 2 * one, at[1])
            three = slope(output + h / 2 * two, at[1])
            four = slope(output + h * three, at[2])
            output = output + h / 6 * (one + 2 * two + 2 * three + four)
            clock += h
        found.append(np.mean(output[:, -1] > 0))
    return np.array(found)
