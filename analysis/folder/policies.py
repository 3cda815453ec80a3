"""Trained parameters on disk: one orbax checkpoint a shard, one policy back by condition and seed.

Those of the checkpoints of training are one more, a tree by checkpoint.

Every array has a leading axis of lanes and is stored in a chunk a lane, so that one lane is read without the others.
Orbax writes many files; in an object store a checkpoint is one object, a tar of what orbax writes.
"""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.folder.layout import policies_path
from analysis.folder.manifest import read_manifest
from analysis.folder.places import Place, as_place
from analysis.folder.store import store_of

_METADATA = "_METADATA"
_IN_A_LIST = 1
"""Orbax's type of a key that is a place in a list; other keys are names."""
_EMPTY: dict[str, Any] = {"Dict": {}, "List": [], "None": None}
"""What stands in a tree without being an array, by orbax's name."""


def save_policies(folder: str | Place, shard: str, parts: Sequence[Any]) -> None:
    """Saves the chunks' parameters, trees with a leading axis of lanes, as one tree. Appears whole or not at all."""
    _save(policies_path(folder, shard), parts)


def save_checkpoints(folder: str | Place, shard: str, parts: Sequence[Mapping[float, Any]]) -> None:
    """The same for what the chunks' parameters were at each checkpoint of training."""
    _save(_checkpoints_path(folder, shard), [{str(at): tree for at, tree in part.items()} for part in parts])


def _checkpoints_path(folder: str | Place, shard: str) -> Place:
    return policies_path(folder, f"{shard}-checkpoints")


def _save(path: Place, parts: Sequence[Any]) -> None:
    import jax
    import orbax.checkpoint as ocp

    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    lanewise = jax.tree.map(lambda leaf: ocp.SaveArgs(chunk_byte_size=max(leaf[0].nbytes, 1), shard_axes=(0,)), whole)

    def fill(inside: Path) -> None:
        with _quiet(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(inside, args=ocp.args.PyTreeSave(whole, save_args=lanewise), force=True)

    store_of(path).write_bundle(path, fill)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning, for each array, that a chunk a lane is small."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def has_policies(folder: str | Place, shard: str, checkpoints: bool = False) -> bool:
    """Whether the parameters of a shard were saved; with `checkpoints`, those at every checkpoint too."""
    return policies_path(folder, shard).exists() and (not checkpoints or _checkpoints_path(folder, shard).exists())


def find_policy(folder: str | Place, condition: str, seed: int) -> tuple[str, int]:
    """The shard whose checkpoint holds a lane's parameters, and the lane's place in it.

    Raises ValueError as `load_policy` does.
    """
    folder = as_place(folder)
    layer = read_manifest(folder).layer_of(condition, seed)
    if layer is None:
        raise ValueError(f"{folder}: has no lane of condition {condition!r} and seed {seed}")
    shard, place = layer.place_of(condition, seed)
    if not has_policies(folder, shard):
        raise ValueError(f"{folder}: has no saved policies; run the sweep with save.policies = true")
    return shard, place


def load_policy(folder: str | Place, condition: str, seed: int, checkpoint: float = 1.0) -> Any:
    """The trained parameters of one lane, as numpy arrays in nested dicts.

    Args:
      folder: a results folder, of this machine or in a store, whose spec has `save.policies = true`.
      condition, seed: as in the outcomes table.
      checkpoint: as in the table of probes; others than the last need `save.policies = "checkpoints"`.
    Raises:
      ValueError: one line, where this is no results folder, has no such lane or kept no such policies.
      RemoteError: an object store does not do what is asked, in one line.
    """
    shard, lane = find_policy(folder, condition, seed)
    if checkpoint == 1:
        return _read(policies_path(folder, shard), lane)
    path, name = _checkpoints_path(folder, shard), str(float(checkpoint))
    found = _read(path, lane, name) if path.exists() else {}
    if name not in found:
        why = "expected one of probes.at, in a sweep with save.policies = 'checkpoints'"
        raise ValueError(f"{folder}: has no policies saved at checkpoint {checkpoint:g}; {why}")
    return found[name]


def load_policies(folder: str | Place, shard: str) -> Any:
    """The trained parameters of all lanes of a shard that has them, with a leading axis [lanes]; raises as above."""
    return _read(policies_path(folder, shard), slice(None))


def load_checkpoints(folder: str | Place, shard: str) -> dict[float, Any]:
    """The same by checkpoint, in order; the last alone, which is 1, where no others were saved."""
    if not has_policies(folder, shard, checkpoints=True):
        return {1.0: load_policies(folder, shard)}
    found = _read(_checkpoints_path(folder, shard), slice(None))
    return {float(at): found[at] for at in sorted(found, key=float)}


def _read(path: Place, lanes: int | slice, name: str | None = None) -> Any:
    with store_of(path).open_bundle(path) as inside:
        try:
            return _read_lanes(inside, lanes, name)
        except Exception as error:  # of whatever kind a damaged checkpoint provokes
            why = " ".join(str(error).split())[:200]
            raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {why})") from error


def _read_lanes(checkpoint: Path, lanes: int | slice, name: str | None) -> Any:
    """One lane, or some, of every array of an orbax checkpoint, or of those below the first name alone."""
    import tensorstore

    leaves = json.loads((checkpoint / _METADATA).read_text())["tree_metadata"].values()
    files = {"driver": "file", "path": f"{checkpoint}/"}
    tree: dict[Any, Any] = {}
    reads = []
    for leaf in leaves:
        keys = [(int(one["key"]) if one["key_type"] == _IN_A_LIST else one["key"]) for one in leaf["key_metadata"]]
        if name not in (None, keys[0]):
            continue
        here = tree
        for key in keys[:-1]:
            here = here.setdefault(key, {})
        kind = leaf["value_metadata"]["value_type"]
        if kind in _EMPTY:
            here[keys[-1]] = _EMPTY[kind]
            continue
        where = {"driver": "ocdbt", "base": files, "path": ".".join(map(str, keys)) + "/"}
        array = tensorstore.open({"driver": "zarr", "kvstore": where}, open=True, read=True).result()
        reads.append((here, keys[-1], array[lanes].read()))
    for here, key, read in reads:
        here[key] = np.asarray(read.result())
    return _with_lists(tree)


def _with_lists(tree: Any) -> Any:
    """Dicts whose keys are places become lists."""
    if not isinstance(tree, dict):
        return tree
    inside = {key: _with_lists(one) for key, one in tree.items()}
    return [inside[key] for key in sorted(inside)] if inside and all(type(key) is int for key in inside) else inside
