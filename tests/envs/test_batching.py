"""Options of the compiler that a version of XLA lacks are left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.batching import batch, known_options


def test_options_that_xla_lacks_are_left_out():
    some = {"xla_backend_optimization_level": 1, "xla_that_no_version_has": False}
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_that_no_version_has"):
        jax.jit(lambda: 0, compiler_options=some)()
    assert known_options(some) == {"xla_backend_optimization_level": 1}


def test_a_batch_is_compiled_under_those_that_it_has(monkeypatch):
    monkeypatch.setattr("envs.batching.QUICKLY", {"xla_that_no_version_has": 0})
    assert np.array_equal(batch(jnp.square, jnp.arange(3)), [0, 1, 4])
