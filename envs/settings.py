"""What a sweep may vary: the name, kind, range, default and meaning of each field, read off a dataclass."""

import ast
import dataclasses
import functools
import importlib
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

_OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_LARGEST = 1e38
"""Numbers of this size and above leave no room for arithmetic in float32."""
_LARGEST_INT = 2**31 - 1
"""What is traced is an int32; of a setting that names no bound of its own."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number; `None` is unbounded, and `low_open` leaves the lower bound itself out."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False


LATER = object()
"""Marks, in an annotation, a setting that a version brought in: at its default all is as it was before.

Such a setting is part of a condition's id only where it is given another value, so that bringing it in changes the
numbers of no condition.
"""

IMPORTABLE = object()
"""Marks, in an annotation, a choice that may also be something of one's own: `module:Name`."""

Probability = Annotated[float, Range(0, 1)]
NonNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, low_open=True)]
Finite = Annotated[float, Range()]
Count = Annotated[int, Range(1)]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One thing that a sweep may fix or vary."""

    key: str
    """Its name in a spec, such as `env.diversity`."""
    kind: type
    """float, int, bool or str."""
    default: Any
    static: bool
    """Whether another value compiles another program."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    doc: str = ""
    low_open: bool = False
    later: bool = False
    """Whether it is marked `LATER`."""
    importable: bool = False
    """Whether it is marked `IMPORTABLE`."""

    def describe(self) -> str:
        """What would be accepted, in words: `a probability in [0, 1]`."""
        if self.choices:
            return "one of " + ", ".join(self.choices) + (", or module:Name" if self.importable else "")
        if self.kind is bool:
            return "true or false"
        if self.kind is float and (self.low, self.high, self.low_open) == (0, 1, False):
            return "a probability in [0, 1]"
        noun = "an integer" if self.kind is int else "a finite number"
        if self.low is None and self.high is None:
            return noun
        if self.low == self.high:
            return f"{self.low:g}, its only value ({self.doc.rstrip('.')})"
        if self.high is None:
            return f"{noun} {'above' if self.low_open else 'of at least'} {self.low:,}"
        low = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{self.low:,}"
        return f"{noun} in {low}, {self.high:,}]"

    def used(self, value: Any) -> Any:
        """A value in the precision of training, where two that are equal are one: float32, too small counted as 0."""
        if self.kind is not float:
            return value
        used = np.float32(value)
        return used if abs(used) >= np.finfo(np.float32).tiny else np.float32(0)

    def refusal(self, value: Any) -> str:
        """What is wrong with a value, to be read after it: `is not a probability in [0, 1]`. Empty where nothing is."""
        wrong = f"is not {self.describe()}"
        if self.kind is str:
            own = self.importable and isinstance(value, str) and _OWN.fullmatch(value)
            return "" if isinstance(value, str) and (value in self.choices or own) else wrong
        if self.kind is bool:
            return "" if isinstance(value, bool) else wrong
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else (int, float)):
            return wrong
        if self.kind is int:
            low = -_LARGEST_INT if self.low is None else self.low
            high = _LARGEST_INT if self.high is None else self.high
            if low <= value <= high:
                return ""
            return f"is not an integer in [{low:,}, {high:,}]" if abs(value) > _LARGEST_INT else wrong
        if not abs(value) < _LARGEST:
            return wrong + f", smaller than {_LARGEST:g}" * (abs(value) < float("inf"))
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return wrong
        if self.high is not None and value > self.high:
            return wrong
        if self.low_open and self.low is not None and self.used(value) <= self.used(self.low):
            return f"is {self.used(value):g} in float32, and not {self.describe()}"
        return ""


def imported(name: str, base: type) -> Any:
    """The subclass of `base` that `module:Name` names; the working folder is looked through too.

    Raises ValueError, in one line, where there is none.
    """
    if not _OWN.fullmatch(name):
        raise ValueError(f"{name!r} is not module:Name")
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module of the user's raises
        raise ValueError(f"{name} cannot be imported ({type(error).__name__}: {error})".splitlines()[0]) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{name} is not a subclass of {base.__name__}")
    return found


def settings_of(cls: type, prefix: str, static: bool) -> dict[str, Setting]:
    """The settings that the annotated fields of a dataclass declare, by key `prefix.field`.

    A field is a setting when its annotation is a bool, an int, a `Literal` of strings, or carries a `Range`.
    """
    hints = get_type_hints(cls, include_extras=True)
    docs = _field_docs(cls)
    found = {}
    for field in dataclasses.fields(cls):
        hint, choices = hints[field.name], ()
        marks: list[Any] = []
        if get_origin(hint) is Annotated:
            hint, *marks = get_args(hint)
        bounds = next((mark for mark in marks if isinstance(mark, Range)), None)
        if get_origin(hint) is Literal:
            hint, choices = str, get_args(hint)
        elif hint is not bool and bounds is None:
            continue
        bounds = bounds or Range()
        key = f"{prefix}.{field.name}"
        found[key] = Setting(
            key,
            hint,
            field.default,
            static,
            bounds.low,
            bounds.high,
            choices,
            docs.get(field.name, ""),
            bounds.low_open,
            LATER in marks,
            IMPORTABLE in marks,
        )
    return found


def traced(cls: type, prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """By field, the values of a dataclass's settings: numpy f32, or i32 for integers; what is not named, its default.

    So no weak type leads to another compile.
    """
    chosen = {}
    for setting in settings_of(cls, prefix, static=False).values():
        dtype = np.int32 if setting.kind is int else np.float32
        chosen[setting.key.removeprefix(f"{prefix}.")] = dtype(values.get(setting.key, setting.default))
    return chosen


@functools.cache
def _field_docs(cls: type) -> dict[str, str]:
    """The string that follows each annotated field in the source of a class, inherited ones included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body  # type: ignore[attr-defined]
        for field, after in zip(body, body[1:], strict=False):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
                docs[field.target.id] = " ".join(text.split())
    return docs
