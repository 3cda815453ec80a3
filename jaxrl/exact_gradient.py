"""The policy gradient without noise: ascends the expected return, computed by dynamic programming."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs import World
from jaxrl.exact import Exact, Problem, problem_of
from jaxrl.networks import sum_rows

MOVE = 400
"""FLOPs in whose time a state is moved to its successors and its gradient back, measured on a CPU."""


@dataclasses.dataclass(frozen=True)
class ExactGradient(Exact):
    """Ascends J, the expected undiscounted return of an episode on a training level, differentiated through.

    Episodes last `env.max_steps_in_episode` steps, and no longer than the world's own time limit. Competence is J:
    where the intended goal pays 1 once and nothing else pays, it is the probability of reaching it.
    """

    def flops(self, world: World) -> float:
        steps, (_, *states, _) = world.default_params.max_steps_in_episode, problem_of(world, self.policy).events.shape
        return super().flops(world) + int(steps) * math.prod(states) * MOVE

    def objective(
        self, world: World, problem: Problem, env_params: Any
    ) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
        able: Any = world
        start = able.start_distribution(env_params)[1].T
        reward = jnp.sum(jnp.where(problem.events, env_params.reward, 0.0), axis=-1)
        steps = jnp.arange(1, int(world.default_params.max_steps_in_episode) + 1)

        def loss(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
            probability = jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)])
            expected = jnp.sum(probability * reward, axis=0)
            goes_on = probability * jnp.where(problem.terminated, 0.0, 1.0)

            def back(value, steps_left):
                ahead = (sum_rows(value, after[:, None], value.shape[:1]) for after in problem.next_state)
                longer = expected + sum(share * moved for share, moved in zip(goes_on, ahead, strict=True))
                return jnp.where(steps_left <= env_params.max_steps_in_episode, longer, value), None

            value, _ = jax.lax.scan(back, jnp.zeros_like(expected), steps)
            total = jnp.sum(start * value)
            return -total, total

        return loss
