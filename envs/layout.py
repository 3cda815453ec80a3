"""What a world shows, declared: named features in order, each with its kind and the goal that it belongs to."""

import dataclasses
import functools
import itertools
import math
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
    image: u8[rows, columns, channels], where the layout has one, and else nothing: 255 is all of a colour, or a thing
      that is there. It stays u8 until the first layer of a network divides it by 255.
    """

    indices: Any
    vector: Any
    image: Any = ()


class Feature(NamedTuple):
    """One feature of an observation: an index, or plain numbers."""

    name: str
    """An identifier, since `Layout.observe` takes values by name."""
    cardinality: int | Literal["number"]
    """How many values the index has, or `NUMBER`."""
    goal: str | None = None
    """The goal that it shows; where that is hidden, an index is `HIDDEN` and numbers are 0."""
    size: int = 1
    """How many numbers there are; an index is one."""


class Channel(NamedTuple):
    """One number at each place of an image: whether a thing is there, or how much of a colour is."""

    name: str
    goal: str | None = None
    """The goal that it shows; where that is hidden, the channel is 0. A colour, of which many things have some, has
    none, and then no goal of the image can be hidden."""


class Image(NamedTuple):
    """The picture of an observation."""

    rows: int
    columns: int
    channels: tuple[Channel, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.columns, len(self.channels)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The features of an observation, in order; in `dense`, indices come before numbers, and the image comes last."""

    features: tuple[Feature, ...]
    image: Image | None = None

    def __post_init__(self):
        names = [one.name for one in (*self.features, *self.channels)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two features are called {twice[0]}")
        if self.image is not None and min(self.image.shape) < 1:
            raise ValueError(f"an image of rows, columns and channels {self.image.shape} shows nothing")

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
    def channels(self) -> tuple[Channel, ...]:
        return () if self.image is None else self.image.channels

    @property
    def size(self) -> int:
        """How many inputs `dense` has."""
        return sum(self.cardinalities) + self.vector_size + (math.prod(self.image.shape) if self.image else 0)

    @property
    def goals(self) -> frozenset[str]:
        """The goals that can be hidden."""
        parts: list[Feature | Channel] = [*self.features, *self.channels]
        return frozenset(one.goal for one in parts if one.goal is not None)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each input of `dense`: `row=3`, `walls[12]` of several numbers, `coin[3,7]` in an image."""
        hot = [f"{feature.name}={value}" for feature in self.indices for value in range(int(feature.cardinality))]
        plain = [
            feature.name if feature.size == 1 else f"{feature.name}[{i}]"
            for feature in self.numbers
            for i in range(feature.size)
        ]
        rows, columns, _ = self.image.shape if self.image else (0, 0, 0)
        places = itertools.product(range(rows), range(columns), self.channels)
        return (*hot, *plain, *(f"{channel.name}[{row},{column}]" for row, column, channel in places))

    def blank(self, *axes: int) -> Observation:
        """An observation with these leading axes, of the shapes and dtypes of any and of no meaning."""
        return Observation(
            jnp.zeros((*axes, len(self.cardinalities)), jnp.int32),
            jnp.zeros((*axes, self.vector_size)),
            jnp.zeros((*axes, *self.image.shape), jnp.uint8) if self.image else (),
        )

    def observe(self, values: Mapping[str, Any]) -> Observation:
        """The observation with these values, by the name of their features: i32[] an index, f32[size] numbers.

        `image` is the name of the image: u8[rows, columns, channels], or bool where each channel is a thing that is
        there or not. Raises ValueError where names are missing, or are no features.
        """
        expected = {feature.name for feature in self.features} | ({"image"} if self.image else set())
        if wrong := sorted(expected ^ values.keys()):
            raise ValueError(f"the feature {wrong[0]} is {'missing' if wrong[0] in expected else 'not declared'}")
        indices = [jnp.asarray(values[feature.name], jnp.int32) for feature in self.indices]
        numbers = [jnp.ravel(jnp.asarray(values[feature.name], jnp.float32)) for feature in self.numbers]
        return Observation(
            jnp.stack(indices) if indices else jnp.zeros(0, jnp.int32),
            jnp.concatenate(numbers) if numbers else jnp.zeros(0),
            _as_bytes(values["image"]) if self.image else (),
        )

    def read(self, vector: jax.Array) -> Observation:
        """The observation that `dense` wrote as f32[size], or that is a picture alone, as u8 of the image's shape."""
        if vector.dtype == jnp.uint8:
            return Observation(jnp.zeros(0, jnp.int32), jnp.zeros(0), vector)
        ends = np.cumsum([*self.cardinalities, self.vector_size], dtype=int).tolist()
        *hot, numbers, image = jnp.split(vector, ends)
        indices = [jnp.where(jnp.any(one > 0), jnp.argmax(one), HIDDEN).astype(jnp.int32) for one in hot]
        return Observation(
            jnp.stack(indices) if indices else jnp.zeros(0, jnp.int32),
            numbers,
            jnp.round(image * 255).astype(jnp.uint8).reshape(self.image.shape) if self.image else (),
        )

    def hide(self, observation: Observation, goal: str) -> Observation:
        """The observation, with any leading axes, without every feature and channel that belongs to a goal.

        Raises ValueError where none does.
        """
        if goal not in self.goals:
            raise ValueError(f"no feature belongs to {goal}: it cannot be hidden")
        gone = np.array([feature.goal == goal for feature in self.indices], bool)
        zero = np.repeat([feature.goal == goal for feature in self.numbers], [one.size for one in self.numbers])
        blank = np.array([channel.goal == goal for channel in self.channels], bool)
        indices, vector, image = observation
        if gone.any():
            indices = jnp.where(jnp.expand_dims(gone, range(indices.ndim - 1)), HIDDEN, indices)
        if zero.any():
            vector = jnp.where(jnp.expand_dims(zero, range(vector.ndim - 1)), 0, vector)
        if blank.any():
            image = jnp.where(jnp.expand_dims(blank, range(image.ndim - 1)), jnp.uint8(0), image)
        return Observation(indices, vector, image)


def _as_bytes(image: Any) -> jax.Array:
    image = jnp.asarray(image)
    return jnp.where(image, jnp.uint8(255), jnp.uint8(0)) if image.dtype == bool else image


def flag(there: jax.Array) -> jax.Array:
    """i32[...], the index of a feature that has one value: 0 where the condition holds, else `HIDDEN`."""
    return jnp.where(there, 0, HIDDEN)


def dense(observation: Observation, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[..., size]: one-hot vectors (all zero where hidden), then plain numbers, then the image in [0, 1]."""
    parts = [one_hot(observation.indices, cardinalities), observation.vector.astype(jnp.float32)]
    for image in jax.tree.leaves(observation.image):
        parts.append(scaled(image).reshape(*image.shape[:-3], -1))
    return jnp.concatenate(parts, axis=-1)


def scaled(image: jax.Array) -> jax.Array:
    """f32 in [0, 1], of u8 of the same shape."""
    return image.astype(jnp.float32) / 255


def one_hot(indices: jax.Array, cardinalities: tuple[int, ...]) -> jax.Array:
    """f32[..., sum(cardinalities)], the one-hot vectors of integers[..., k] side by side; all zero where hidden."""
    every = [jnp.expand_dims(jnp.arange(size, dtype=indices.dtype), range(indices.ndim - 1)) for size in cardinalities]
    hot = [(indices[..., i, None] == values).astype(jnp.float32) for i, values in enumerate(every)]
    return jnp.concatenate([jnp.zeros((*indices.shape[:-1], 0)), *hot], axis=-1)
