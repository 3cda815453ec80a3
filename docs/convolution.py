"""Times convolutions and their gradients with vmapped weights: `python docs/convolution.py`, for docs/networks.md.

64 lanes of 512 pictures of 13 x 13 x 6, and of 7 x 7 x 16, in a loop as in training, where XLA has slower code for
convolutions than outside; processor seconds of a pass over all lanes.
"""

import functools
import time

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl import convolution

LANES, PICTURES, PASSES = 64, 512, 2
LAYERS = ((13, 6, 16), (7, 16, 32))
"""Rows and columns, channels, and channels out; of stride 2."""


def conv(pictures, kernel):
    module = nn.Conv(kernel.shape[-1], kernel.shape[:2], 2, use_bias=False)
    return module.apply({"params": {"kernel": kernel}}, pictures)


WAYS = {
    "vmap of nn.Conv": conv,
    "patches, one batched product": functools.partial(convolution.by_patches, stride=2),
    "patches, lane by lane": functools.partial(convolution.convolve, stride=2),
}


def seconds(step, *given):
    """Of a pass over all lanes."""

    def passes(*given):
        return jax.lax.fori_loop(0, PASSES, lambda _, carry: step(*carry), given)

    compiled = jax.jit(passes).lower(*given).compile()
    begin = time.process_time()
    jax.block_until_ready(compiled(*given))
    return (time.process_time() - begin) / PASSES


for side, channels, out in LAYERS:
    pictures = jax.random.normal(jax.random.key(0), (LANES, PICTURES, side, side, channels))
    kernel = jax.random.normal(jax.random.key(1), (LANES, 3, 3, channels, out)) / 10
    work = 2 * LANES * PICTURES * convolution.left(side, 2) ** 2 * 9 * channels * out / 1e9
    for name, way in WAYS.items():
        seen = pictures if way is conv else jnp.asarray(pictures.transpose(0, 4, 2, 3, 1))

        def forward(pictures, kernel, way=way):
            found = jax.vmap(way)(pictures, kernel)
            return pictures, kernel + 1e-9 * jnp.sum(found)  # each pass waits for the one before

        def learn(pictures, kernel, way=way, first=channels == LAYERS[0][1]):
            loss = lambda kernel, pictures: jnp.sum(jax.nn.relu(way(pictures, kernel)) ** 2)  # noqa: E731
            if first:  # nothing lies before a picture
                return pictures, kernel - 1e-9 * jax.vmap(jax.grad(loss))(kernel, pictures)
            slopes = jax.vmap(jax.grad(loss, (0, 1)))(kernel, pictures)
            return pictures - 1e-9 * slopes[1], kernel - 1e-9 * slopes[0]

        ahead, whole = seconds(forward, seen, kernel), seconds(learn, seen, kernel)
        gflop = work * (2 if channels == LAYERS[0][1] else 3)
        print(
            f"| {side} x {side} x {channels} to {out} | {name} | {ahead:.2f} s | {work / ahead:.2g} | {whole:.2f} s "
            f"| {gflop / whole:.2g} |",
            flush=True,
        )
