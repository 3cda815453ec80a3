"""Rewards divided by the running standard deviation of their discounted sum, as libraries of PPO do."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.rollout import Steps

DISCOUNT = 0.99
"""Of the sum whose deviation is taken; that of stable-baselines3 and of gymnasium, whatever the learner's own."""
LARGEST = 10.0
"""What a divided reward is clipped to, either way."""


class Scale(NamedTuple):
    """What has been seen of a lane's rewards."""

    sums: jax.Array
    """f32[envs], the discounted sum of each environment's rewards since its episode began."""
    seen: jax.Array
    """f32[], how many sums there have been, and their mean and variance."""
    mean: jax.Array
    variance: jax.Array


def begun(n_envs: int) -> Scale:
    """Nothing seen: the variance counts as 1, by a weight of 1e-4."""
    return Scale(jnp.zeros(n_envs), jnp.full((), 1e-4), jnp.zeros(()), jnp.ones(()))


def scaled(scale: Scale, steps: Steps) -> tuple[Scale, Steps]:
    """The steps, each reward divided by the deviation as it stood after that step, and the scale afterwards.

    Engstrom et al. 2020, "reward scaling"; the running moments are joined as in Chan et al. 1983.
    """

    def step(scale: Scale, now: Any) -> tuple[Scale, jax.Array]:
        reward, done = now
        sums = scale.sums * DISCOUNT + reward
        n = jnp.float32(len(sums))
        seen, delta = scale.seen + n, sums.mean() - scale.mean
        squares = scale.variance * scale.seen + sums.var() * n + delta**2 * scale.seen * n / seen
        mean, variance = scale.mean + delta * n / seen, squares / seen
        divided = jnp.clip(reward / jnp.sqrt(variance + 1e-8), -LARGEST, LARGEST)
        return Scale(jnp.where(done, 0.0, sums), seen, mean, variance), divided

    scale, reward = jax.lax.scan(step, scale, (steps.reward, steps.done))
    return scale, steps._replace(reward=reward)
