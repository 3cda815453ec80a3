"""Chains of Langevin dynamics around a point of weights, and the learning coefficient that their losses give."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree


class Chain(NamedTuple):
    """What chains sample, exp(-inverse_temperature * loss - localisation / 2 * squared distance), and how."""

    inverse_temperature: float = 1000.0
    """n * beta in the literature. A direction of weights counts where moving along it by a standard deviation of the
    localisation, 1 / sqrt(localisation), costs more than 1 / inverse_temperature of the loss."""
    localisation: float = 30.0
    step: float = 3e-3
    descent: int = 40
    """Steps of gradient descent before the chains begin."""
    steps: int = 60
    burn: int = 20
    """Steps at the beginning that do not count."""
    chains: int = 2


class Sampled(NamedTuple):
    """What a chain went through, f32[steps] each."""

    loss: jax.Array
    acceptance: jax.Array
    """The probability at which Metropolis and Hastings would accept the step that follows; near 1 where steps are small
    enough for the chain to sample what it should."""


class Energy:
    """What chains around some weights sample: its value and gradient at weights f32[n], with the loss."""

    def __init__(self, loss: Callable[[Any], jax.Array], around: Any, chain: Chain):
        self.around, unravel = ravel_pytree(around)
        self.chain, self.slope = chain, jax.value_and_grad(lambda weights: loss(unravel(weights)))

    def __call__(self, weights: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        loss, gradient = self.slope(weights)
        away, held = weights - self.around, self.chain.localisation
        energy = self.chain.inverse_temperature * loss + held / 2 * jnp.sum(away**2)
        return loss, energy, self.chain.inverse_temperature * gradient + held * away

    def lowest(self) -> jax.Array:
        """f32[n], where gradient descent leads from the weights that the energy is around, with the chains' step."""

        def descend(_, weights):
            return weights - self.chain.step / 2 * self(weights)[2]

        return jax.lax.fori_loop(0, self.chain.descent, descend, self.around)


def langevin(energy: Energy, start: jax.Array, key: jax.Array) -> Sampled:
    """One chain from weights f32[n], to be vmapped: w <- w - step / 2 * gradient + sqrt(step) * normal noise.

    Its steps are all taken: Metropolis and Hastings would hold it where it begins, which is not where most of the
    mass is. What their size adds to the loss, `acceptance` tells.
    """
    step = energy.chain.step

    def move(carry, key):
        weights, (loss, here, gradient) = carry
        noise = jnp.sqrt(step) * jax.random.normal(key, weights.shape)
        after = weights - step / 2 * gradient + noise
        there = energy(after)
        back = weights - after + step / 2 * there[2]
        ratio = here - there[1] + (jnp.sum(noise**2) - jnp.sum(back**2)) / (2 * step)
        return (after, there), Sampled(loss, jnp.exp(jnp.minimum(ratio, 0.0)))

    return jax.lax.scan(move, (start, energy(start)), jax.random.split(key, energy.chain.steps))[1]


def coefficient(loss: Callable[[Any], jax.Array], around: Any, key: jax.Array, chain: Chain) -> dict[str, jax.Array]:
    """The local learning coefficient, inverse_temperature * (mean loss of chains - loss where they begin); f32[] each.

    Lau, Furman, Wang, Murfet and Wei 2023, arXiv 2308.12108, definition 1, with n * beta chosen. They begin at the
    minimum of the energy, where the localisation balances what is left of the loss's slope: at weights that are no
    minimum of the loss the coefficient would be that of the slope, and negative.
    """
    energy = Energy(loss, around, chain)
    start = energy.lowest()
    keys = jax.random.split(key, chain.chains)
    sampled = jax.vmap(lambda key: langevin(energy, start, key))(keys)
    kept = chain.inverse_temperature * (sampled.loss[:, chain.burn :] - sampled.loss[:, :1])
    each = jnp.mean(kept, axis=1)
    half = kept.shape[1] // 2
    return {
        "coefficient": jnp.mean(each),
        "error": jnp.std(each, ddof=1) / jnp.sqrt(float(chain.chains)),
        "drift": jnp.mean(kept[:, half:]) - jnp.mean(kept[:, :half]),
        "acceptance": jnp.mean(sampled.acceptance[:, chain.burn :]),
        "loss": loss(around),
        "descended": sampled.loss[0, 0],
    }
