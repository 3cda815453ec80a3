"""Checks a machine before it is trusted with a sweep: device, settings, threads, cache, store, and its numbers."""

import os
import platform as machine
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from analysis.folder import Place, as_place, store_of
from sweeps.devices import platform
from sweeps.environment import environment, ignored, pinned, prepare
from sweeps.executors.processes import cores
from sweeps.spec import SpecError

TOLERANCE = 1e-3
"""Of a curve after one update: another width of vmap rounds otherwise, a wrong program is off by far more."""
ROUNDING = 1e-5
"""Of a product of 256 x 256: float32 is off by 6e-7 of the largest number, TF32 by 3e-4, bfloat16 by 2e-3."""
LANES = 8
PACKAGES = ("chisel-rl", "jax", "jaxlib", "flax", "optax", "gymnax", "numpy", "pandas", "pyarrow", "orbax-checkpoint")


@dataclass(frozen=True)
class Diagnosis:
    """One finding."""

    name: str
    good: bool
    found: str
    advice: str = ""
    """What to do where it is not good."""


def diagnose(folder: str | Place = "results") -> list[Diagnosis]:
    """Runs every check, in the environment that workers have; takes a minute where nothing is in the compilation cache.

    Args:
      folder: where results would be written; it is left as it was.
    """
    settings = _settings()
    prepare()
    with pinned():
        device = _device()
        found = [_versions(), device, settings, _threads(), _cache(), _store(as_place(folder))]
        return found + ([_products(), *_agreement()] if device.good else [])


def _versions() -> Diagnosis:
    found = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return Diagnosis("versions", True, f"Python {machine.python_version()}, {found}")


def _device() -> Diagnosis:
    import jax

    try:
        platform()
    except SpecError as error:
        advice = "the agreement of lanes was not checked: choose a device that starts, then run this again."
        return Diagnosis("device", False, str(error).removeprefix("device: "), advice)
    devices = jax.devices()
    return Diagnosis("device", True, f"{len(devices)} x {devices[0].device_kind} ({jax.default_backend()})")


def _settings() -> Diagnosis:
    """What jax and XLA are told by the environment has no part in training, where it could change numbers."""
    found = ignored(os.environ)
    if not found:
        return Diagnosis("settings", True, "the environment has none that could change numbers")
    shown = ", ".join(f"{name}={value}" for name, value in sorted(found.items()))
    return Diagnosis("settings", True, f"ignored in training, because they could change numbers: {shown}")


def _threads() -> Diagnosis:
    """On a CPU a worker has one core and one thread, whatever the machine: thread pools decide the last bits."""
    usable = cores()
    found = f"{len(usable)} cores for as many workers"
    if not hasattr(os, "sched_setaffinity"):
        return Diagnosis("threads", True, f"{found}; they cannot be pinned here: slower, with the same results")
    try:
        os.sched_setaffinity(0, set(usable))
    except OSError:
        return Diagnosis("threads", True, f"{found}; pinning is forbidden here: slower, with the same results")
    return Diagnosis("threads", True, f"{found}, each pinned with NPROC={environment({}, 'cpu')['NPROC']}")


def _cache() -> Diagnosis:
    folder = environment(os.environ, "cpu").get("JAX_COMPILATION_CACHE_DIR")
    if folder is None:
        return Diagnosis("compilation cache", True, "off: every worker of every run compiles again")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return Diagnosis("compilation cache", True, folder)
    except OSError as error:
        advice = "make it writable, set XDG_CACHE_HOME, or switch it off with CHISEL_COMPILATION_CACHE=off."
        return Diagnosis("compilation cache", False, f"{folder} cannot be written ({error.strerror})", advice)


def _store(folder: Place) -> Diagnosis:
    return Diagnosis("store", *store_of(folder).try_out(folder))


def _products() -> Diagnosis:
    """Whether the device multiplies float32 as such, as training has it do, or rounds to TF32 or bfloat16."""
    import jax.numpy as jnp

    left, right = np.random.default_rng(0).normal(size=(2, 256, 256)).astype(np.float32)
    exact = left.astype(float) @ right
    off = float(np.abs(np.asarray(jnp.matmul(left, right)) - exact).max() / np.abs(exact).max())
    advice = "products are rounded to less than float32 here: numbers are not those of other machines."
    return Diagnosis("products", off <= ROUNDING, f"of float32: largest relative error {off:.1e}", advice)


def _agreement() -> list[Diagnosis]:
    """The same few lanes in one chunk, the same again, in chunks of half the width, and one by one."""
    import envs
    import jaxrl

    counts = {"total_steps": 256, "n_envs": 8, "n_steps": 32}
    learner = jaxrl.make("ppo", {f"learner.{name}": value for name, value in counts.items()})
    keys = np.random.default_rng(0).integers(0, 2**32, (LANES, 2), dtype=np.uint32)
    values = [{"env.diversity": lane / (LANES - 1)} for lane in range(LANES)]
    programs = {width: jaxrl.Program(envs.make("coin-run"), learner, width, (1,)) for width in (LANES, LANES // 2, 1)}

    def curves(width: int) -> dict[str, np.ndarray]:
        starts = range(0, LANES, width)
        parts = [programs[width].train(keys[i : i + width], values[i : i + width]).curves for i in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    together, again = curves(LANES), curves(LANES)
    same = all(together[name].tobytes() == again[name].tobytes() for name in together)
    found = f"{LANES} lanes twice: {'the same bits' if same else 'other bits'}"
    advice = "the same training gives other numbers each time here: no run can be repeated or resumed to the same bits."
    checks = [Diagnosis("repetition", same, found, advice)]
    for width, how in (
        (LANES // 2, f"{LANES} lanes at once and in chunks of {LANES // 2}"),
        (1, "at once and one by one"),
    ):
        other = curves(width)
        off = max(float(np.nanmax(np.abs(together[name] - other[name]) / (np.abs(other[name]) + 1))) for name in other)
        advice = "batched training gives other numbers than sequential training here: do not trust this device and jax."
        checks.append(Diagnosis("agreement", off <= TOLERANCE, f"{how}: largest relative difference {off:.1e}", advice))
    return checks
