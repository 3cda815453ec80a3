"""Actor-critic networks over compact observations, and over pictures."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from envs import Observation, World, one_hot
from envs.settings import imported
from jaxrl import convolution

ACTIVATIONS: dict[str, Callable] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class FirstLayer(nn.Module):
    """A dense layer on an observation: exactly that of its one-hot vectors and plain numbers side by side.

    __call__: Observation of i32[..., k] and f32[..., m], and further inputs f32[..., more] or None -> f32[..., width].
    A hidden index adds nothing.
    """

    cardinalities: tuple[int, ...]
    vector_size: int
    width: int

    @nn.compact
    def __call__(self, observation: Observation, further: jax.Array | None = None) -> jax.Array:
        observed = sum(self.cardinalities) + self.vector_size
        inputs = observed + (0 if further is None else further.shape[-1])
        kernel = self.param("kernel", nn.initializers.orthogonal(math.sqrt(2)), (inputs, self.width))
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        indices = observation.indices
        out = jnp.expand_dims(bias, range(indices.ndim - 1))
        if self.cardinalities:
            flat = sum_rows(
                kernel[: sum(self.cardinalities)], indices.reshape(-1, indices.shape[-1]), self.cardinalities
            )
            out = out + flat.reshape(*indices.shape[:-1], self.width)
        if self.vector_size:
            out = out + observation.vector @ kernel[sum(self.cardinalities) : observed]
        if further is not None:
            out = out + further @ kernel[observed:]
        return out


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def sum_rows(kernel: jax.Array, indices: jax.Array, cardinalities: tuple[int, ...]) -> jax.Array:
    """The product of one-hot vectors and a matrix, by gathering rows: six times faster on a CPU.

    Args:
      kernel: f32[sum(cardinalities), width], the rows of the first index, then those of the second, and so on.
      indices: integers[batch, k]; `HIDDEN` selects no row.
    Returns:
      f32[batch, width].
    """
    gathered = [
        rows.at[indices[:, i]].get(mode="fill", fill_value=0, wrap_negative_indices=False)
        for i, rows in enumerate(_parts(kernel, cardinalities))
    ]
    return functools.reduce(jnp.add, gathered)


def _sum_rows_forward(kernel, indices, cardinalities):
    return sum_rows(kernel, indices, cardinalities), indices


def _sum_rows_backward(cardinalities, indices, cotangent):
    def scatter(indices, cotangent):
        parts = [
            jnp.zeros((size, cotangent.shape[-1]))
            .at[indices[:, i]]
            .add(cotangent, mode="drop", wrap_negative_indices=False)
            for i, size in enumerate(cardinalities)
        ]
        return jnp.concatenate(parts)

    def multiply(indices, cotangent):
        return one_hot(indices, cardinalities).T @ cotangent

    # Twice as fast as the product on a CPU; on a GPU additions to one row would come in no fixed order.
    return jax.lax.platform_dependent(indices, cotangent, cpu=scatter, default=multiply), None


sum_rows.defvjp(_sum_rows_forward, _sum_rows_backward)


def _parts(kernel: jax.Array, cardinalities: tuple[int, ...]) -> list[jax.Array]:
    return jnp.split(kernel, np.cumsum(cardinalities)[:-1])


class Head(nn.Module):
    """A dense layer of few outputs, with its kernel as [outputs, inputs].

    XLA's CPU matmul takes three times as long for the gradient of a narrow kernel that is stored the other way.
    """

    outputs: int
    gain: float

    @nn.compact
    def __call__(self, hidden: jax.Array) -> jax.Array:
        initial = nn.initializers.orthogonal(self.gain, column_axis=0)
        kernel = self.param("kernel", initial, (self.outputs, hidden.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
        return jnp.einsum("...i,oi->...o", hidden, kernel) + jnp.expand_dims(bias, range(hidden.ndim - 1))


class Context(NamedTuple):
    """Inputs of a policy besides the observation; a part that a network does not use is None, or () for memory.

    Leaves have a leading axis [envs].
    """

    memory: Any = ()
    previous_action: Any = None
    """i32[envs]; of no meaning at the first step of an episode."""
    previous_reward: Any = None
    """f32[envs]; of no meaning at the first step of an episode."""
    first: Any = None
    """bool[envs], whether this is the first step of an episode: then nothing that came before counts."""

    def after(self, memory: Any, action: jax.Array, reward: jax.Array, first: jax.Array) -> "Context":
        """The context of the next step, of the same parts."""
        return Context(
            memory,
            None if self.previous_action is None else action,
            None if self.previous_reward is None else reward,
            None if self.first is None else first,
        )


NOTHING = Context()
"""The context of a policy that looks at the observation alone."""


class ActorCritic(nn.Module):
    """An MLP with a policy head and a value head, in one tower or in two, with memory or without.

    __call__(memory, observation, previous_action, previous_reward, first) -> logits f32[..., actions], value f32[...],
    memory: what any network of a learner does. Without `gru` the memory is (). The gated recurrent unit (Cho et al.
    2014) stands between the last hidden layer and the heads, as wide as that layer, and begins each episode at 0.
    What is used of the action and the reward before joins the inputs of the first layer, as one-hot vector and number.
    Initialised orthogonally: gain sqrt(2) inside, `policy_gain` for the policy head, 1 for the value head, biases 0.
    """

    num_actions: int
    cardinalities: tuple[int, ...]
    vector_size: int
    width: int = 64
    depth: int = 2
    towers: str = "shared"
    activation: str = "tanh"
    memory: str = "none"
    previous_action: bool = False
    previous_reward: bool = False
    layer_norm: bool = False
    """Whether each hidden layer is normalised before its non-linearity (Ba et al. 2016)."""
    policy_gain: float = 0.01

    def eyes(self, name: str) -> nn.Module | None:
        """What makes numbers of a picture that join the inputs of a tower's first layer."""
        return None

    def context(self, n_envs: int) -> Context:
        """The context at the beginning of episodes."""
        remembers = self.memory == "gru"
        return Context(
            jnp.zeros((n_envs, self.width)) if remembers else (),
            jnp.zeros(n_envs, jnp.int32) if self.previous_action else None,
            jnp.zeros(n_envs) if self.previous_reward else None,
            jnp.ones(n_envs, bool) if remembers or self.previous_action or self.previous_reward else None,
        )

    @nn.compact
    def __call__(
        self, memory: Any, observation: Observation, previous_action: Any, previous_reward: Any, first: Any
    ) -> tuple[jax.Array, jax.Array, Any]:
        before = []
        if self.previous_action:
            before.append(jax.nn.one_hot(previous_action, self.num_actions))
        if self.previous_reward:
            before.append(previous_reward[..., None])
        further = jnp.where(first[..., None], 0.0, jnp.concatenate(before, axis=-1)) if before else None

        def activation(hidden: jax.Array, name: str) -> jax.Array:
            hidden = nn.LayerNorm(name=f"norm_{name}")(hidden) if self.layer_norm else hidden
            return ACTIVATIONS[self.activation](hidden)

        def tower(name: str) -> jax.Array:
            layer_0 = FirstLayer(self.cardinalities, self.vector_size, self.width, name=f"{name}_0")
            eyes = self.eyes(f"{name}_eyes")
            beside = [] if eyes is None else [eyes(observation.image)]
            beside += [] if further is None else [further]
            hidden = activation(layer_0(observation, jnp.concatenate(beside, axis=-1) if beside else None), f"{name}_0")
            for layer in range(1, self.depth):
                dense = nn.Dense(
                    self.width, kernel_init=nn.initializers.orthogonal(math.sqrt(2)), name=f"{name}_{layer}"
                )
                hidden = activation(dense(hidden), f"{name}_{layer}")
            return hidden

        shared = self.towers == "shared"
        actor = tower("tower" if shared else "actor")
        critic = actor if shared else tower("critic")
        if self.memory == "gru":
            memory = jnp.where(first[..., None], 0.0, memory)
            memory, actor = nn.GRUCell(self.width, name="gru")(memory, actor)
            critic = actor
        logits = Head(self.num_actions, self.policy_gain, name="policy")(actor)
        value = Head(1, 1.0, name="value")(critic)
        return logits, value[..., 0], memory


class Convolutional(ActorCritic):
    """An `ActorCritic` for a world that shows pictures: what `convolution.Eyes` makes of them joins the inputs."""

    channels: int = 16
    convolutions: int = 2
    kernel: int = 3
    stride: int = 2
    pooling: str = "none"
    residual_blocks: int = 0
    image: tuple[int, int, int] = (1, 1, 1)

    def eyes(self, name: str) -> nn.Module:
        return convolution.Eyes(
            self.channels,
            self.convolutions,
            self.kernel,
            self.stride,
            self.pooling,
            self.residual_blocks,
            self.layer_norm,
            name=name,
        )


class Linear(nn.Module):
    """A policy and a value that are linear in the inputs: a `learner.network`, called as `ActorCritic` is.

    Without memory, and blind to the action and the reward before. The policy begins as that of `es` and `ga` without
    hidden layers does.
    """

    num_actions: int
    cardinalities: tuple[int, ...]
    vector_size: int

    @nn.compact
    def __call__(
        self, memory: Any, observation: Observation, previous_action: Any, previous_reward: Any, first: Any
    ) -> tuple[jax.Array, jax.Array, Any]:
        logits = FirstLayer(self.cardinalities, self.vector_size, self.num_actions, name="policy")(observation)
        value = FirstLayer(self.cardinalities, self.vector_size, 1, name="value")(observation)
        return logits, value[..., 0], memory


NETWORKS: dict[str, type[nn.Module]] = {"mlp": ActorCritic, "convolutional": Convolutional}
OF_PICTURES = {field.name for field in dataclasses.fields(Convolutional)} - {
    field.name for field in dataclasses.fields(ActorCritic)
}
"""Fields that only networks that see pictures have."""


def named(name: str) -> type[nn.Module]:
    """The Flax module of a network's name, or of one's own; raises ValueError, in one line, where there is none."""
    return NETWORKS[name] if name in NETWORKS else imported(name, nn.Module)


def check(learner: Any, world: World) -> None:
    """Raises ValueError, in one line, where an on-policy learner's network cannot serve a world."""
    name = learner.network
    try:
        cls = named(name)
    except ValueError as error:
        raise ValueError(f"learner.network: {error}") from None
    image = world.layout.image
    if image is not None and not any(field.name == "image" for field in dataclasses.fields(cls)):
        raise ValueError(
            f"learner.network: {name} sees no pictures, and {world.name} shows one; expected convolutional, or a "
            "module with a field `image`"
        )
    if cls is Convolutional:
        if image is None:
            raise ValueError(f"learner.network: convolutional sees pictures, and {world.name} shows none; expected mlp")
        convolution.check(learner, image.shape)
    if name not in NETWORKS:
        _check_own(learner, world)


def _check_own(learner: Any, world: World) -> None:
    """Traces a user's module once, on three environments."""
    name, envs = learner.network, 3
    try:
        before, seen = learner.context(world, envs), world.layout.blank(envs)

        def first(key: jax.Array) -> Any:
            one = jax.tree.map(lambda leaf: leaf[0], (seen, before))
            return learner.forward(world, learner.make_variables(world, key, *one), seen, before)

        found = jax.eval_shape(first, jax.random.key(0))
    except Exception as error:  # whatever a module of the user's raises
        said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise ValueError(f"learner.network: {name} cannot be used ({said})") from None
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)  # noqa: E731
    expected = (
        jax.ShapeDtypeStruct((envs, world.num_actions), jnp.float32),
        jax.ShapeDtypeStruct((envs,), jnp.float32),
        before.memory,
    )
    if shapes(found) != shapes(expected):
        raise ValueError(
            f"learner.network: {name} gives {shapes(found)} for {envs} environments; expected logits, value and "
            f"memory, {shapes(expected)}"
        )
