"""What a rule of the kit is, and how rules compare what a world gives."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from envs.trial import Trial

TOLERANCE = 1e-4
"""Relative, between numbers from a plain call and from a compiled batch: fusion rounds otherwise."""

Fault = Callable[..., None]
"""Reports a fault, and the method that it is in where that is not the rule's own."""


class Rule(NamedTuple):
    """One thing that a world owes; `look` reports each fault, and returns what it looked at."""

    name: str
    advice: str
    rests_on: tuple[str, ...]
    of: str
    """The method of the world to look at where the rule fails."""
    warns: bool
    """Whether a fault is a warning, with which the world still conforms."""
    look: Callable[[Trial, Fault], str]


def rule(name: str, advice: str, *rests_on: str, of: str = "", warns: bool = False) -> Callable[[Any], Rule]:
    """Makes a rule of a function that looks."""

    def made(look):
        return Rule(name, advice, rests_on, of, warns, look)

    return made


def intended_goal(trial: Trial) -> int:
    return [goal.role for goal in trial.goals].index("intended")


def described(leaf: Any) -> str:
    """An array's dtype and shape, as docstrings write them: `f32[3]`."""
    dtype, shape = getattr(leaf, "dtype", np.asarray(leaf).dtype), np.shape(leaf)
    short = f"{dtype.kind}{8 * dtype.itemsize}" if getattr(dtype, "kind", "") in ("f", "i", "u", "c") else dtype
    return f"{short}[{', '.join(map(str, shape))}]"


def first(wrong: np.ndarray) -> tuple[int, ...] | None:
    """The place of the first True."""
    places = np.argwhere(wrong)
    return tuple(int(i) for i in places[0]) if len(places) else None


def uses_first(function: Callable, *given: Any) -> bool:
    """Whether the trace of a function uses its first argument, a scalar."""
    trace = jax.make_jaxpr(function)(*given).jaxpr
    return any(trace.invars[0] in equation.invars for equation in trace.eqns)


def as_rows(tree: Any, axes: int = 1) -> list[bytes]:
    """The bytes of each entry along the leading axes, taken as one, of a pytree of arrays."""
    leaves = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(tree)]
    count = np.prod(leaves[0].shape[:axes], dtype=int)
    flat = [leaf.reshape(count, -1).view(np.uint8) for leaf in leaves if leaf.size]
    return [row.tobytes() for row in np.concatenate(flat, axis=1)] if flat else []


def same(one: Any, other: Any) -> np.ndarray:
    """bool[n, m], where two pytrees of arrays with leading axes [n, m] are equal in everything but time."""
    pairs = zip(timeless(one), timeless(other), strict=True)
    return np.logical_and.reduce([(a == b).reshape(*a.shape[:2], -1).all(-1) for a, b in pairs])


def timeless(state: Any, *others: str) -> list[Any]:
    """The leaves of states, but for time and others by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [leaf for path, leaf in leaves if jax.tree_util.keystr(path) not in (".time", "['time']", *others)]


def difference(one: Any, other: Any) -> str:
    """Where two pytrees of arrays differ first, numbers by more than `TOLERANCE`; empty where nowhere."""
    if jax.tree.structure(one) != jax.tree.structure(other):  # type: ignore[operator]
        return "the structure"
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        close = functools.partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if a.shape != b.shape or not (close(a, b) if a.dtype.kind == "f" else np.array_equal(a, b)):
            return f"{jax.tree_util.keystr(path).strip('.') or 'the value'}: {brief(a)} and {brief(b)}"
    return ""


def brief(value: np.ndarray) -> str:
    return " ".join(str(value).split()) if value.size <= 4 else f"an array {described(value)}"
