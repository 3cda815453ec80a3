"""Actor-critic networks over compact observations."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from envs import Observation

ACTIVATIONS: dict[str, Callable] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class FirstLayer(nn.Module):
    """A dense layer on an observation: exactly that of its one-hot vectors and plain numbers side by side.

    __call__: Observation of i32[..., k] and f32[..., m] -> f32[..., width]. A hidden index adds nothing.
    """

    cardinalities: tuple[int, ...]
    vector_size: int
    width: int

    @nn.compact
    def __call__(self, observation: Observation) -> jax.Array:
        inputs = sum(self.cardinalities) + self.vector_size
        kernel = self.param("kernel", nn.initializers.orthogonal(math.sqrt(2)), (inputs, self.width))
        out = self.param("bias", nn.initializers.zeros, (self.width,))
        if self.cardinalities:
            out = out + one_hot(observation.indices, self.cardinalities) @ kernel[: sum(self.cardinalities)]
        if self.vector_size:
            out = out + observation.vector @ kernel[sum(self.cardinalities) :]
        return out


def one_hot(indices: jax.Array, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[..., sum(cardinalities)], the one-hot vectors of i32[..., k] side by side; all zero where hidden."""
    hot = [indices[..., i, None] == jnp.arange(size, dtype=indices.dtype) for i, size in enumerate(cardinalities)]
    return jnp.concatenate(hot, axis=-1).astype(jnp.float32)


class ActorCritic(nn.Module):
    """A multi-layer perceptron with a policy head and a value head, in one tower or in two.

    __call__(memory, observation, previous_action, previous_reward, first) -> logits f32[..., actions], value f32[...],
    memory. The perceptron keeps no memory, `()`, and looks at the observation alone; a recurrent one would use the
    rest.
    Initialised orthogonally: gain sqrt(2) inside, 0.01 for the policy head, 1 for the value head, biases 0.
    """

    num_actions: int
    cardinalities: tuple[int, ...]
    vector_size: int
    width: int = 64
    depth: int = 2
    towers: str = "shared"
    activation: str = "tanh"

    @nn.compact
    def __call__(
        self, memory: Any, observation: Observation, previous_action: Any, previous_reward: Any, first: Any
    ) -> tuple[jax.Array, jax.Array, Any]:
        activation = ACTIVATIONS[self.activation]

        def tower(name: str) -> jax.Array:
            hidden = activation(
                FirstLayer(self.cardinalities, self.vector_size, self.width, name=f"{name}_0")(observation)
            )
            for layer in range(1, self.depth):
                dense = nn.Dense(
                    self.width, kernel_init=nn.initializers.orthogonal(math.sqrt(2)), name=f"{name}_{layer}"
                )
                hidden = activation(dense(hidden))
            return hidden

        shared = self.towers == "shared"
        actor = tower("tower" if shared else "actor")
        critic = actor if shared else tower("critic")
        logits = nn.Dense(self.num_actions, kernel_init=nn.initializers.orthogonal(0.01), name="policy")(actor)
        value = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0), name="value")(critic)
        return logits, value[..., 0], memory
