"""What jax finds on this machine, and how many lanes of a sweep one device holds."""

import os

from sweeps.plan import CPU_CHUNK, make_plan
from sweeps.spec import Spec, SpecError

SHARE_OF_MEMORY = 0.7
"""Of an accelerator's memory that the default chunk fills; the rest is room for fragments and for the probes."""
TRIAL_CHUNK = 64
"""The width that is compiled to learn what a lane needs."""
UNKNOWN_MEMORY_CHUNK = 512
"""Where an accelerator does not say how much memory it has."""


def platform() -> tuple[str, int]:
    """The kind of device that jax finds (`cpu`, `gpu`, `tpu`), and how many. Raises SpecError where none starts."""
    import jax

    try:
        kind = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the latter where jax knows the device and has no plugin for it
        raise no_device(error) from None
    if kind == "gpu" and jax.__version_info__ < (0, 11, 1):
        found = f"jax {jax.__version__} has an open report of wrong numbers from scan under vmap on a GPU"
        raise SpecError(
            "device", f"{found}; install jax[cuda13]>=0.11.1 on Python 3.12 or later, or set JAX_PLATFORMS=cpu."
        )
    return kind, jax.local_device_count()


def no_device(error: Exception) -> SpecError:
    """The line for what jax raises where the device that it is told to use does not start."""
    wanted = os.environ.get("JAX_PLATFORMS")
    reason = str(error).partition("\n")[0].rstrip(".") or "jax has no such device"
    if wanted:
        hint = "unset it to use what there is, or set JAX_PLATFORMS=cpu"
        return SpecError(f"JAX_PLATFORMS={wanted}", f"this device cannot be started here ({reason}); {hint}.")
    return SpecError("device", f"jax cannot start one ({reason}); set JAX_PLATFORMS=cpu to train without.")


def default_chunk(spec: Spec, kind: str, devices: int) -> int:
    """The chunk of a sweep that names none: a constant on a CPU; elsewhere a device's share of the lanes, if it fits.

    What fits is computed from the first program's `memory_analysis`; compiles that program.
    """
    import jax

    if spec.chunk is not None:
        return spec.chunk
    if kind == "cpu":
        return CPU_CHUNK
    plan = make_plan(spec, kind, TRIAL_CHUNK)
    share = -(-max(len(one.conditions) for one in plan.programs) * spec.seeds // devices)
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit is None:
        return min(share, UNKNOWN_MEMORY_CHUNK)
    needed = plan.programs[0].program.build().memory()
    lane = needed["per_lane_bytes"] + needed["temporary_bytes"] / TRIAL_CHUNK
    return max(1, min(share, int(SHARE_OF_MEMORY * limit / lane)))


def check_workers(kind: str, devices: int, workers: int | None) -> None:
    """Raises SpecError where processes beside this one cannot have a device each."""
    if kind == "tpu":
        raise SpecError("device", "a TPU belongs to one process, and this one has it; use --executor inline.")
    if kind == "gpu" and (workers or 0) > devices:
        raise SpecError("workers", f"{workers} for {devices} here; each worker needs a GPU, so at most {devices}.")


def fewer(chunk: int) -> str:
    """What to do where workers did not fit into a machine's memory."""
    return f"take fewer --workers, or {smaller(chunk)}"


def smaller(chunk: int) -> str:
    """What to do where a chunk did not fit."""
    return f"plan with --set run.chunk={max(chunk // 2, 1)} and another --out"
