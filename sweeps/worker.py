"""Trains one shard and writes its files; running it again changes nothing."""

import dataclasses
import hashlib
import os
import platform as machine
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis.folder import SHARD_TABLES, Place, damage, has_policies, save_policies, write_table
from sweeps import checkpoints, tables
from sweeps.devices import smaller
from sweeps.plan import ProgramSpec, Shard

if TYPE_CHECKING:
    import jaxrl


@dataclass(frozen=True)
class Receipt:
    """What a worker says of a finished shard; the rows themselves are on disk."""

    shard: str
    lanes: int
    """Lanes trained; 0 where the shard was there already."""
    compiles: int
    resumed: int = 0
    """Lane-updates that came from a checkpoint."""
    unused: str = ""
    """Why the shard's checkpoint was of no use, where it had one."""


class Stopped(BaseException):
    """The shard was asked to stop, and its checkpoint is written. Not an error, and not to be taken for one."""


_programs: dict[str, "jaxrl.Program"] = {}
"""One compiled program an id and process."""


def run_shard(
    folder: Place,
    shard: Shard,
    policies: bool = False,
    on_progress: Callable[[int], None] | None = None,
    checkpoint_every: float | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Trains what a shard lacks and writes its tables, `outcomes` last; goes on from its checkpoint, if it has one.

    Args:
      folder: the results folder.
      policies: whether to save the trained parameters.
      on_progress: called with the shard's lane-updates done so far; what it raises ends the training.
      checkpoint_every: seconds between two checkpoints, which are written where a point of the curves is taken.
      stopping: whether to write one at the next occasion, and to raise Stopped.
    """
    import jaxrl

    program = _program(shard.program)
    if (not policies or has_policies(folder, shard.id)) and damage(folder, SHARD_TABLES, shard.id) is None:
        _write_program_tables(folder, shard.program, program)
        return Receipt(shard.id, 0, 0)
    before = program.compiles
    chunk, lanes = shard.program.chunk, len(shard.lanes)
    keys, values = shard.keys(), shard.values()
    saved, unused = checkpoints.read(folder, shard, policies)
    done, resume = (saved.lanes, saved.state) if saved is not None else (0, None)
    parts = {kind: [saved.tables[kind]] if saved is not None and done else [] for kind in SHARD_TABLES}
    parameters = [saved.policies] if saved is not None and done else []
    resumed, kept, written = 0, saved is not None or bool(unused), time.monotonic()
    for start in range(done, lanes, chunk):
        inside = shard.lanes[start : start + chunk]
        n = len(inside)
        padded = [*range(start, start + n), *[start] * (chunk - n)]

        def report(updates: int, start: int = start, n: int = n) -> None:
            if on_progress is not None:
                on_progress(start * program.total_updates + n * updates)

        def keep(state: Callable[[], list[np.ndarray]], start: int = start) -> None:
            nonlocal kept, written
            stop = stopping()
            if checkpoint_every is None or not (stop or time.monotonic() - written >= checkpoint_every):
                return
            rows = {kind: pa.concat_tables(some) for kind, some in parts.items() if some}
            whole = [np.concatenate(leaves) for leaves in zip(*parameters, strict=True)]
            checkpoints.write(folder, shard, policies, checkpoints.Checkpoint(start, rows, whole, state()))
            kept, written = True, time.monotonic()
            if stop:
                raise Stopped

        try:
            trained = program.train(keys[padded], [values[i] for i in padded], report, resume, keep)
        except jaxrl.UnfitStateError as error:
            checkpoints.remove(folder, shard)
            anew = run_shard(folder, shard, policies, on_progress, checkpoint_every, stopping)
            return dataclasses.replace(anew, unused=str(error))
        except Exception as error:
            if "RESOURCE_EXHAUSTED" in str(error):  # how XLA says so, in an exception of its runtime's own
                found = f"a chunk of {chunk} lanes does not fit into the device's memory"
                raise MemoryError(f"{found}; {smaller(chunk)}") from error
            raise
        if resume is not None:
            resumed, resume = start * program.total_updates + n * int(resume[0]), None
        sampled = {key: [lane[key] for lane in values[start : start + n]] for key in inside[0][0].sampled}
        parts["outcomes"].append(tables.outcomes(shard.program, inside, shard.master_seed, sampled, trained))
        parts["probes"].append(tables.probes(shard.program, inside, trained))
        parts["curves"].append(tables.curves(inside, trained))
        if policies:
            parameters.append(_leaves(trained.policies, n))
    # After the training, so that nobody waits for them to see it begin.
    _write_program_tables(folder, shard.program, program)
    if policies:
        save_policies(folder, shard.id, _like(trained.policies, parameters))
    for kind in SHARD_TABLES:
        if kind == "outcomes" and kept:  # with which it is done, and nobody comes back to tidy up
            checkpoints.remove(folder, shard)
        write_table(folder, kind, shard.id, pa.concat_tables(parts[kind]).combine_chunks())
    return Receipt(shard.id, lanes, program.compiles - before, resumed, unused)


def environment(platform: str, cores: int | None = 1) -> dict[str, str]:
    """What must be in a process's environment before jax is imported there.

    The thread pools' size decides the last bits of large matmuls, so a worker on a CPU has one thread whatever the
    machine; and compiled programs are kept in the user's cache folder unless CHISEL_COMPILATION_CACHE=off.
    """
    found: dict[str, str] = {}
    if platform == "cpu" and cores is not None:
        found |= dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
    cache = cache_folder()
    if cache is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        found |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return found


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


def _program(program: ProgramSpec) -> "jaxrl.Program":
    if program.id not in _programs:
        _programs[program.id] = program.build()
    return _programs[program.id]


def _write_program_tables(folder: Place, program: ProgramSpec, built: "jaxrl.Program") -> None:
    """Several workers may do so at once: they write the same bytes."""
    if damage(folder, ("levels",), program.id) is not None:
        write_table(folder, "levels", program.id, tables.levels(program, built.levels()))
    if damage(folder, ("baselines",), program.id) is not None:
        write_table(folder, "baselines", program.id, tables.baselines(program, built.baselines()))


def _leaves(tree: object, lanes: int) -> list[np.ndarray]:
    """The leaves of a chunk's parameters, without the padding."""
    import jax

    return [np.asarray(leaf)[:lanes] for leaf in jax.tree.leaves(tree)]


def _like(tree: object, parts: list[list[np.ndarray]]) -> list[object]:
    import jax

    return [jax.tree.unflatten(jax.tree.structure(tree), leaves) for leaves in parts]
