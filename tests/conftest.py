"""Shared set-up: one thread, programs that compile quickly, and a cache of them for each run of the suite.

Compiling takes most of the suite's time, and `QUICKLY` cuts it to a third or less. Numbers differ from a user's in
their last bits. A claim about a user's bits takes a process of its own that does not inherit these flags, as in
tests/sweeps/test_training.py.
"""

import gc
import importlib.metadata
import os
import tempfile

import pytest

from tests.object_store import bucket, server  # noqa: F401 (fixtures)

HAS_EMITTERS = tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 11)
"""Whether XLA has that flag; it ends the process at one that it has not."""
QUICKLY = "--xla_backend_optimization_level=0" + " --xla_cpu_use_fusion_emitters=false" * HAS_EMITTERS
CACHE = tempfile.TemporaryDirectory(prefix="chisel-tests-", ignore_cleanup_errors=True)

# Tracing makes many objects and few cycles, and a full collection looks at all that jax and pandas have ever made.
gc.set_threshold(100_000)

# Before jax is imported here or in a process that a test starts; pytest's workers have those of their parent.
os.environ.setdefault("NPROC", "1")
os.environ.setdefault("XLA_FLAGS", QUICKLY)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", CACHE.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


@pytest.fixture(scope="session", autouse=True)
def all_functions_compile_quickly():
    """Programs have options of their own for some functions, which would go before the flags."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxrl.program.COLD", {})
        yield


@pytest.fixture(scope="session", autouse=True)
def strict_promotion():
    """In these tests arrays of different ranks or dtypes do not mix unless the code says so."""
    import jax

    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield
