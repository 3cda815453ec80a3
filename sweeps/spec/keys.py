"""The keys of a spec that belong to no world, learner or curriculum: each with type, default, meaning and check."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweeps.spec.errors import short

MAX_WIDTH = 1_000_000
"""Of a chunk, and of a shard in chunks: far above what any device holds."""
MAX_MASTER_SEED = 2**63 - 1
"""Tables hold it as int64."""
REQUIRED = object()
"""The default of a key that has to be given."""

CHECKPOINTS = "checkpoints"
"""The value of `save.policies` that saves policies at every checkpoint."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PLAIN = "expected letters, digits, '.', '_' and '-', a letter or digit first"


@dataclass(frozen=True)
class Key:
    """One key of a spec."""

    path: str
    """As it is written in a file."""
    kind: type
    default: Any
    doc: str
    field: str = ""
    """The field of `Spec`; by default, the path."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[Any], Any] | None = None
    """In place of a check by kind, bounds and choices: the value as it is used, or ValueError with what is wrong."""

    @property
    def attribute(self) -> str:
        return self.field or self.path

    @property
    def accepts(self) -> str:
        """What would be accepted, in words."""
        return self._setting().describe() if self.parse is None else "a name in quotes"

    def accept(self, value: Any) -> Any:
        """The value as it is used. Raises ValueError, with what is wrong with it."""
        if self.parse is not None:
            return self.parse(value)
        if wrong := self._setting().refusal(value):
            raise ValueError(f"{short(value)} {wrong}")
        return self.kind(value)

    def _setting(self) -> Any:
        from envs.settings import Setting

        return Setting(self.path, self.kind, self.default, True, self.low, self.high, self.choices)


def text(value: Any) -> str:
    """The value, if it is a name."""
    if isinstance(value, type):
        module = value.__module__ if value.__module__ != "__main__" else "my_file"
        hint = f"expected text, such as {f'{module}:{value.__name__}'!r}, that workers can import"
        raise ValueError(f"{short(value)} is a class; {hint}")
    if not isinstance(value, str):
        raise ValueError(f"{short(value)} is not a name; expected text in quotes")
    return value


def _plain_name(value: Any) -> str:
    if not PLAIN_NAME.fullmatch(text(value)):
        raise ValueError(f"{short(value)} is not a plain folder name; {PLAIN}")
    return value


def _rising_fractions(value: Any) -> tuple[float, ...]:
    numbers = isinstance(value, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    at = tuple(float(x) + 0.0 for x in value) if numbers and len(value) <= 1000 else ()
    rising = all(before < after for before, after in zip(at, at[1:], strict=False))
    if not at or not rising or at[0] < 0 or at[-1] != 1:
        hint = "expected rising fractions of training in [0, 1] that end with 1"
        raise ValueError(f"{short(value)} is not accepted; {hint}")
    return at


def _saved(value: Any) -> bool | str:
    if isinstance(value, bool) or value == CHECKPOINTS:
        return value
    raise ValueError(f"{short(value)} is not true or false, or {CHECKPOINTS!r}")


KEYS = (
    Key("name", str, REQUIRED, "Name of the sweep, and of its folder in `results/`.", parse=_plain_name),
    Key("world", str, REQUIRED, "World that is trained in: a name, `gymnax:NAME` or `module:Name`.", parse=text),
    Key("learner", str, "ppo", "Learner of all conditions that name no other.", parse=text),
    Key("curriculum", str, "random", "Curriculum of all conditions that name no other.", parse=text),
    Key("seeds", int, REQUIRED, "Independent training runs of each condition; with a precision, of its first round.",
        low=1),
    Key("precision", float, None, "Half-width to which every label's rate is to be known; adds seeds until it is.",
        low=0.001, high=0.5),
    Key("max_seeds", int, None, "Most seeds of a condition; given with a precision.", low=1),
    Key("master_seed", int, 0, "Number from which the keys of all lanes are derived.", low=0, high=MAX_MASTER_SEED),
    Key("keys", str, "independent", "Whether conditions share their initialisations, seed by seed (`paired`).",
        choices=("independent", "paired")),
    Key("probes.at", list, (0.0, 0.25, 0.5, 1.0), "Fractions of training at which the probes are run.", "probe_at",
        parse=_rising_fractions),
    Key("save.policies", bool, False, "Whether to save the parameters of trained policies; "
        '`"checkpoints"` saves those at every one of `probes.at` too.', "policies", parse=_saved),
    Key("save.kernel", bool, False, "Whether to save the shares that the tangent kernel at initialisation predicts.",
        "kernel"),
    Key("run.chunk", int, None, "Lanes trained together; by default the platform's, or what the folder began with.",
        "chunk", low=1, high=MAX_WIDTH),
    Key("run.shard_chunks", int, 1, "Chunks in a shard, the unit of storage and resuming.", "shard_chunks", low=1,
        high=MAX_WIDTH),
)  # fmt: skip

SECTIONS = {
    "fixed": "Settings that are the same for all conditions.",
    "factors": "Lists of values, crossed: every combination is a condition.",
    "arms": "Parts of the sweep with values and factors of their own.",
    "sampled": "Settings of which each lane draws its own value.",
    "schedules": "Settings that move while a lane trains.",
    "stages": "Settings that hold while a stage of training lasts.",
    "pipelines": "Lists of stages, each list a condition.",
}
"""Sections whose keys are settings of worlds, learners and curricula."""
