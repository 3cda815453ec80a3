"""Trained parameters on disk: one orbax checkpoint a shard, one policy back by condition and seed.

Orbax writes many files and puts them in place by a rename, which an object store has not. There a checkpoint is one
object, a tar of what orbax writes.
"""

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analysis.folder.layout import names_in, policies_path, table_path
from analysis.folder.places import Place, as_place, at_once
from analysis.folder.remote import Remote


def save_policies(folder: Place, shard: str, parts: list[Any]) -> None:
    """Saves the chunks' parameters, trees with a leading axis of lanes, as one tree. Appears whole or not at all."""
    import jax
    import orbax.checkpoint as ocp

    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    path = policies_path(folder, shard)
    with contextlib.ExitStack() as stack:
        if isinstance(path, Remote):
            inside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chisel-"))) / shard
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            inside = path.resolve()
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(inside, args=ocp.args.PyTreeSave(whole), force=True)
        if isinstance(path, Remote):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(inside, arcname=".")
            path.write_bytes(packed.getvalue())


@contextlib.contextmanager
def _unpacked(folder: Place, shard: str) -> Iterator[Path]:
    """A shard's checkpoint as a folder of this machine."""
    saved = policies_path(folder, shard)
    if not isinstance(saved, Remote):
        yield saved.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="chisel-") as inside:
        try:
            with tarfile.open(fileobj=io.BytesIO(saved.read_bytes())) as tar:
                tar.extractall(inside, filter="data")
        except tarfile.TarError as error:
            raise ValueError(f"{saved}: cannot be unpacked ({' '.join(str(error).split())})") from None
        yield Path(inside)


def find_policy(folder: Place, condition: str, seed: int) -> tuple[str, int]:
    """The shard whose checkpoint holds a lane's parameters, and the lane's place in it.

    Raises ValueError as `load_policy` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def lanes_of(shard: str) -> list[tuple[str, int]]:
        content = table_path(folder, "outcomes", shard).read_bytes()
        table = pq.read_table(pa.BufferReader(content), columns=["condition", "seed"])
        return list(zip(table["condition"].to_pylist(), table["seed"].to_pylist(), strict=True))

    shards = sorted(names_in(folder, "outcomes"))
    for shard, lanes in zip(shards, at_once(folder, lanes_of, shards), strict=True):
        if (condition, seed) in lanes:
            if not policies_path(folder, shard).exists():
                raise ValueError(f"{folder}: kept no policies; run the sweep with save.policies = true")
            return shard, lanes.index((condition, seed))
    raise ValueError(f"{folder}: has no lane of condition {condition!r} and seed {seed}")


def load_policy(folder: str | Place, condition: str, seed: int) -> Any:
    """The trained parameters of one lane, as numpy arrays in nested dicts.

    Args:
      folder: a results folder, of this machine or in a store, whose spec has `save.policies = true`.
      condition, seed: as in the outcomes table.
    Raises:
      ValueError: one line, where the folder has no such lane or kept no policies.
      RemoteError: an object store does not do what is asked, in one line.
    """
    import jax
    import orbax.checkpoint as ocp

    folder = as_place(folder)
    shard, lane = find_policy(folder, condition, seed)
    with _unpacked(folder, shard) as inside, ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        tree = checkpointer.metadata(inside).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        whole = checkpointer.restore(inside, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return jax.tree.map(lambda leaf: leaf[lane], whole)
