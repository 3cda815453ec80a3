"""What a world shows, declared: named features in order, each with its kind and the goal that it belongs to."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

HIDDEN = -1
"""The index of a feature that is absent or hidden: it selects no row of the first layer."""
NUMBER: Literal["number"] = "number"


class Observation(NamedTuple):
    """What a policy sees.

    indices: i32[k], the k-th below the k-th cardinality of the layout, or `HIDDEN`; each stands for a one-hot vector.
    vector: f32[m], numbers that have no natural index.
    image: u8[rows, columns, channels], where the layout has one, and else nothing.
    """

    indices: Any
    vector: Any
    image: Any = ()


class Feature(NamedTuple):
    """One thing that is seen: an index, or plain numbers."""

    name: str
    """An identifier, since `Layout.observe` takes values by name."""
    cardinality: int | Literal["number"]
    """How many values the index has, or `NUMBER`."""
    goal: str | None = None
    """The goal that it shows; where that is hidden, an index is `HIDDEN` and numbers are 0."""
    size: int = 1
    """How many numbers there are; an index is one."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The features of an observation, in order; indices come before numbers in what a network is given."""

    features: tuple[Feature, ...]
    image: tuple[int, int, int] | None = None
    """Rows, columns and channels of the image, where there is one."""

    def __post_init__(self):
        names = [feature.name for feature in self.features]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two features are called {twice[0]}")

    @functools.cached_property
    def indices(self) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.cardinality != NUMBER)

    @functools.cached_property
    def numbers(self) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.cardinality == NUMBER)

    @functools.cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each index has."""
        return tuple(int(feature.cardinality) for feature in self.indices)

    @functools.cached_property
    def vector_size(self) -> int:
        """How many plain numbers there are."""
        return sum(feature.size for feature in self.numbers)

    @property
    def goals(self) -> frozenset[str]:
        """The goals that can be hidden."""
        return frozenset(feature.goal for feature in self.features if feature.goal is not None)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input of `dense`: `row=3`, and `walls[12]` for one of several numbers."""
        hot = [f"{feature.name}={value}" for feature in self.indices for value in range(int(feature.cardinality))]
        plain = [
            feature.name if feature.size == 1 else f"{feature.name}[{i}]"
            for feature in self.numbers
            for i in range(feature.size)
        ]
        return (*hot, *plain)

    def observe(self, values: Mapping[str, Any]) -> Observation:
        """The observation with these values, by the name of their features: i32[] an index, f32[size] numbers.

        `image` is the name of the image. Raises ValueError where names are missing, or are no features.
        """
        expected = {feature.name for feature in self.features} | ({"image"} if self.image else set())
        if wrong := sorted(expected ^ values.keys()):
            raise ValueError(f"the feature {wrong[0]} is {'missing' if wrong[0] in expected else 'not declared'}")
        indices = [jnp.asarray(values[feature.name], jnp.int32) for feature in self.indices]
        numbers = [jnp.ravel(jnp.asarray(values[feature.name], jnp.float32)) for feature in self.numbers]
        return Observation(
            jnp.stack(indices) if indices else jnp.zeros(0, jnp.int32),
            jnp.concatenate(numbers) if numbers else jnp.zeros(0),
            values["image"] if self.image else (),
        )

    def hide(self, observation: Observation, goal: str) -> Observation:
        """The observation, leaves [..., k] and [..., m], without every feature that belongs to a goal.

        Raises ValueError where none does.
        """
        if goal not in self.goals:
            raise ValueError(f"no feature belongs to {goal}: it cannot be hidden")
        gone = np.array([feature.goal == goal for feature in self.indices], bool)
        zero = np.repeat([feature.goal == goal for feature in self.numbers], [one.size for one in self.numbers])
        indices, vector = observation.indices, observation.vector
        if gone.any():
            indices = jnp.where(jnp.expand_dims(gone, range(indices.ndim - 1)), HIDDEN, indices)
        if zero.any():
            vector = jnp.where(jnp.expand_dims(zero, range(vector.ndim - 1)), 0, vector)
        return observation._replace(indices=indices, vector=vector)


def flag(there: jax.Array) -> jax.Array:
    """i32[...], the index of a feature of one value: 0 where it is so, else `HIDDEN`."""
    return jnp.where(there, 0, HIDDEN)


def dense(observation: Observation, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[sum(cardinalities) + m], one-hot vectors (all zero where hidden) and then the plain numbers."""
    return jnp.concatenate(
        [one_hot(observation.indices, cardinalities), observation.vector.astype(jnp.float32)], axis=-1
    )


def one_hot(indices: jax.Array, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[..., sum(cardinalities)], the one-hot vectors of integers[..., k] side by side; all zero where hidden."""
    every = [jnp.expand_dims(jnp.arange(size, dtype=indices.dtype), range(indices.ndim - 1)) for size in cardinalities]
    hot = [(indices[..., i, None] == values).astype(jnp.float32) for i, values in enumerate(every)]
    return jnp.concatenate([jnp.zeros((*indices.shape[:-1], 0)), *hot], axis=-1)
