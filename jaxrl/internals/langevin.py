"""Chains of Langevin dynamics around a point of weights, and the learning coefficient that their losses give."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

ACCEPTANCE = 0.9
"""What the size of steps is led to: the mean probability at which a step is accepted."""
RATE = 0.05
"""By how much a step of the burn-in moves the logarithm of the size, for each unit of acceptance."""


class Chain(NamedTuple):
    """What chains sample, exp(-inverse_temperature * loss - localisation / 2 * squared distance), and how."""

    inverse_temperature: float = 1000.0
    """n * beta in the literature. A direction of weights counts where moving along it by a standard deviation of the
    localisation, 1 / sqrt(localisation), raises the loss by more than about 1 / inverse_temperature."""
    localisation: float = 30.0
    step: float = 1e-2
    """The first size of a step, led in the burn-in towards that at which `ACCEPTANCE` of the steps are accepted."""
    descent: int = 60
    """Steps of gradient descent before the chains begin."""
    burn: int = 40
    """Steps at the beginning that do not count, and by which the size of the others is chosen."""
    steps: int = 80
    """Steps that count."""
    chains: int = 2


class Point(NamedTuple):
    """Weights f32[n], with their loss and energy f32[], and the gradient of the energy f32[n]."""

    weights: jax.Array
    loss: jax.Array
    energy: jax.Array
    gradient: jax.Array


class Energy:
    """What chains around some weights sample: at weights f32[n], a `Point`."""

    def __init__(self, loss: Callable[[Any], jax.Array], around: Any, chain: Chain):
        self.around, unravel = ravel_pytree(around)
        self.chain, self.slope = chain, jax.value_and_grad(lambda weights: loss(unravel(weights)))

    def __call__(self, weights: jax.Array) -> Point:
        loss, gradient = self.slope(weights)
        away, held, scale = weights - self.around, self.chain.localisation, self.chain.inverse_temperature
        return Point(weights, loss, scale * loss + held / 2 * jnp.sum(away**2), scale * gradient + held * away)

    def lowest(self) -> tuple[Point, jax.Array]:
        """Where gradient descent with momentum leads, and the loss where it begins, f32[].

        A step that would raise the energy is not taken, and halves the rate.
        """
        nothing = jnp.zeros_like(self.around)

        def descend(step, carry):
            point, speed, rate, begin = carry
            faster = 0.9 * speed - rate * point.gradient
            after = self(point.weights + faster)
            lower = after.energy < point.energy
            kept = jax.tree.map(lambda new, old: jnp.where(lower, new, old), (after, faster), (point, nothing))
            return *kept, rate * jnp.where(lower, 1.1, 0.5), jnp.where(step == 0, after.loss, begin)

        far = Point(self.around, jnp.float32(jnp.nan), jnp.float32(jnp.inf), nothing)
        carry = far, nothing, jnp.float32(self.chain.step**2), far.loss
        found = jax.lax.fori_loop(0, self.chain.descent + 1, descend, carry)
        return found[0], found[-1]


def langevin(energy: Energy, start: Point, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One chain, to be vmapped: the loss and the acceptance of each step that counts, f32[steps], and their size.

    Underdamped Langevin dynamics, split as BAOAB (Leimkuhler and Matthews 2013, arXiv 1203.5428), each step with the
    test of Metropolis and Hastings, and speed turned round where it fails (Horowitz 1991). The friction is critical
    for directions that the localisation alone holds. Where curvatures differ k-fold, such a chain takes about sqrt(k)
    steps to forget where it was, and one without speed (SGLD) about k.
    """
    chain = energy.chain
    friction, longest = 2 * chain.localisation**0.5, 0.5 / chain.localisation**0.5

    def kinetic(speed):
        return jnp.sum(speed**2) / 2

    def move(carry, given):
        point, speed, size = carry
        key, burning = given
        noise, test = jax.random.split(key)
        half = speed - size / 2 * point.gradient
        keeps = jnp.exp(-friction * size)
        turned = keeps * half + jnp.sqrt(1 - keeps**2) * jax.random.normal(noise, half.shape)
        after = energy(point.weights + size / 2 * (half + turned))
        faster = turned - size / 2 * after.gradient
        gained = after.energy - point.energy + kinetic(faster) - kinetic(turned) + kinetic(half) - kinetic(speed)
        acceptance = jnp.where(jnp.isnan(gained), 0.0, jnp.exp(jnp.minimum(-gained, 0.0)))
        taken = jax.random.uniform(test) < acceptance
        kept = jax.tree.map(lambda new, old: jnp.where(taken, new, old), (after, faster), (point, -speed))
        led = jnp.minimum(size * jnp.exp(RATE * (acceptance - ACCEPTANCE)), longest)
        size = jnp.where(burning, led, size)
        return (*kept, size), (kept[0].loss, acceptance, size)

    first, rest = jax.random.split(key)
    count = chain.burn + chain.steps
    carry = start, jax.random.normal(first, start.weights.shape), jnp.float32(chain.step)
    steps = jax.random.split(rest, count), jnp.arange(count) < chain.burn
    loss, acceptance, size = jax.lax.scan(move, carry, steps)[1]
    return loss[chain.burn :], acceptance[chain.burn :], size[-1]


def coefficient(loss: Callable[[Any], jax.Array], around: Any, key: jax.Array, chain: Chain) -> dict[str, jax.Array]:
    """The local learning coefficient, inverse_temperature * (mean loss of chains - loss where they begin); f32[] each.

    Lau, Furman, Wang, Murfet and Wei 2023, arXiv 2308.12108, definition 1, with n * beta chosen. They begin at the
    minimum of the energy, where the localisation balances what is left of the loss's slope: at weights that are no
    minimum of the loss the coefficient would be that of the slope, and negative. Chains that are too short to forget it
    give too low a coefficient, which `error`, their spread, does not show, and `drift` does. NaN where the loss is.
    """
    energy = Energy(loss, around, chain)
    start, begin = energy.lowest()
    sampled, acceptance, size = jax.vmap(lambda key: langevin(energy, start, key))(jax.random.split(key, chain.chains))
    kept = chain.inverse_temperature * (sampled - start.loss)
    half = kept.shape[1] // 2
    return {
        "coefficient": jnp.mean(kept),
        "error": jnp.std(jnp.mean(kept, axis=1), ddof=1) / jnp.sqrt(float(chain.chains)),
        "drift": jnp.mean(kept[:, half:]) - jnp.mean(kept[:, :half]),
        "acceptance": jnp.mean(acceptance),
        "step": jnp.mean(size),
        "loss": begin,
        "descended": start.loss,
    }
