"""Two unrelated methods give the probabilities that are known, and the same ones where none is."""

import numpy as np
import pytest

from analysis.gaussian import METHODS, arc_cosine, coin_line, kernel_flow, orthant, proxy_posterior, tangent

pytestmark = pytest.mark.filterwarnings("error")
both_methods = pytest.mark.parametrize("method", METHODS)


def equicorrelated(n: int, correlation: float) -> np.ndarray:
    return np.full((n, n), correlation) + (1 - correlation) * np.eye(n)


def assert_within_error(estimate: tuple[float, float], truth: float, at_most: float = 3e-5) -> None:
    """Five standard errors, as few repeats estimate them; 1e-12 is for rounding where the integrand is constant."""
    mean, error = estimate
    assert error <= at_most
    assert abs(mean - truth) <= 5 * error + 1e-12


def test_the_covariance_is_the_expected_product_of_two_rectified_projections():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(3, 3)), random.normal(size=(4, 3))
    hidden = random.normal(size=(10**6, 3))
    products = np.maximum(hidden @ x.T, 0)[:, :, None] * np.maximum(hidden @ y.T, 0)[:, None]
    error = products.std(axis=0) / np.sqrt(len(hidden))
    assert (np.abs(products.mean(axis=0) - arc_cosine(x, y)) < 5 * error).all()


def test_the_covariance_worked_by_hand():
    """Half the squared norm, 1 / (2 pi) at a right angle, 0 at opposite inputs, and degree 1 in each norm."""
    x = np.array([[3.0, 0.0, 4.0]])
    y = np.array([[3.0, 0.0, 4.0], [0.0, 1.0, 0.0], [-3.0, 0.0, -4.0], [0.0, 2.0, 0.0]])
    np.testing.assert_allclose(arc_cosine(x, y), [[12.5, 5 / (2 * np.pi), 0, 10 / (2 * np.pi)]], atol=1e-14)


def test_a_line_trains_along_its_length_and_probes_past_the_middle():
    expected = [[1, 0, 3], [1, 1, 3], [1, 2, 3], [1, 2, 0]]
    np.testing.assert_array_equal(coin_line(3), expected)


@both_methods
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.99])
def test_two_variables_have_sheppards_probability(method, correlation):
    covariance = np.array([[4.0, 2 * correlation], [2 * correlation, 1.0]])
    truth = 1 / 4 + np.arcsin(correlation) / (2 * np.pi)
    assert_within_error(orthant(covariance, method, points=2**13), truth)


@both_methods
@pytest.mark.parametrize("n", [3, 6])
def test_independent_variables_have_a_power_of_a_half(method, n):
    assert_within_error(orthant(np.diag(np.arange(1.0, n + 1)), method, points=2**14), 0.5**n)


@pytest.mark.slow
@both_methods
@pytest.mark.parametrize("n", [3, 17])
def test_variables_correlated_by_half_are_all_positive_once_in_n_plus_one(method, n):
    """Each is one of n values less a common one, which is the least of the n + 1 as often as any other."""
    assert_within_error(orthant(equicorrelated(n, 0.5), method), 1 / (n + 1))


def test_the_sum_must_correlate_positively_with_every_variable():
    covariance = np.array([[1.0, -0.5, -0.6], [-0.5, 1.0, 0.2], [-0.6, 0.2, 1.0]])
    with pytest.raises(ValueError, match="variable 0 does not correlate positively"):
        orthant(covariance, "preintegration", points=2, repeats=2)


@both_methods
def test_one_training_input_has_sheppards_posterior(method):
    """Training at (1, 0, 1), probe at (1, 1, 0): 60 degrees apart."""
    correlation = (np.sin(np.pi / 3) + 2 * np.pi / 3 * np.cos(np.pi / 3)) / np.pi
    assert_within_error(proxy_posterior(1, method, points=2**13), 0.5 + np.arcsin(correlation) / np.pi)


@pytest.mark.slow
@pytest.mark.parametrize("length", [4, 16])
def test_the_methods_agree_on_the_posterior_of_a_line(length):
    (one, one_error), (other, other_error) = (proxy_posterior(length, method, seed=1) for method in METHODS)
    assert max(one_error, other_error) <= 2e-5
    assert abs(one - other) <= min(1e-4, 5 * np.hypot(one_error, other_error))


def test_the_posterior_is_that_of_draws_of_the_process_kept_where_training_is_positive():
    inputs = coin_line(4)
    outputs = np.random.default_rng(0).multivariate_normal(np.zeros(5), arc_cosine(inputs, inputs), size=10**6)
    kept = outputs[(outputs[:, :-1] > 0).all(axis=1), -1] > 0
    posterior, _ = proxy_posterior(4, points=2**13)
    assert abs(kept.mean() - posterior) < 5 * kept.std() / np.sqrt(len(kept))


def test_the_same_seed_gives_the_same_estimate():
    assert proxy_posterior(4, points=64, seed=3) == proxy_posterior(4, points=64, seed=3)
    assert proxy_posterior(4, points=64, seed=3) != proxy_posterior(4, points=64, seed=4)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(ValueError, match="nearest: conditioning"):
        proxy_posterior(4, "condition")


def test_the_kernel_flow_begins_at_one_half_passes_the_posterior_and_rises_on():
    """At time 0 the process is symmetric; at no time does the output at the probe fall."""
    found = kernel_flow(4, np.array([1e-6, 1.0, 100.0, 1e4]), samples=4000)
    assert abs(found[0] - 0.5) < 0.03
    assert np.all(np.diff(found) > 0.02)
    assert found[1] < proxy_posterior(4, points=2**10)[0] < found[2]


def test_a_small_step_of_the_flow_is_the_tangent_kernels():
    """Networks of width 4000 after one small step of descent move by the kernel times the residual."""
    inputs, generator = coin_line(4), np.random.default_rng(0)
    width, step = 4000, 1e-4
    u, a = generator.standard_normal((width, 3)), generator.standard_normal(width)
    before = np.maximum(inputs @ u.T, 0.0)
    output = before @ a / np.sqrt(width)
    residual = 1 / (1 + np.exp(output[:-1])) / 4
    active = (before[:-1] > 0) * a
    new_a = a + step * before[:-1].T @ residual / np.sqrt(width)
    new_u = u + step * (active * residual[:, None]).T @ inputs[:-1] / np.sqrt(width)
    moved = np.maximum(inputs @ new_u.T, 0.0) @ new_a / np.sqrt(width) - output
    np.testing.assert_allclose(moved / step, tangent(inputs, inputs[:-1]) @ residual, rtol=0.1)
