"""In these tests arrays of different ranks or dtypes do not mix unless the code says so."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def strict_promotion():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield
