"""Shared set-up: strict shapes and types in every test, and compiled programs kept between runs of the suite."""

import os
import pathlib

os.environ.setdefault("NPROC", "1")

import jax  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "chisel" / "tests"
jax.config.update("jax_numpy_rank_promotion", "allow")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
