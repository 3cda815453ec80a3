"""Convolutions: both ways the same, with their gradients; pooling, initial kernels, sizes, and what is refused."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import jaxrl
from jaxrl import convolution
from tests.envs.pictured import Pictured

LANES = 3


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2)])
def test_patches_and_the_convolution_of_xla_are_one_function_with_one_gradient(size, stride):
    pictures, kernel = drawn(0, LANES, 2, 5, 8, 4), drawn(1, LANES, size, size, 2, 3)
    weight = drawn(2, 3, convolution.left(5, stride), convolution.left(8, stride), 4)

    def every(convolve):
        def loss(pictures, kernel):
            found = convolve(pictures, kernel, stride)
            return jnp.sum(weight * jnp.tanh(found)), found

        return jax.jit(jax.vmap(jax.grad(loss, (0, 1), has_aux=True)))(pictures, kernel)

    expected = every(convolution.by_convolution)
    for way in (convolution.convolve, convolution.by_patches):
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-4), every(way), expected)
    usual = nn.Conv(3, (size, size), stride, use_bias=False).apply(
        {"params": {"kernel": kernel[0]}}, pictures[0].transpose(3, 1, 2, 0)
    )
    np.testing.assert_allclose(expected[1][0].transpose(3, 1, 2, 0), usual, atol=1e-5)


def test_one_kernel_for_the_pictures_of_all_lanes_is_no_other_than_one_each():
    pictures, kernel = drawn(0, LANES, 2, 4, 4, 2), drawn(1, 3, 3, 2, 3)
    shared = jax.vmap(lambda one: convolution.convolve(one, kernel, 1))(pictures)
    np.testing.assert_allclose(shared[1], convolution.by_convolution(pictures[1], kernel, 1), atol=1e-5)


def test_pooling_takes_the_greatest_of_each_window():
    pictures = drawn(0, 2, 5, 8, 4)
    expected = nn.max_pool(pictures.transpose(3, 1, 2, 0), (3, 3), (2, 2), "SAME").transpose(3, 1, 2, 0)
    np.testing.assert_array_equal(convolution.pooled(pictures, 3, 2), expected)


@pytest.mark.parametrize("shape", [(3, 3, 1, 20), (1, 1, 16, 16)])
def test_kernels_begin_orthogonal(shape):
    of_lanes = jax.vmap(lambda key: convolution.orthogonal(2.0, key, shape))(jax.random.split(jax.random.key(0), LANES))
    for matrix in np.asarray(of_lanes).reshape(LANES, -1, shape[-1]):
        wide = matrix.shape[0] < matrix.shape[1]
        product = matrix @ matrix.T if wide else matrix.T @ matrix
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-3)
    assert np.abs(of_lanes[0] - of_lanes[1]).max() > 0.1


@pytest.mark.parametrize(
    ("values", "work", "features"),
    [
        ({}, 7 * 7 * 54 * 16 + 4 * 4 * 144 * 32, 4 * 4 * 32),
        (
            {"pooling": "max", "convolutions": 3, "residual_blocks": 2},
            (169 * 54 + 4 * 49 * 144) * 16 + (49 * 144 + 4 * 16 * 288) * 32 + (16 * 288 + 4 * 4 * 288) * 32,
            2 * 2 * 32,
        ),
    ],
)
def test_multiplications_and_features_are_those_of_the_network(values, work, features):
    learner = jaxrl.make("ppo", {f"learner.{key}": value for key, value in values.items()})
    assert convolution.sizes(learner, (13, 13, 6)) == (work, features)
    fields = convolution.Eyes.__dataclass_fields__.keys() & type(learner).__dataclass_fields__.keys()
    eyes = convolution.Eyes(**{name: getattr(learner, name) for name in fields}, layer_norm=True)
    seen = jax.eval_shape(
        lambda key: eyes.init_with_output(key, jnp.zeros((5, 13, 13, 6), jnp.uint8)), jax.random.key(0)
    )
    assert seen[0].shape == (5, features)


@pytest.mark.parametrize(
    ("world", "values", "said"),
    [
        (envs.CoinRun(), {}, "learner.network: convolutional sees pictures, and coin-run shows none; expected mlp"),
        (Pictured(), {"kernel": 4}, "learner.kernel: 4 has no middle; expected an odd number"),
        (Pictured(), {"kernel": 9}, "learner.kernel: 9 is more than the rows and columns of a 3 x 7 picture"),
        (Pictured(), {"stride": 4}, "learner.stride: 4 skips places of the picture; at most 3, the kernel"),
        (
            Pictured(),
            {"convolutions": 4},
            "learner.convolutions: 4 of stride 2 are too many for a 3 x 7 picture, of which 3 leave one place; at most "
            "3",
        ),
        (
            Pictured(),
            {"channels": 256, "convolutions": 3, "stride": 1},
            "learner.convolutions: 3 of stride 1 leave 10,752 numbers of a 3 x 7 picture; at most 10,000: take more of "
            "them, or fewer channels",
        ),
    ],
)
def test_what_does_not_fit_a_picture_is_refused_in_one_line(world, values, said, monkeypatch):
    monkeypatch.setattr(convolution, "MOST_FEATURES", 10_000)
    learner = jaxrl.make("ppo", {"learner.network": "convolutional"} | {f"learner.{k}": v for k, v in values.items()})
    with pytest.raises(ValueError) as error:
        jaxrl.Program(world, learner, 1)
    assert str(error.value) == said
