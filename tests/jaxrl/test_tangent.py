"""Tangent kernels are what a gradient step does, and those of wide networks are what theory says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.gaussian import arc_cosine
from envs import HIDDEN, Kinds
from jaxrl import tangent
from jaxrl.networks import ActorCritic
from jaxrl.ppo import PPO, Params
from jaxrl.schedules import Settings

WORLD = Kinds(height=4, width=4, colours=2, shapes=2)
KEY, SCALES = jax.random.key(3), np.array([[1.0, 1.0], [3.0, 1.0]])
NARROW = PPO(width=8, depth=1, n_envs=4, n_steps=4, n_minibatches=1, total_steps=16)


@pytest.fixture(scope="module")
def shown():
    return tangent.choices(WORLD)


@pytest.fixture(scope="module")
def kernels():
    """Of one network, with inputs as they are and with those for colours times 3."""
    return tangent.empirical(WORLD, NARROW, KEY[None], SCALES)


def test_choices_are_all_pairs_on_the_same_layouts_and_each_kind_alone(shown):
    """Four kinds make six pairs. On every layout the moves to one thing count as much as those to the other."""
    compared = WORLD.comparisons()
    assert shown.moves.shape == (10, compared.episodes, 4)
    np.testing.assert_allclose(shown.moves.sum(axis=-1), 0, atol=1e-6)
    assert (shown.moves[:6] == shown.moves[0]).all() and (shown.moves[6:] == shown.moves[6]).all()
    offsets = shown.observation.vector.reshape(10, compared.episodes, 4, 14)  # red, green, shape 1, shape 2
    np.testing.assert_array_equal(offsets.sum(axis=-1)[0, 0], [4, 0, 2, 2])  # two red things, of different shapes
    np.testing.assert_array_equal(offsets.sum(axis=-1)[7, 0], [2, 0, 0, 2])  # a red thing of shape 2, alone


def test_moves_lead_to_the_first_thing_and_from_the_second(shown):
    """On each layout an action counts by how often it begins a shortest way: here by the distance that it leaves."""
    compared = WORLD.comparisons()
    for layout in range(compared.episodes):
        start, cells = compared.levels.start[layout], compared.levels.cells[layout]
        (row, column), things = divmod(start, 4), [divmod(cell, 4) for cell in cells if cell != HIDDEN]
        after = np.clip(np.array([[row - 1, column], [row + 1, column], [row, column - 1], [row, column + 1]]), 0, 3)
        best = [np.abs(after - thing).sum(axis=1) for thing in things]
        first, second = ((left == left.min()) / (left == left.min()).sum() for left in best)
        np.testing.assert_allclose(shown.moves[0, layout], first - second)


def test_the_kernel_is_what_a_small_step_on_one_choice_does_to_the_others(shown, kernels):
    (kernel,), (start,) = kernels
    kernel, variables = kernel[0, :, 0], jax.jit(lambda key: tangent.initial(WORLD, NARROW, key))(KEY)
    of = jax.jit(lambda variables: tangent.margins(WORLD, NARROW, variables, jax.tree.map(jnp.asarray, shown)))
    np.testing.assert_allclose(of(variables), start[0], atol=1e-6)
    step = 0.02
    gradient = jax.jit(jax.grad(lambda variables: of(variables)[4]))(variables)
    after = jax.tree.map(lambda leaf, slope: leaf + step * slope, variables, gradient)
    before = jax.tree.map(lambda leaf, slope: leaf - step * slope, variables, gradient)
    np.testing.assert_allclose((of(after) - of(before)) / (2 * step), kernel[4], rtol=1e-3, atol=1e-4)


def test_networks_begin_as_lanes_do():
    settings = Settings(WORLD.params_of({}), Params(), {})
    lane = jax.jit(lambda key: NARROW.init(WORLD, key, settings)[0].variables)
    here = jax.jit(lambda key: tangent.initial(WORLD, NARROW, key))
    jax.tree.map(np.testing.assert_array_equal, lane(KEY), here(KEY))


def test_scales_are_sets_of_rows_of_their_own(kernels):
    kernel, start = kernels
    assert kernel.shape == (1, 2, 10, 2, 10) and start.shape == (1, 2, 10)
    colours, shapes = kernel[0, 1, 1, 1, 1], kernel[0, 1, 0, 1, 0]  # red against green, and shape 1 against shape 2
    assert colours > 2 * shapes
    wide, _ = tangent.infinite(WORLD, NARROW, SCALES)
    assert wide[0, 1, 1, 1, 1] > 2 * wide[0, 1, 0, 1, 0]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_mean_kernel_of_networks_is_that_of_infinite_width(activation):
    learner = PPO(width=64, activation=activation)
    found, _ = tangent.empirical(WORLD, learner, jax.random.split(KEY, 16))
    wide, _ = tangent.infinite(WORLD, learner)
    error = np.abs(found.mean(axis=0) - wide[0]).max() / wide.max()
    assert error < {"tanh": 0.03, "relu": 0.1}[activation]


def test_one_layer_of_rectifiers_has_the_kernel_that_is_known():
    """Inputs of norms 2 and 1 at angle a, w hidden units: their weights have the variance v = 2 / w.

    The head's gradients are the activations: w v E[relu relu], and 1 for the bias. The hidden layer's are
    gain^2 (x.y + 1) (pi - a) / (2 pi).
    """
    network = ActorCritic(4, (), 2, width=32, depth=1, activation="relu", policy_gain=0.5)
    curve = tangent.tangent_curve(network, 2, 4.0, 1.0)
    for place in (64, 128, 200):
        correlation = tangent.CORRELATIONS[place]
        angle = np.arccos(correlation)
        x, y = np.array([[2.0, 0]]), np.array([[np.cos(angle), np.sin(angle)]])
        head = 2 * arc_cosine(x, y)[0, 0] + 1
        hidden = 0.25 * (2 * correlation + 1) * (np.pi - angle) / (2 * np.pi)
        assert curve[place] == pytest.approx(head + hidden)


@pytest.mark.parametrize("further", [{"memory": "gru"}, {"previous_reward": True}])
def test_other_networks_have_no_kernel_of_infinite_width(further):
    with pytest.raises(ValueError, match="learner.network: the kernel of infinite width is that of the MLP"):
        tangent.infinite(WORLD, PPO(**further))
