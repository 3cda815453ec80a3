"""How much better a policy could do on each level: estimates of regret from one rollout."""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from envs import World
from jaxrl.advantages import advantages, of_rollout
from jaxrl.curricula.curriculum import Experience

Score = Literal["max-latest", "max-mc", "pvl", "exact"]
OF_VALUES = ("max-mc", "pvl")
"""Those that need to know what the learner expects."""
assert set(OF_VALUES) < set(get_args(Score))


class Returns(NamedTuple):
    """Of the episodes that a rollout began in each environment, discounted from their first step; f32[envs] each."""

    mean: jax.Array
    highest: jax.Array
    expected: jax.Array
    """The mean of the values at their first steps."""


def returns(experience: Experience) -> Returns:
    """Of the episodes that ended; of the first as far as it has come, where none did."""
    steps = experience.steps
    nothing = jnp.zeros_like(steps.reward)
    to_go = advantages(steps.reward, steps.terminated, steps.done, nothing, nothing, experience.discount, 1.0)
    first = jnp.concatenate([jnp.ones_like(steps.done[:1]), steps.done[:-1]])
    ends = jnp.flip(jnp.cumsum(jnp.flip(steps.done, 0), axis=0), 0) > 0
    counts = first & (ends | ~ends[:1])

    def mean(values):
        return jnp.sum(jnp.where(counts, values, 0.0), axis=0) / jnp.sum(counts, axis=0).astype(jnp.float32)

    return Returns(mean(to_go), jnp.max(jnp.where(counts, to_go, -jnp.inf), axis=0), mean(steps.value))


def positive_value_loss(experience: Experience) -> jax.Array:
    """f32[envs], the mean over steps of what is positive of the advantages; Jiang et al. 2021b."""
    advantage = of_rollout(experience.steps, experience.discount, experience.gae_lambda)
    return jnp.mean(jnp.maximum(advantage, 0.0), axis=0)


def score(
    kind: Score, world: World, levels: Any, best: jax.Array, found: Returns, experience: Experience, env_params: Any
) -> jax.Array:
    """f32[envs], the score of the level that each environment was on.

    max-latest: the highest return that was ever reached there minus the mean of those just reached (Abdel Sadek et al.
      2025, section 5.3).
    max-mc: the same highest return minus the value at the first step (Jiang et al. 2021b).
    pvl: `positive_value_loss`.
    exact: the highest possible return minus the mean of those just reached (Abdel Sadek et al. 2025).

    Args:
      levels: leaves [envs, ...].
      best: f32[envs], the highest return ever, this rollout included.
    """
    match kind:
        case "max-latest":
            return best - found.mean
        case "max-mc":
            return best - found.expected
        case "pvl":
            return positive_value_loss(experience)
    able: Any = world
    highest = jax.vmap(able.optimal_return, in_axes=(0, None, None))(levels, env_params, experience.discount)
    return highest - found.mean
