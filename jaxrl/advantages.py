"""Generalised advantage estimation."""

import jax
import jax.numpy as jnp

from jaxrl.rollout import Steps


def advantages(
    reward: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    discount: jax.Array | float,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """Generalised advantage estimates, with time limits bootstrapped through.

    Args:
      reward, value, next_value: f32[steps, ...]. `next_value[t]` is the value of the observation that step t led to,
        the final one where the episode ended there, not the one after the reset.
      terminated: bool[steps, ...], the world ended the episode: nothing follows.
      done: bool[steps, ...], the episode ended for any reason: the trace stops.
      discount, gae_lambda: f32[].
    Returns:
      f32[steps, ...].

    Schulman et al. 2016, equation 16; the treatment of time limits is Pardo et al. 2018.
    """
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    decay = discount * gae_lambda * jnp.where(done, 0.0, 1.0)

    def back(carry, step):
        delta, decay = step
        carry = delta + decay * carry
        return carry, carry

    return jax.lax.scan(back, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)[1]


def of_rollout(steps: Steps, discount: jax.Array | float, gae_lambda: jax.Array | float) -> jax.Array:
    """`advantages` f32[steps, envs] of what was played, with the values that the policy gave then."""
    done, value, next_value = steps.done, steps.value, steps.next_value
    return advantages(steps.reward, steps.terminated, done, value, next_value, discount, gae_lambda)
