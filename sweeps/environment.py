"""The process environment in which policies are trained: no setting of the user's decides a number there."""

import contextlib
import hashlib
import os
import platform as machine
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HARMLESS = (
    "JAX_COMPILATION_CACHE", "JAX_CUDA_VISIBLE", "JAX_DEBUG_LOG", "JAX_DUMP_IR", "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_EXPLAIN", "JAX_LOG", "JAX_ONEAPI_VISIBLE", "JAX_PERSISTENT_CACHE", "JAX_PLATFORM", "JAX_RAISE_PERSISTENT",
    "JAX_ROCM_VISIBLE", "JAX_TRACEBACK",
)  # fmt: skip
"""Beginnings of the names of jax's variables that choose a device, a cache or messages. The others are ignored."""
HARMLESS_FLAGS = ("--xla_dump_", "--xla_gpu_cuda_data_dir", "--xla_gpu_enable_command_buffer")
"""Beginnings of XLA's flags that decide no number. The others are ignored."""
OF_A_DEVICE = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
"""Variables that a device's own library reads, and that can decide numbers. They are ignored."""
PINNED = {
    "jax_allow_f16_reductions": True,
    "jax_debug_infs": False,
    "jax_debug_nans": False,
    "jax_default_matmul_precision": "float32",
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_enable_custom_prng": False,
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_random_seed_offset": 0,
    "jax_threefry_partitionable": True,
}
"""Settings of jax that decide numbers, or whether there are any. All but one are jax's defaults: by default GPUs round
what they multiply to TF32, 10 bits of fraction, and TPUs to bfloat16, 7 bits. On a CPU that one changes nothing."""
DECIDED = {"JAX_DEFAULT_MATMUL_PRECISION": str(PINNED["jax_default_matmul_precision"])}
"""Variables that bring a process that has yet to import jax to `PINNED`."""
MEMORY_FRACTION = "0.9"
"""Of a GPU's memory that a worker takes when it starts; the driver's context on the same GPU needs some of the rest."""
COLLECT_AFTER = 100_000
"""New objects after which Python looks for garbage in cycles. Imports and traces make millions that stay; by default,
700, looking at them takes a tenth of the time to the first update."""
THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def ignored(variables: Mapping[str, str]) -> dict[str, str]:
    """What of an environment could change numbers, so that no training sees it; of XLA_FLAGS, the flags that could."""
    flags = [flag for flag in variables.get("XLA_FLAGS", "").split() if not flag.startswith(HARMLESS_FLAGS)]
    found = {
        name: value
        for name, value in variables.items()
        if (name.startswith(("JAX_", "FLAX_")) and not name.startswith(HARMLESS) and DECIDED.get(name) != value)
        or name in OF_A_DEVICE
    }
    return found | ({"XLA_FLAGS": " ".join(flags)} if flags else {})


def environment(variables: Mapping[str, str], platform: str, cores: int | None = 1) -> dict[str, str]:
    """The environment of a process that trains, made from another one.

    The size of thread pools decides the last bits of large matmuls, so a worker on a CPU has one thread whatever the
    machine; `cores` None leaves that open. On a GPU it takes its share of the memory at once, XLA_CLIENT_MEM_FRACTION;
    a driver, which only plans, takes what it needs. Compiled programs are kept in the user's cache folder unless
    CHISEL_COMPILATION_CACHE=off.

    Args:
      platform: where the process trains; `cpu` for one that does not know yet, as a driver.
    """
    left_out = ignored(variables)
    found = {name: value for name, value in variables.items() if name not in left_out} | DECIDED
    found["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true" if platform == "gpu" else "false"
    if "XLA_PYTHON_CLIENT_MEM_FRACTION" not in variables:  # its older name; jax refuses both
        found.setdefault("XLA_CLIENT_MEM_FRACTION", MEMORY_FRACTION)
    if flags := [flag for flag in variables.get("XLA_FLAGS", "").split() if flag.startswith(HARMLESS_FLAGS)]:
        found["XLA_FLAGS"] = " ".join(flags)
    if platform == "cpu" and cores is not None:
        found |= dict.fromkeys(THREADS, str(cores))
    cache = cache_folder()
    if cache is not None and "JAX_COMPILATION_CACHE_DIR" not in variables:
        found |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return found


def prepare(platform: str = "cpu", cores: int | None = 1) -> bool:
    """Makes this process's environment one for training; returns False where it is too late: jax has been imported."""
    if "jax" in sys.modules:
        return False
    wanted = environment(os.environ, platform, cores)
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
    return True


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Has jax decide numbers in this process as it does in workers, whatever the caller has set."""
    if prepare(cores=None):
        yield
        return
    import jax

    before: dict[str, Any] = {name: value for name, value in jax.config.values.items() if name in PINNED}
    try:
        for name in before:
            jax.config.update(name, PINNED[name])
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


_unpinned: dict[str, str] = {}


@contextlib.contextmanager
def training_here() -> Iterator[None]:
    """While this process trains, `unpinned` says what decides numbers in it and can no longer be pinned."""
    if not prepare():
        _unpinned.update({name: value for name, value in ignored(os.environ).items() if name.lower() not in PINNED})
    try:
        yield
    finally:
        _unpinned.clear()


def unpinned() -> dict[str, str]:
    """What could change numbers in this process, which trains under it; recorded as versions are."""
    return dict(_unpinned)


def cache_folder() -> Path | None:
    """The compilation cache, keyed by host CPU: code compiled for one may not run on another that shares the home."""
    if os.environ.get("CHISEL_COMPILATION_CACHE", "").lower() in ("off", "0", "false", "no"):
        return None
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home folder
        return None
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        cpu = f"{machine.machine()} {machine.processor()}"
    return base / "chisel" / "xla" / hashlib.blake2b(cpu.encode()).hexdigest()[:16]
