"""Trained parameters on disk: one orbax checkpoint a shard, one policy back by condition and seed."""

from pathlib import Path
from typing import Any

import numpy as np

from sweeps import store


def save_policies(folder: Path, shard: str, parts: list[Any]) -> None:
    """Saves the chunks' parameters, trees with a leading axis of lanes, as one tree. Appears whole or not at all."""
    import jax
    import orbax.checkpoint as ocp

    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    path = store.policies_path(folder, shard)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(path.resolve(), args=ocp.args.PyTreeSave(whole), force=True)


def find_policy(folder: Path, condition: str, seed: int) -> tuple[Path, int]:
    """The checkpoint that holds a lane's parameters, named after its shard, and the lane's place in it.

    Raises ValueError as `load_policy` does.
    """
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("outcomes/*.parquet")):
        table = pq.read_table(path, columns=["condition", "seed"])
        lanes = list(zip(table["condition"].to_pylist(), table["seed"].to_pylist(), strict=True))
        if (condition, seed) in lanes:
            break
    else:
        raise ValueError(f"{folder}: has no lane of condition {condition!r} and seed {seed}")
    saved = store.policies_path(folder, path.stem)
    if not saved.is_dir():
        raise ValueError(f"{folder}: kept no policies; run the sweep with save.policies = true")
    return saved, lanes.index((condition, seed))


def load_policy(folder: str | Path, condition: str, seed: int) -> Any:
    """The trained parameters of one lane, as numpy arrays in nested dicts.

    Args:
      folder: a results folder whose spec has `save.policies = true`.
      condition, seed: as in the outcomes table.
    Raises:
      ValueError: one line, where the folder has no such lane or kept no policies.
    """
    import jax
    import orbax.checkpoint as ocp

    saved, lane = find_policy(Path(folder), condition, seed)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        tree = checkpointer.metadata(saved.resolve()).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        whole = checkpointer.restore(saved.resolve(), args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return jax.tree.map(lambda leaf: leaf[lane], whole)
