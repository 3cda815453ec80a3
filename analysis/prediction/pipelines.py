"""Pipelines of training as numbers: in each stage, which things paid, which others were there, and for how long."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np


class Stage(NamedTuple):
    """One stage of training. A kind of thing is a colour and a shape, numbered colour x shapes + shape."""

    paid: tuple[float, ...]
    """f64[kinds], the distribution of the thing that pays; sums to 1."""
    other: tuple[float, ...]
    """f64[kinds], that of the thing that does not; sums to the probability that there is one, 0 for none ever."""
    share: float
    """Of the training, in (0, 1]: lengths of different pipelines are comparable by it."""
    colour: float = 1.0
    """By which the inputs for colours are multiplied."""
    shape: float = 1.0
    """By which those for shapes are."""


class Pipeline(NamedTuple):
    name: str
    family: str
    """What kind of pipeline it is, such as reversal: whole families can be held out."""
    stages: tuple[Stage, ...]
    colour: float = 1.0
    """By which the inputs for colours are multiplied where preferences are measured."""
    shape: float = 1.0


@dataclasses.dataclass(frozen=True)
class Pipelines(Sequence[Pipeline]):
    """Pipelines about the same kinds of things, and the arrays that predictors compute with.

    Rows are the pairs of kinds in the order of `pairs`, then each kind against nothing. The margin of a row is the
    log-odds of going for its first thing. Stages are padded at the end, with a share of 0.

    Raises ValueError, in one line, where a stage is impossible or two pipelines have one name.
    """

    colours: int
    shapes: int
    members: tuple[Pipeline, ...]

    def __post_init__(self) -> None:
        counts = Counter(self.names)
        for one in self.members:
            if counts[one.name] > 1:
                raise ValueError(f"pipeline {one.name}: two have this name")
            if not one.stages:
                raise ValueError(f"pipeline {one.name}: no stages")
            for number, stage in enumerate(one.stages, 1):
                _check(f"pipeline {one.name}: stage {number}", stage, self.kinds)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self.members)

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        return self.members[index]

    def only(self, chosen: np.ndarray) -> "Pipelines":
        """Those at places, or where a mask is true."""
        places = np.arange(len(self))[chosen]
        return dataclasses.replace(self, members=tuple(self.members[place] for place in places))

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.members]

    @property
    def kinds(self) -> int:
        return self.colours * self.shapes

    @cached_property
    def features(self) -> np.ndarray:
        """f64[kinds, colours + shapes], one-hot colour and one-hot shape."""
        colour, shape = np.divmod(np.arange(self.kinds), self.shapes)
        return np.concatenate([np.eye(self.colours)[colour], np.eye(self.shapes)[shape]], axis=1)

    @cached_property
    def pairs(self) -> np.ndarray:
        """i64[kinds (kinds - 1) / 2, 2], the first number being the lower."""
        return np.stack(np.triu_indices(self.kinds, 1), axis=1)

    @cached_property
    def differences(self) -> np.ndarray:
        """f64[rows, colours + shapes], the features of a row's first thing less those of its second."""
        first, second = self.features[self.pairs.T]
        return np.concatenate([first - second, self.features])

    @cached_property
    def salience(self) -> np.ndarray:
        """f64[sets, 2], the different scales of colour and shape that occur."""
        return np.unique([*self._scales.reshape(-1, 2), *self.probed], axis=0)

    @cached_property
    def salience_of(self) -> np.ndarray:
        """i64[pipelines, stages + 1], the place in `salience` of each stage, and of where preferences are measured."""
        scales = np.concatenate([self._scales, self.probed[:, None]], axis=1)
        return (scales[:, :, None] == self.salience).all(axis=-1).argmax(axis=-1)

    @cached_property
    def _scales(self) -> np.ndarray:
        return self._padded(lambda stage: (stage.colour, stage.shape), (1.0, 1.0))

    @cached_property
    def probed(self) -> np.ndarray:
        """f64[pipelines, 2], the scales of colour and shape where preferences are measured."""
        return np.array([(one.colour, one.shape) for one in self.members]).reshape(-1, 2)

    @cached_property
    def share(self) -> np.ndarray:
        """f64[pipelines, stages]."""
        return self._padded(lambda stage: stage.share, 0.0)

    @cached_property
    def paid(self) -> np.ndarray:
        """f64[pipelines, stages, kinds]."""
        return self._padded(lambda stage: stage.paid, np.zeros(self.kinds))

    @cached_property
    def other(self) -> np.ndarray:
        """f64[pipelines, stages, kinds]."""
        return self._padded(lambda stage: stage.other, np.zeros(self.kinds))

    @cached_property
    def pull(self) -> np.ndarray:
        """f64[pipelines, stages, rows], what a row's margin counts for in the objective of a stage.

        The objective is the expected probability of going for what pays, sigmoid(margin) in each row; a thing that
        stands alone is chosen over nothing. Since sigmoid'(m) = sigmoid'(-m), its derivative by the margin of a row
        (a, b) is (paid_a other_b - paid_b other_a) sigmoid'(m).
        """
        first, second = self.pairs.T
        both = self.paid[..., first] * self.other[..., second] - self.paid[..., second] * self.other[..., first]
        return np.concatenate([both, self.paid * (1 - self.other.sum(axis=-1, keepdims=True))], axis=-1)

    @cached_property
    def described(self) -> np.ndarray:
        """f64[pipelines, stages, 2 features + 1], each stage in short: how much each feature was paid and was other, as
        it was scaled, and how far the thing that pays stood alone. 0 where there is no stage."""
        scale = np.repeat(self._scales, [self.colours, self.shapes], axis=-1)
        alone = self.paid.sum(axis=-1, keepdims=True) * (1 - self.other.sum(axis=-1, keepdims=True))
        return np.concatenate([self.paid @ self.features * scale, self.other @ self.features * scale, alone], axis=-1)

    def _padded(self, of, empty) -> np.ndarray:  # type: ignore[no-untyped-def]
        longest = max((len(one.stages) for one in self.members), default=0)
        return np.array(
            [[*map(of, one.stages), *[empty] * (longest - len(one.stages))] for one in self.members], float
        ).reshape(len(self), longest, *np.shape(empty))

    def restaged(self, stages: Sequence[tuple[Stage, ...]]) -> "Pipelines":
        """The same pipelines with other stages, for predictors that look at less than all."""
        together = zip(self.members, stages, strict=True)
        return dataclasses.replace(self, members=tuple(one._replace(stages=other) for one, other in together))


def _check(where: str, stage: Stage, kinds: int) -> None:
    for name in ("paid", "other"):
        given = np.asarray(getattr(stage, name), float)
        if given.shape != (kinds,):
            raise ValueError(f"{where}: {name} is of shape {given.shape}; expected a number for each of {kinds} kinds")
        if not (given >= 0).all():
            raise ValueError(f"{where}: {name} has a probability below 0")
    if not np.isclose(sum(stage.paid), 1):
        raise ValueError(f"{where}: paid sums to {sum(stage.paid):g}; expected 1")
    if sum(stage.other) > 1 + 1e-9:
        raise ValueError(f"{where}: other sums to {sum(stage.other):g}; expected at most 1")
    if not 0 < stage.share <= 1:
        raise ValueError(f"{where}: share is {stage.share}; expected a number in (0, 1]")
