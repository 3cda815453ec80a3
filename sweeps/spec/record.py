"""What a checked spec is: its fixed settings, factors, arms and laws, and the conditions that follow from them."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeps.spec.errors import SpecError
from sweeps.spec.keys import KEYS

if TYPE_CHECKING:
    from envs.settings import Setting


class Arm(NamedTuple):
    """A part of a sweep with values and factors of its own, beside those that all parts share."""

    fixed: dict[str, Any]
    factors: dict[str, tuple[Any, ...]]


class Pipeline(NamedTuple):
    """Stages in a row."""

    stages: tuple[str, ...]
    shares: tuple[float, ...]
    """Of training, by stage."""
    fresh: bool
    """Whether each stage begins with a new optimiser."""

    @property
    def begins(self) -> list[float]:
        """The shares of training at which the stages after the first begin."""
        return [sum(self.shares[:place]) for place in range(1, len(self.stages))]


class Given(NamedTuple):
    """What a spec says of one condition."""

    arm: str
    """"" without arms."""
    learner: str
    curriculum: str
    settings: "dict[str, Setting]"
    """What it has values for."""
    values: dict[str, Any]
    """Those that are given; of the rest, defaults hold."""


@dataclass(frozen=True)
class Spec:
    """What a sweep trains. Every value has been checked against the world's and the learner's settings."""

    # The keys of `KEYS`, which says what they mean.
    name: str
    world: str
    learner: str
    curriculum: str
    seeds: int
    precision: float | None
    max_seeds: int | None
    master_seed: int
    keys: str
    probe_at: tuple[float, ...]
    policies: bool | str
    kernel: bool
    chunk: int | None
    shard_chunks: int
    fixed: dict[str, Any]
    factors: dict[str, tuple[Any, ...]]
    """Crossed: every combination is a condition."""
    arms: dict[str, Arm]
    """By name; a condition of the sweep belongs to one of them, if there are any."""
    sampled: dict[str, dict[str, Any]]
    """By key: `low`, `high` and `scale` (`linear` or `log`) of the law from which each lane draws its own value."""
    source: str = field(compare=False)
    """The file, for messages."""
    given: dict[str, Any] = field(compare=False, repr=False)
    """What was read, overrides included, as dotted keys: `load_spec` gives the same spec for it."""
    settings: "dict[str, Setting]" = field(compare=False, repr=False)
    """Those of the world and of schedules, and of every learner and curriculum that the spec names."""
    of_learner: "dict[str, dict[str, Setting]]" = field(compare=False, repr=False)
    """By name, each learner's own."""
    of_curriculum: "dict[str, dict[str, Setting]]" = field(compare=False, repr=False)
    pipelines: dict[str, Pipeline] = field(default_factory=dict, compare=False, repr=False)
    """By name, those of which the arms are made."""

    def settings_for(self, learner: str, curriculum: str) -> "dict[str, Setting]":
        """What a condition with this learner and curriculum has a value for."""
        own = self.of_learner[learner] | self.of_curriculum[curriculum]
        found = {key: own.get(key, one) for key, one in self.settings.items() if key in own or not _is_chosen(key)}
        # A schedule of a setting that this learner does not have is left out with it.
        return {key: one for key, one in found.items() if _moved(key, self.settings) in {None, *found}}

    @property
    def part(self) -> str:
        """What its arms are called, as a column of the tables."""
        return "pipeline" if self.pipelines else "arm"

    def written(self, key: str, arm: str = "", stage: int = 0) -> str:
        """Where the spec gives this setting to an arm: `factors.KEY`, `fixed.KEY`, …, or KEY itself, a schedule's.

        stage: of a pipeline, from 0.
        """
        if key in self.factors:
            return f"factors.{key}"
        if arm in self.pipelines:
            name = self.pipelines[arm].stages[stage]
            return f"stages.{name}.{key}" if f"stages.{name}.{key}" in self.given else f"fixed.{key}"
        if key in self.parts[arm].fixed or key in self.parts[arm].factors:
            return f"arms.{arm}.{key}"
        if key in self.sampled:
            return f"sampled.{key}"
        return key if key.startswith("schedules.") else f"fixed.{key}"

    @property
    def most_seeds(self) -> int:
        """That a condition may come to have."""
        return self.max_seeds or self.seeds

    @property
    def parts(self) -> dict[str, Arm]:
        """The arms; without any, one that is the whole."""
        return self.arms or {"": Arm({}, {})}

    @property
    def columns(self) -> list[str]:
        """What tells conditions apart in the tables: `arm`, every factor that some arm has, and the shared ones."""
        of_arms = dict.fromkeys(key for arm in self.arms.values() for key in arm.factors)
        return [*([self.part] if self.arms else []), *of_arms, *self.factors]

    def conditions(self) -> Iterator["Given"]:
        """What the spec says of each condition.

        What is fixed for all is left out where the condition's learner or curriculum has no such setting; raises
        SpecError where a factor or an arm gives it one.
        """
        settings_for = functools.cache(self.settings_for)
        for name, arm in self.parts.items():
            crossed = arm.factors | self.factors
            for values in itertools.product(*crossed.values()):
                chosen = arm.fixed | dict(zip(crossed, values, strict=True))
                learner = chosen.pop("learner.name", self.learner)
                curriculum = chosen.pop("curriculum.name", self.curriculum)
                settings = settings_for(learner, curriculum)
                for key in chosen:
                    if key not in settings:
                        owner = curriculum if key.startswith("curriculum.") else learner
                        where = self.written(key, name)
                        raise SpecError(self.source, where, f"{owner} has no setting of this name; give it in an arm.")
                shared = {key: value for key, value in (self.fixed | self.sampled).items() if key in settings}
                yield Given(name, learner, curriculum, settings, shared | chosen)

    def flat(self) -> dict[str, Any]:
        """The spec as dotted keys with JSON values, without the keys that have none."""
        top = {key.path: getattr(self, key.attribute) for key in KEYS}
        arms = {
            f"arms.{name}.{key}": list(value) if isinstance(value, tuple) else value
            for name, arm in self.arms.items()
            for key, value in (arm.fixed | arm.factors).items()
        }
        return {
            **{path: list(one) if isinstance(one, tuple) else one for path, one in top.items() if one is not None},
            **{key if key.startswith("schedules.") else f"fixed.{key}": value for key, value in self.fixed.items()},
            **{f"factors.{key}": list(values) for key, values in self.factors.items()},
            **arms,
            **{f"sampled.{key}": law for key, law in self.sampled.items()},
        }


def _is_chosen(key: str) -> bool:
    """Whether a setting is a learner's or a curriculum's."""
    return key.startswith(("learner.", "curriculum."))


def _moved(key: str, settings: "dict[str, Setting]") -> str | None:
    """The setting that a schedule's own setting is about; None for any other."""
    rest = key.removeprefix("schedules.")
    return None if rest == key else next((one for one in settings if rest.startswith(f"{one}.")), None)
