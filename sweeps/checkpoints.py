"""Shards in their midst on disk: one file each, `DIR/checkpoints/SHARD.checkpoint`, gone when the shard is done.

A digest, a line of JSON that says whose it is, and an npz of plain arrays, among them the finished chunks' tables in
Arrow's IPC format: nothing in it is ever unpickled.
"""

import functools
import hashlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.folder import Place, write_file
from sweeps.plan import Shard, package_versions


class Checkpoint(NamedTuple):
    """Where the training of a shard stands."""

    lanes: int
    """Of the chunks that are finished."""
    tables: dict[str, pa.Table]
    """Their rows, by kind; empty where no chunk is finished."""
    policies: list[np.ndarray]
    """The leaves of their parameters, at every checkpoint where these are kept, [lanes, ...]; empty where none is."""
    state: list[np.ndarray]
    """Of the chunk in training; see `Program.train`."""


def write(folder: Place, shard: Shard, policies: bool | str, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in place of the one before, whole or not at all."""
    arrays = {f"state.{i}": leaf for i, leaf in enumerate(checkpoint.state)}
    arrays |= {f"policies.{i}": leaf for i, leaf in enumerate(checkpoint.policies)}
    arrays |= {kind: _as_bytes(table) for kind, table in checkpoint.tables.items()}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]  # of numpy's stubs
    head = json.dumps({"lanes": checkpoint.lanes, **_owner(shard, policies)}).encode()
    content = head + b"\n" + file.getvalue()
    write_file(_path(folder, shard), _digest(content) + b"\n" + content)


def read(folder: Place, shard: Shard, policies: bool | str) -> tuple[Checkpoint | None, str]:
    """The checkpoint of a shard, and the reason why there is none to be used, empty where none was written."""
    path = _path(folder, shard)
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        if digest != _digest(content):
            return None, "its content does not match its digest"
        head, _, body = content.partition(b"\n")
        there, here = json.loads(head), _owner(shard, policies)
        lanes = there.pop("lanes")
        if there != here:
            return None, f"of another {next(key for key in {**there, **here} if there.get(key) != here.get(key))}"
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            arrays = dict(file)
        tables = {kind: _as_table(array) for kind, array in arrays.items() if "." not in kind}
        if lanes not in range(0, len(shard.lanes), shard.program.chunk) or (lanes > 0) != bool(tables):
            return None, "it has another number of lanes"
        return Checkpoint(lanes, tables, _leaves(arrays, "policies"), _leaves(arrays, "state")), ""
    except FileNotFoundError:
        return None, ""
    except Exception as error:  # whatever a file made to mislead provokes
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"


def remove(folder: Place, shard: Shard) -> None:
    _path(folder, shard).unlink(missing_ok=True)


def _path(folder: Place, shard: Shard) -> Place:
    return folder / "checkpoints" / f"{shard.id}.checkpoint"


def _owner(shard: Shard, policies: bool | str) -> dict[str, Any]:
    """What has to be the same for the bits to be. A shard's id stands for its program and its lanes."""
    import jax

    return {
        "shard": shard.id, "policies": policies, "platform": jax.default_backend(), "versions": package_versions(),
        "source": _source(),
    }  # fmt: skip


@functools.cache
def _source() -> str:
    """A digest of the code that trains: a chunk that is begun by one and ended by another would be neither's."""
    root, found = Path(__file__).parents[1], hashlib.blake2b(digest_size=8)
    for path in sorted(path for room in ("envs", "jaxrl", "sweeps") for path in (root / room).rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _leaves(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [arrays[f"{name}.{i}"] for i in range(sum(key.startswith(f"{name}.") for key in arrays))]


def _as_bytes(table: pa.Table) -> np.ndarray:
    file = pa.BufferOutputStream()
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(file.getvalue(), np.uint8)


def _as_table(content: np.ndarray) -> pa.Table:
    with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table
