"""Each predictor recovers what its own model made, from pipelines that it was not fitted on; and where several are
fitted, the one whose model made the data wins."""

import numpy as np
import pytest
from scipy.special import expit

from analysis.prediction import PREDICTORS, Kernel, Pipeline, Pipelines, Stage, fit, judged, with_kernel
from analysis.prediction import latent_policy_gradient as lpg
from analysis.prediction import sequence as sequences
from analysis.prediction.order_free import summed
from analysis.prediction.tangent_kernel import Model
from tests.analysis.prediction.made import drawn, of, played

SALIENT = np.diag([9.0, 9.0, 3.0, 3.0])
"""The factor of a saliency with which colours are learnt first."""


@pytest.fixture(scope="module")
def pipelines():
    return drawn(72, 2, 2, most_stages=2)


@pytest.fixture(scope="module")
def split(pipelines):
    """Places of those that are fitted on, and of others: no pipeline is among both, under whatever name."""
    identities = [one.stages for one in pipelines]
    told = np.array([identities.index(one) % 3 > 0 for one in identities])
    return np.flatnonzero(told), np.flatnonzero(~told)


def score(name, pipelines, probability, split, **options):
    """The divergence on pipelines that it was not fitted on, a mean, and that of the truth."""
    measured = played(pipelines, probability, seeds=32)
    told, asked = split
    fitted = fit(name, pipelines.only(told), measured, **options)
    truth = judged(type(fitted)("truth", lambda _: probability[asked], {}), pipelines.only(asked), measured)
    return judged(fitted, pipelines.only(asked), measured).mean(), truth.mean()


def test_latent_policy_gradients_are_recovered_and_beat_what_forgets_and_what_has_no_order(pipelines, split):
    probability = lpg.Model(SALIENT)(pipelines)
    names = ("latent-policy-gradient", "last-stage", "order-free", "half")
    found = {name: score(name, pipelines, probability, split) for name in names}
    own, truth = found["latent-policy-gradient"]
    assert own < 1.3 * truth
    assert all(own < 0.5 * found[name][0] for name in names[1:]), found


def test_the_saliency_is_that_which_made_the_data(pipelines):
    """Differences of colours and of shapes alone matter to a choice; red and green so by S_rr + S_gg - 2 S_rg."""
    model = lpg.Model(SALIENT)
    fitted = lpg.fit(pipelines, played(pipelines, model(pipelines), seeds=400))
    for difference in ([1, -1, 0, 0], [0, 0, 1, -1]):
        d = np.array(difference)
        assert d @ fitted.saliency @ d == pytest.approx(d @ model.saliency @ d, rel=0.2)


def test_what_the_last_stage_alone_decides_is_recovered_by_the_last_stage(pipelines, split):
    last = pipelines.restaged([one.stages[-1:] for one in pipelines])
    probability = lpg.Model(SALIENT)(last)
    found = {name: score(name, pipelines, probability, split) for name in ("last-stage", "order-free")}
    own, truth = found["last-stage"]
    assert own < 1.3 * truth and own < 0.5 * found["order-free"][0]


def test_what_has_no_order_is_recovered_without_order(pipelines, split):
    probability = lpg.Model(SALIENT)(summed(pipelines), count=1)
    found = {name: score(name, pipelines, probability, split) for name in ("order-free", "last-stage")}
    own, truth = found["order-free"]
    assert own < 1.3 * truth and own < 0.5 * found["last-stage"][0]


def test_logistic_regression_recovers_weights_that_are_linear_in_counts(pipelines, split):
    counts = np.einsum("ps,psf->pf", pipelines.share, pipelines.described)
    coefficients = np.random.default_rng(1).normal(size=(4, counts.shape[1]))
    probability = expit(counts @ coefficients.T @ pipelines.differences[:6].T)
    own, truth = score("logistic", pipelines, probability, split)
    assert own < 1.5 * truth


def test_the_nearest_pipeline_is_the_one_that_ends_alike():
    """Of three that were measured, one ends as the one asked about does; two that are equally near are averaged."""
    red, green = (of(2, 1, colour=colour) for colour in (0, 1))
    ends = {"red": (Stage(red, green, 0.5),), "green": (Stage(green, red, 0.5),), "alone": (Stage(red, (0.0, 0), 1.0),)}
    known = Pipelines(2, 1, tuple(Pipeline(name, "x", stages) for name, stages in ends.items()))
    preference = np.array([[0.9], [0.2], [0.6]])
    model = PREDICTORS["nearest"](known, played(known, preference, seeds=1, episodes=1))

    seen = played(known, preference, seeds=1, episodes=1).preference
    asked = Pipelines(2, 1, (Pipeline("asked", "x", (Stage(red, red, 0.01), *ends["green"])),))
    np.testing.assert_allclose(model(asked), seen[1:2])
    between = Pipelines(2, 1, (Pipeline("between", "x", (Stage((0.5, 0.5), (0.5, 0.5), 0.5),)),))
    np.testing.assert_allclose(model(between), seen[:2].mean(axis=0, keepdims=True))


def test_time_is_recovered_and_with_it_what_each_network_would_do():
    pipelines = drawn(24, 2, 2, most_stages=2)
    random = np.random.default_rng(0)
    roots = random.normal(size=(3, 10, 6)) * 0.2 + pipelines.differences @ np.diag([2.0, 2, 1, 1]) @ np.eye(4, 6)
    kernel = Kernel(
        np.ones((1, 2)), np.einsum("nrk,nsk->nrs", roots, roots)[:, None, :, None], 0.1 * random.normal(size=(3, 1, 10))
    )
    truth = Model(kernel, 20.0)
    model = with_kernel(kernel)(pipelines, played(pipelines, truth(pipelines), seeds=200))
    assert model.time == pytest.approx(20, rel=0.15)
    assert model.of_networks(pipelines).shape == (3, 24, 6)
    np.testing.assert_allclose(model(pipelines), truth(pipelines), atol=0.01)


def test_a_kernel_is_of_the_kinds_and_scales_that_are_asked_about():
    kernel = Kernel(np.ones((1, 2)), np.ones((1, 1, 10, 1, 10)), np.zeros((1, 1, 10)))
    with pytest.raises(ValueError, match="not computed for scales of colour 2 and shape 1"):
        Model(kernel, 1.0)(drawn(1, 2, 2, scales=((2.0, 1.0),)))
    with pytest.raises(ValueError, match="kernel: 10 rows; expected 21"):
        Model(kernel, 1.0)(drawn(1, 2, 3))


def test_the_recurrent_unit_learns_what_order_does(pipelines, split):
    probability = lpg.Model(SALIENT)(pipelines)
    found = {name: score(name, pipelines, probability, split)[0] for name in ("sequence", "logistic", "half")}
    assert found["sequence"] < 0.5 * found["half"]


def test_the_derivative_of_the_recurrent_unit_is_that_of_its_loss():
    pipelines, random = drawn(5, 2, 2, scales=((1.0, 1.0), (2.0, 0.5))), np.random.default_rng(0)
    measured, inputs = played(pipelines, random.random((5, 6))), sequences._inputs(pipelines)
    into = inputs.shape[-1] + sequences.HIDDEN + 1
    shapes = [(into, sequences.HIDDEN)] * 3 + [(sequences.HIDDEN, 4)]
    weights = sequences.Weights(*(0.3 * random.normal(size=shape) for shape in shapes))
    slopes = sequences.loss(pipelines, measured, inputs, weights)[1]
    for name, slope in slopes._asdict().items():
        for place in [(0, 3), (3, 1), (len(slope) - 1, 2)]:
            nudge = np.zeros_like(slope)
            nudge[place] = 1e-5
            above, below = (
                sequences.loss(
                    pipelines, measured, inputs, weights._replace(**{name: getattr(weights, name) + sign * nudge})
                )
                for sign in (1, -1)
            )
            assert slope[place] == pytest.approx((above[0] - below[0]) / 2e-5, abs=1e-8), (name, place)


def test_a_predictor_is_not_judged_on_what_it_was_fitted_on_under_whatever_name(pipelines):
    measured = played(pipelines, np.full((72, 6), 0.5))
    fitted = fit("half", pipelines.only(np.arange(3)), measured)
    with pytest.raises(ValueError, match="^half: was fitted on pipeline made-1, and cannot be judged on it$"):
        judged(fitted, pipelines.only(np.array([1])), measured)
    again = Pipelines(2, 2, (pipelines[1]._replace(name="other", family="other"),))
    with pytest.raises(ValueError, match="^half: was fitted on pipeline other, as made-1, and cannot be judged on it$"):
        fitted.predict(again)


def test_a_predictor_that_there_is_not_and_a_pipeline_that_was_not_measured_are_refused(pipelines):
    measured = played(pipelines, np.full((72, 6), 0.5))
    with pytest.raises(ValueError, match="no predictor named 'logistics'; nearest: logistic"):
        fit("logistics", pipelines, measured)
    with pytest.raises(ValueError, match="pipeline made-0: has no measurements"):
        fit("half", pipelines, measured.only(np.arange(1, 72)))
    with pytest.raises(ValueError, match="measured: 6 pairs; 2 x 3 kinds have 15"):
        fit("half", drawn(2), measured)
