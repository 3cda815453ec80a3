"""Functions of one thing, run over many at once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
"""Compiling takes nearly all of the time, and running none: with these it takes a half or a quarter."""


def batch(function: Callable, *given: Any) -> Any:
    """What a function returns over leading axes, compiled, as NumPy arrays."""
    compiled = jax.jit(jax.vmap(function), compiler_options=known_options(QUICKLY))  # type: ignore[call-overload]
    return jax.tree.map(np.asarray, compiled(*given))


def known_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that this version of XLA has; it compiles nothing under another one."""
    return {name: value for name, value in options.items() if _is_known(name, value)}


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value})()  # type: ignore[call-overload]
    except jax.errors.JaxRuntimeError:
        return False
    return True
