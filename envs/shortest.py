"""Shortest ways on a level that is written out, to be traced; one level at a time."""

import jax
import jax.numpy as jnp


def action_costs(next_state: jax.Array, hit: jax.Array, terminated: jax.Array) -> jax.Array:
    """The fewest steps until an event fires if an action is taken first; inf where it cannot. Value iteration.

    Args:
      next_state, terminated: i32[S, A] and bool[S, A], as from `World.tabular`; the end of an episode is not crossed.
      hit: bool[S, A], where the event fires.
    Returns:
      f32[S, A]; the least over actions is the distance of a state.
    """

    def cost(steps):
        return jnp.where(hit, 1.0, 1.0 + jnp.where(terminated, jnp.inf, steps[next_state]))

    def shorter(carry):
        steps, _ = carry
        found = cost(steps).min(axis=-1)
        return found, jnp.any(found != steps)

    never = jnp.full(next_state.shape[0], jnp.inf)
    return cost(jax.lax.while_loop(lambda carry: carry[1], shorter, (never, jnp.ones((), bool)))[0])
