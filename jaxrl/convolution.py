"""Convolutions of pictures, for lanes that each have weights of their own.

Pictures are f32[channels, rows, columns, batch]: the batch comes last, so that whatever is done to a place is done to
numbers side by side. Around a picture are zeros, and a convolution or pooling of stride s leaves one place of s.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs.layout import scaled

MOST_FEATURES = 2**14
"""Numbers that convolutions may leave of a picture for the first hidden layer."""
POLAR_STEPS = 40
"""Of an iteration to an orthogonal matrix; 15 are enough unless a matrix is nearly square and ill-conditioned."""


class Eyes(nn.Module):
    """Convolutions, each with what pooling, residual blocks and normalisation are asked for; then a ReLU.

    __call__: u8[..., rows, columns, channels] -> f32[..., features], with one leading axis or none.
    The first has `channels` channels and the others twice as many. With max pooling it is the pooling that has the
    stride. A residual block adds to its input two convolutions of it, each after a ReLU; there is another ReLU after
    the last block of all, and without blocks after every convolution. Three convolutions of 16, 32 and 32 channels with
    max pooling and two blocks each are the network of IMPALA (Espeholt et al. 2018).
    Kernels begin orthogonal, of gain sqrt(2), those that end a block of gain 1; biases at 0.
    """

    channels: int
    convolutions: int
    kernel: int
    stride: int
    pooling: str
    residual_blocks: int
    layer_norm: bool

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        pictures = scaled(jnp.moveaxis(image.reshape(-1, *image.shape[-3:]), (3, 0), (0, 3)))

        def convolved(
            pictures: jax.Array, name: str, channels: int, stride: int = 1, gain: float = 2**0.5
        ) -> jax.Array:
            shape = self.kernel, self.kernel, pictures.shape[0], channels
            kernel = self.param(f"{name}_kernel", functools.partial(orthogonal, gain), shape)
            bias = self.param(f"{name}_bias", nn.initializers.zeros, (channels,))
            return convolve(pictures, kernel, stride) + bias[:, None, None, None]

        for layer in range(self.convolutions):
            channels = self.channels * (1 if layer == 0 else 2)
            pools = self.pooling == "max"
            pictures = convolved(pictures, f"{layer}", channels, 1 if pools else self.stride)
            if pools:
                pictures = pooled(pictures, self.kernel, self.stride)
            if self.layer_norm:
                pictures = nn.LayerNorm(reduction_axes=0, feature_axes=0, name=f"norm_{layer}")(pictures)
            for block in range(self.residual_blocks):
                added = convolved(jax.nn.relu(pictures), f"{layer}_{block}_begin", channels)
                pictures = pictures + convolved(jax.nn.relu(added), f"{layer}_{block}_end", channels, gain=1.0)
            if not self.residual_blocks or layer == self.convolutions - 1:
                pictures = jax.nn.relu(pictures)
        return pictures.reshape(-1, pictures.shape[-1]).T.reshape(*image.shape[:-3], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(pictures: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """f32[channels out, rows, columns, batch], from a kernel f32[size, size, channels, channels out].

    On a CPU a product with patches, one lane after the other: a lane's patches then stay in the cache, and XLA has no
    fast code for a grouped convolution, which is what vmapped weights make of a plain one. Elsewhere that is what
    it is.
    """
    return jax.lax.platform_dependent(
        pictures,
        kernel,
        cpu=_one_by_one(functools.partial(by_patches, stride=stride)),
        default=functools.partial(by_convolution, stride=stride),
    )


def _forward(pictures, kernel, stride):
    return convolve(pictures, kernel, stride), (pictures, kernel)


def _backward(stride, kept, cotangent):
    def through(way: Callable) -> Callable:
        return lambda *given: jax.vjp(functools.partial(way, stride=stride), *given[:2])[1](given[2])

    return jax.lax.platform_dependent(
        *kept, cotangent, cpu=_one_by_one(through(by_patches)), default=through(by_convolution)
    )


convolve.defvjp(_forward, _backward)


def by_patches(pictures: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """As `convolve`: the patch around every place, and one product."""
    size, _, channels, out = kernel.shape
    around = _padded(pictures, size, stride, 0.0)
    patches = [
        across
        for down in _shifted(around, 1, size, stride, pictures.shape[1])
        for across in _shifted(down, 2, size, stride, pictures.shape[2])
    ]
    shape = patches[0].shape[1:]
    product = kernel.reshape(-1, out).T @ jnp.stack(patches).reshape(size * size * channels, -1)
    return product.reshape(out, *shape)


def by_convolution(pictures: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """As `convolve`: XLA's own."""
    return jax.lax.conv_general_dilated(
        pictures, kernel, (stride, stride), "SAME", dimension_numbers=("CHWN", "HWIO", "CHWN")
    )


def pooled(pictures: jax.Array, size: int, stride: int) -> jax.Array:
    """The greatest of each window of size x size; XLA's own pooling has a gradient that adds in no fixed order."""
    found = _padded(pictures, size, stride, -jnp.inf)
    for axis in (1, 2):
        found = functools.reduce(jnp.maximum, _shifted(found, axis, size, stride, pictures.shape[axis]))
    return found


def _padded(pictures: jax.Array, size: int, stride: int, value: float) -> jax.Array:
    """With as much around it as every place that is left needs; where that is odd, more below and to the right."""
    lacks = [max((left(length, stride) - 1) * stride + size - length, 0) for length in pictures.shape[1:3]]
    around = [(lack // 2, lack - lack // 2) for lack in lacks]
    return jnp.pad(pictures, [(0, 0), *around, (0, 0)], constant_values=value)


def _shifted(padded: jax.Array, axis: int, size: int, stride: int, length: int) -> list[jax.Array]:
    """For each place of a window along an axis, what is there for all that is left of this length."""
    last = (left(length, stride) - 1) * stride + 1
    return [jax.lax.slice_in_dim(padded, first, first + last, stride, axis) for first in range(size)]


def left(length: int, stride: int) -> int:
    """How many places a stride leaves of a row or a column."""
    return -(-length // stride)


def _one_by_one(function: Callable) -> Callable:
    """The function, whose `vmap` takes one lane after the other."""
    apart = jax.custom_batching.custom_vmap(function)

    @apart.def_vmap
    def lane_by_lane(size: int, batched: list[bool], *given: jax.Array) -> tuple[Any, Any]:
        def one(lane: list[jax.Array]) -> Any:
            own = iter(lane)
            return apart(*(next(own) if there else whole for there, whole in zip(batched, given, strict=True)))

        found = jax.lax.map(one, [whole for there, whole in zip(batched, given, strict=True) if there])
        return found, jax.tree.map(lambda _: True, found)

    return apart


def orthogonal(gain: float, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """f32[..., out], whose matrix of the last axis and of all others is orthogonal times a gain, each equally likely.

    That is the orthogonal factor of a normal matrix's polar decomposition, by Newton and Schulz's iteration: products
    alone, which compile faster than a QR decomposition and can be batched.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    matrix = jax.random.normal(key, (max(rows, columns), min(rows, columns)))
    matrix = matrix / (math.sqrt(rows) + math.sqrt(columns))

    def nearer(_, matrix):
        return 1.5 * matrix - 0.5 * matrix @ (matrix.T @ matrix)

    matrix = jax.lax.fori_loop(0, POLAR_STEPS, nearer, matrix)
    return gain * (matrix if rows >= columns else matrix.T).reshape(shape)


def sizes(learner: Any, image: tuple[int, int, int]) -> tuple[int, int]:
    """Multiplications of a forward pass over one picture, and the numbers that are left of it.

    learner: has the settings that are fields of `Eyes`.
    """
    (rows, columns, before), patch, work = image, learner.kernel**2, 0
    for layer in range(learner.convolutions):
        after, was = learner.channels * (1 if layer == 0 else 2), (rows, columns)
        rows, columns = left(rows, learner.stride), left(columns, learner.stride)
        places = math.prod(was) if learner.pooling == "max" else rows * columns
        work += places * patch * before * after + 2 * learner.residual_blocks * rows * columns * patch * after**2
        before = after
    return work, rows * columns * before


def check(learner: Any, image: tuple[int, int, int]) -> None:
    """Raises ValueError, in one line, where convolutions do not fit a picture."""
    rows, columns, _ = image
    shape = f"{rows} x {columns}"
    if learner.kernel % 2 == 0:
        raise ValueError(f"learner.kernel: {learner.kernel} has no middle; expected an odd number")
    if learner.kernel > max(rows, columns):
        raise ValueError(f"learner.kernel: {learner.kernel} is more than the rows and columns of a {shape} picture")
    if learner.stride > learner.kernel:
        raise ValueError(
            f"learner.stride: {learner.stride} skips places of the picture; at most {learner.kernel}, the kernel"
        )
    most = next(n for n in itertools.count(1) if learner.stride**n >= max(rows, columns)) if learner.stride > 1 else 0
    if most and learner.convolutions > most:
        raise ValueError(
            f"learner.convolutions: {learner.convolutions} of stride {learner.stride} are too many for a {shape} "
            f"picture, of which {most} leave one place; at most {most}"
        )
    if (features := sizes(learner, image)[1]) > MOST_FEATURES:
        raise ValueError(
            f"learner.convolutions: {learner.convolutions} of stride {learner.stride} leave {features:,} numbers of a "
            f"{shape} picture; at most {MOST_FEATURES:,}: take more of them, or fewer channels"
        )
