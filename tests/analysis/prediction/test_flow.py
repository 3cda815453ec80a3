"""Latent policy gradients and the tangent kernel, worked by hand, and the derivative of their common flow.

A stage in which one row with c = (its kernel with itself) is pulled with 1 has dm/dt = c sigmoid'(m), and since
1 / sigmoid'(m) = 2 + 2 cosh m it moves from m to M in the time t for which (M + sinh M) - (m + sinh m) = c t / 2. Rows
move together, in proportion to their kernels with the row that is pulled.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis.gaussian import arc_cosine, coin_line, tangent
from analysis.intervals import interval
from analysis.prediction import Kernel, Pipeline, Pipelines, Stage, latent_policy_gradient
from analysis.prediction.flow import ascend, pull_back, slope_of_sigmoid
from analysis.prediction.tangent_kernel import Model
from tests.analysis.prediction.made import SINH_1, SINH_HALF, by_hand, drawn, played

ATLAS = Path(__file__).parents[3] / "docs" / "atlas" / "cells.parquet"
SALIENCY = np.array([[2.0, 1, 0], [1, 2, 0], [0, 0, 0]])
"""Over red, blue and the shape. The margins red - blue, red alone and blue alone so have the kernel below."""
KERNEL = np.array([[2.0, 1, -1], [1, 2, 1], [-1, 1, 2]])
HALF_A_MARGIN = 1 / (1 + np.exp(-0.5))


def test_two_stages_of_two_features_under_latent_policy_gradients():
    """Red beside blue is paid for 1 + sinh 1: c = 2, so that w_red - w_blue goes from 0 to 1, and w to (1/2, -1/2).

    Then blue alone is paid for 2 (1/2 + sinh 1/2): c = 2, so that w_blue goes from -1/2 to 1/2. Half as much is added
    to w_red, for the saliency of red and blue is half that of blue: w = (1, 1/2). Red is still preferred, with 0.622.
    """
    pipelines, length = by_hand()
    values, directions = np.linalg.eigh(SALIENCY * length)
    factor = directions * np.sqrt(np.maximum(values, 0))
    model = latent_policy_gradient.Model(factor)
    np.testing.assert_allclose(model.saliency, SALIENCY * length, atol=1e-12)
    features = latent_policy_gradient.latent(pipelines) @ factor
    np.testing.assert_allclose(factor @ ascend(pipelines, features)[0][0], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(model(pipelines), [[HALF_A_MARGIN]], atol=1e-6)


@pytest.mark.parametrize(
    ("start", "first"),
    [([0, 0, 0], 1 + SINH_1), ([0.5, 0.3, -0.25], 1 + SINH_1 - 0.5 - SINH_HALF)],
    ids=["from nothing", "from margins of its own"],
)
def test_two_stages_of_two_features_under_a_kernel(start, first):
    """The margin red - blue goes to 1, from 0 or from 1/2, and that of blue falls by half as much, to -1/2 in both.

    The second stage brings that of blue to 1/2, and takes half as much, 1/2, from the margin red - blue: 1/2 is left.
    """
    pipelines, length = by_hand(first)
    kernel = Kernel(np.ones((1, 2)), KERNEL.reshape(1, 1, 3, 1, 3), np.array(start, float).reshape(1, 1, 3))
    time = length * KERNEL.diagonal().mean()  # time is counted for a mean of 1
    np.testing.assert_allclose(Model(kernel, time)(pipelines), [[HALF_A_MARGIN]], atol=1e-6)


def test_on_the_coin_line_the_flow_meets_the_atlas():
    """Training inputs are kinds that pay alone, and the probe is one that never does; margins are log-odds of right.

    Cloning gains log sigmoid(m). Networks of width 256 at the last step of the atlas's kernel-4 are the reference.
    """
    length, samples = 4, 2000
    inputs = coin_line(length)
    begin = (
        np.random.default_rng(1).standard_normal((samples, length + 1))
        @ np.linalg.cholesky(arc_cosine(inputs, inputs)).T
    )
    paid, none = (*[1 / length] * length, 0.0), (0.0,) * (length + 1)
    stages = tuple(Stage(paid, none, share) for share in (1e-3, 1 - 1e-3))
    pipelines = Pipelines(length + 1, 1, tuple(Pipeline(str(i), "coin line", stages) for i in range(samples)))
    features = np.zeros((1, len(pipelines.differences), length + 1))
    features[0, len(pipelines.pairs) :] = np.linalg.cholesky(1600 * tangent(inputs, inputs))
    start = np.zeros((samples, 1, features.shape[1]))
    start[:, 0, len(pipelines.pairs) :] = begin
    weights, _ = ascend(pipelines, features, start, slope_of=lambda margin: expit(-margin))
    share = np.mean(start[:, 0, -1] + weights @ features[0, -1] > 0)
    cells = pd.read_parquet(ATLAS).query("sweep == 'kernel-4'")
    cell = cells[cells["step"] == cells["step"].max()].iloc[0]
    low, high = interval(cell["right"], cell["n"], "wilson")
    assert low < share < high


def test_one_step_a_stage_is_the_slope_at_its_beginning():
    """A row pulled with 1 from 0, where the sigmoid's slope is 1/4, in one step of Runge and Kutta's."""
    pipelines, length = by_hand()
    one = pipelines.restaged([pipelines[0].stages[:1]])
    share = pipelines.share[0, 0]
    slope, middle = slope_of_sigmoid, 0.25 * share / 2
    two = slope(np.array(middle))
    three = slope(share / 2 * two)
    four = slope(share * three)
    features = np.array([1.0, 0, 0]).reshape(1, 3, 1)
    expected = share / 6 * (0.25 + 2 * two + 2 * three + four)
    np.testing.assert_allclose(ascend(one, features, count=1)[0], [[expected]], rtol=1e-12)


def test_the_derivative_of_the_flow_is_that_of_its_steps():
    pipelines, random = drawn(6, 2, 2, scales=((1.0, 1.0), (2.0, 0.5))), np.random.default_rng(0)
    features = random.normal(size=(len(pipelines.salience), 10, 3))
    by_weights = random.normal(size=(6, 3))

    def value(features):
        return (ascend(pipelines, features, count=4)[0] * by_weights).sum()

    found = pull_back(pipelines, features, ascend(pipelines, features, count=4)[1], by_weights, count=4)
    for place in [(0, 0, 1), (1, 3, 0), (1, 8, 2), (0, 5, 2)]:
        nudge = np.zeros_like(features)
        nudge[place] = 1e-5
        assert found[place] == pytest.approx((value(features + nudge) - value(features - nudge)) / 2e-5, abs=1e-8)


def test_the_derivative_of_the_fit_is_that_of_its_loss():
    pipelines, random = drawn(6, 2, 2, scales=((1.0, 1.0), (2.0, 0.5))), np.random.default_rng(0)
    measured = played(pipelines, random.random((6, 6)))
    features, factor = latent_policy_gradient.latent(pipelines), np.tril(random.normal(size=(4, 4)))

    def loss(factor):
        return latent_policy_gradient.loss(pipelines, measured, features, factor, count=4)

    for place in [(0, 0), (2, 1), (3, 3)]:
        nudge = np.zeros_like(factor)
        nudge[place] = 1e-5
        numeric = (loss(factor + nudge)[0] - loss(factor - nudge)[0]) / 2e-5
        assert loss(factor)[1][place] == pytest.approx(numeric, abs=1e-8)


def test_probes_are_seen_at_their_own_scales():
    """Twice the scale of colours where preferences are measured doubles the margin between colours."""
    pipelines, _ = by_hand()
    (one,) = pipelines
    twice = Pipelines(2, 1, (Pipeline(one.name, one.family, one.stages, 2.0, 1.0),))
    model = latent_policy_gradient.Model(np.diag([2.0, 1.0, 0.5]))
    plain, doubled = (np.log(p / (1 - p)) for p in (model(pipelines), model(twice)))
    np.testing.assert_allclose(doubled, 2 * plain)
