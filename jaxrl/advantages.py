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


def returns_to_go(reward: jax.Array, done: jax.Array, discount: jax.Array | float) -> jax.Array:
    """Discounted sums of rewards f32[steps, ...] from each step to the end of its episode, or of the rollout."""
    nothing = jnp.zeros_like(reward)
    return advantages(reward, done, done, nothing, nothing, discount, 1.0)


def of_rollout(
    steps: Steps, discount: jax.Array | float, gae_lambda: jax.Array | float, horizon: jax.Array | None = None
) -> jax.Array:
    """`advantages` f32[steps, envs] of what was played, with the values that the policy gave then.

    horizon: i32[], of a learner that sums up so many rewards from each step on; then their discounted sum less the
      value. The end of an episode, by the time limit too, and that of the rollout cut the sum short, without bootstrap.
    """
    done, value, next_value = steps.done, steps.value, steps.next_value
    if horizon is None:
        return advantages(steps.reward, steps.terminated, done, value, next_value, discount, gae_lambda)
    to_go = returns_to_go(steps.reward, done, discount)
    step = jnp.arange(len(done))[:, None]
    last = jax.lax.cummin(jnp.where(done, step, len(done)), axis=0, reverse=True)
    window = jnp.minimum(horizon, len(done))
    beyond = jnp.roll(to_go, -window, axis=0) * jnp.power(discount, window.astype(jnp.float32))
    return to_go - jnp.where(step + window <= jnp.minimum(last, len(done) - 1), beyond, 0.0) - value
