"""What is allowed in code of others that mixes arrays of different ranks and dtypes."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def implicit_promotion() -> Iterator[None]:
    """Lets arrays of different ranks and dtypes mix, whatever jax is set to: gymnax, optax, evosax, mctx rely on it."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
