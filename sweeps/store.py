"""A folder of results: whole files or none, each with a digest of its content.

DIR/manifest.json              {"layers": [...]}, append-only; a layer has the lanes that no earlier one has
DIR/.lock                      see `sweeps.locks`; in an object store DIR/claims/
DIR/failed/SHARD.json          {"reason": ...} of a shard that failed when it was last run
DIR/outcomes/SHARD.parquet     one row a lane; written last: with it a shard is done
DIR/probes/SHARD.parquet       one row a lane × checkpoint × probe × actor × sampled or greedy
DIR/curves/SHARD.parquet       one row a lane × point of its curve
DIR/levels/PROGRAM.parquet     one row a probe episode
DIR/baselines/PROGRAM.parquet  known policies on the probes
DIR/checkpoints/               shards in their midst, on request (see `sweeps.checkpoints`)
DIR/policies/SHARD/            trained parameters, on request; in an object store SHARD.tar, the same folder packed
DIR/rollouts/                  pictures of policies at work (see `sweeps.watching`); a report shows them
DIR/levels.png                 training and probe levels (see `sweeps.sheets`); a report shows it
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from folders import Place, Remote, RemoteError, read_part
from sweeps.plan import Shard
from sweeps.spec import MAX_LANES

SHARD_TABLES = ("probes", "curves", "outcomes")
"""In the order of writing."""
PROGRAM_TABLES = ("levels", "baselines")
STALE_SECONDS = 3600.0
"""A temporary file this old was left by a process that was killed; writing one takes well under a second."""
FAILURE_BYTES = 10_000
"""Read of a record of failure: a reason is a line."""
_DIGEST, _PLACE = b"chisel.digest", b"0" * 32
_DIVERGED, _DIVERGED_DIGITS = b"chisel.diverged", 8
_TAIL = 8192
"""Bytes at the end of a table's file that hold what stands beside its digest."""
_ID = re.compile(r"[0-9a-f]{16}")
_LAYER = {
    "spec": dict, "world": str, "factors": list, "goals": list, "settings": dict, "conditions": dict, "seeds": dict,
    "arms": dict, "programs": dict, "width": int, "shards": list, "versions": dict, "platform": str, "chunk": int,
}  # fmt: skip
"""What a layer of the manifest has at least."""


class DamagedError(ValueError):
    """A file of a results folder that is not what was written; one line that names it."""

    def __init__(self, path: Place, what: str):
        super().__init__(f"{path}: {what}")
        self.path = path


def table_path(folder: Place, kind: str, name: str) -> Place:
    return folder / kind / f"{name}.parquet"


def encode(kind: str, name: str, table: pa.Table) -> bytes:
    """A table as a parquet file that carries a digest of itself; equal tables give equal bytes."""
    # Statistics would only repeat the content, and a dictionary of floats merges the two zeros.
    strings = [field.name for field in table.schema if pa.types.is_string(field.type)]
    table = table.replace_schema_metadata(None)
    # Page checksums are for readers that know nothing of the digest, such as `analysis.load`.
    options: dict[str, Any] = {
        "compression": "zstd", "write_statistics": False, "use_dictionary": strings or False,
        "write_page_checksum": True,
    }  # fmt: skip
    file = pa.BufferOutputStream()
    with pq.ParquetWriter(file, table.schema, **options) as writer:
        writer.write_table(table)
        if "diverged" in table.column_names:  # where `diverged_lanes` finds it without reading the table
            count = pc.sum(table["diverged"]).as_py() or 0
            writer.add_key_value_metadata({_DIVERGED: str(count).zfill(_DIVERGED_DIGITS)})
        writer.add_key_value_metadata({_DIGEST: _PLACE})
    content = file.getvalue().to_pybytes()
    before, _, after = _around_digest(content)
    return before + _digest(kind, name, before, after) + after


def _around_digest(content: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands before, in and after the place of the digest in the file's metadata.

    Thrift's compact protocol writes a field's type and the length of its text, a byte each, between key and value.
    """
    start = content.rindex(_DIGEST) + len(_DIGEST) + 2
    return content[:start], content[start : start + len(_PLACE)], content[start + len(_PLACE) :]


def _digest(kind: str, name: str, before: bytes, after: bytes) -> bytes:
    """BLAKE2b over every other byte of a file, and over its place, so that no file passes for another."""
    return (
        hashlib.blake2b(f"{kind}/{name}/".encode() + before + after, digest_size=len(_PLACE) // 2).hexdigest().encode()
    )


def write_table(folder: Place, kind: str, name: str, table: pa.Table) -> None:
    """Writes a table whole or not at all."""
    write_file(table_path(folder, kind, name), encode(kind, name, table))


def verify(folder: Place, kind: str, name: str) -> bytes:
    """The bytes of a table's file, after its digest has been checked.

    Raises:
      FileNotFoundError: it has not been written.
      DamagedError: truncated, altered by a bit or more, or another shard's.
    """
    path = table_path(folder, kind, name)
    try:
        content = path.read_bytes()
        before, written, after = _around_digest(content)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = "it holds no digest" if isinstance(error, ValueError) else _line(error)
        raise DamagedError(path, f"cannot be read ({why})") from None
    if written != _digest(kind, name, before, after):
        raise DamagedError(path, "its content does not match its digest")
    return content


def diverged_lanes(folder: Place, shard: str) -> int:
    """How many lanes of a shard diverged, from the end of its outcomes; the digest is not checked.

    Raises DamagedError where the end is missing.
    """
    path = table_path(folder, "outcomes", shard)
    try:
        tail = read_part(path, _TAIL, end=True)
        start = tail.rindex(_DIVERGED) + len(_DIVERGED) + 2
        if not tail.endswith(b"PAR1"):
            raise ValueError
        return int(tail[start : start + _DIVERGED_DIGITS])
    except (OSError, ValueError):
        raise DamagedError(path, "its end is missing") from None


def read_table(folder: Place, kind: str, name: str) -> pa.Table:
    """Reads a table whose digest is right; raises as `verify` does."""
    # In one thread and from memory: Arrow's readers that outlive the read can abort the process at its exit.
    file = pq.ParquetFile(pa.BufferReader(verify(folder, kind, name)), pre_buffer=False)
    return file.read(use_threads=False)


def write_file(path: Place, content: bytes) -> None:
    """Writes aside in the same folder, flushes to the disk and renames: a reader sees all of it or nothing.

    An object in a store appears so by itself.
    """
    if isinstance(path, Remote):
        path.write_bytes(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself
    finally:
        os.close(handle)


def set_aside(path: Place) -> Place:
    """Renames a damaged file to NAME.bad, where no reader looks, and returns the new path."""
    bad = path.with_name(f"{path.name}.bad")
    with contextlib.suppress(FileNotFoundError):  # another run was faster
        path.replace(bad)  # type: ignore[arg-type]
    return bad


def damage(folder: Place, kinds: tuple[str, ...], name: str) -> list[DamagedError] | None:
    """None where these tables are all there and sound; else the damaged ones (an empty list: some are missing)."""
    found, missing = [], False
    for kind in kinds:
        try:
            verify(folder, kind, name)
        except FileNotFoundError:
            missing = True
        except DamagedError as error:
            found.append(error)
    return found if found or missing else None


def names(folder: Place, kind: str) -> set[str]:
    """What has a table of this kind, or a record of it; nothing is opened."""
    return {name for name, _ in _entries(folder, kind)}


def times(folder: Place, kind: str) -> dict[str, float]:
    """When each table of this kind was written, in seconds since the epoch."""
    return {name: written() for name, written in _entries(folder, kind)}


def _entries(folder: Place, kind: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """The name of each, and what says when it was written."""
    for name, written in _files(folder / kind):
        name, _, ending = name.partition(".")
        if ending in ("parquet", "json"):
            yield name, written


def _files(folder: Place) -> Iterator[tuple[str, Callable[[], float]]]:
    if isinstance(folder, Remote):
        for one, at in folder.scan():
            yield one.name, functools.partial(float, at)
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, functools.partial(_written, entry)
    except (FileNotFoundError, NotADirectoryError):
        return


def _written(entry: os.DirEntry) -> float:
    return entry.stat().st_mtime


def write_failure(folder: Place, shard: str, reason: str) -> None:
    """Notes why a shard failed. It is a note for people: what is done is told by the tables alone."""
    with contextlib.suppress(OSError, RemoteError):  # a full disk, which may be why it failed
        write_file(folder / "failed" / f"{shard}.json", (json.dumps({"reason": reason}) + "\n").encode())


def failure(folder: Place, shard: str) -> str:
    """Why a shard failed."""
    try:
        record = read_part(folder / "failed" / f"{shard}.json", FAILURE_BYTES)
        return " ".join(str(json.loads(record)["reason"]).split())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def clear_failure(folder: Place, shard: str) -> None:
    with contextlib.suppress(RemoteError):  # `failed` is read of shards that are not done alone
        (folder / "failed" / f"{shard}.json").unlink(missing_ok=True)


def policies_path(folder: Place, shard: str) -> Place:
    return folder / "policies" / (f"{shard}.tar" if isinstance(folder, Remote) else shard)


def is_done(folder: Place, shard: Shard, policies: bool) -> bool:
    """Whether every file of a shard is there and sound. There is no other resume state."""
    return has_policies(folder, shard, policies) and damage(folder, SHARD_TABLES, shard.id) is None


def has_policies(folder: Place, shard: Shard, wanted: bool) -> bool:
    """Whether a shard's policies are there, or are not wanted. Orbax puts the folder in place when it is whole."""
    return not wanted or policies_path(folder, shard.id).exists()


def read_manifest(folder: Place) -> list[dict[str, Any]] | None:
    """The layers of a results folder, or None where it has no manifest. Raises DamagedError where it is no manifest."""
    path = folder / "manifest.json"
    try:
        layers = json.loads(path.read_bytes())["layers"]
        if not layers or not all(isinstance(layer[key], kind) for layer in layers for key, kind in _LAYER.items()):
            raise ValueError("a layer is not whole")
        for layer in layers:
            names = [*layer["shards"], *layer["programs"], *layer["conditions"]]
            if not all(isinstance(name, str) and _ID.fullmatch(name) for name in names):
                raise ValueError("it names a shard, program or condition by what is no id")
            if not all([type(n) for n in span] == [int, int] for span in layer["seeds"].values()):
                raise ValueError("the seeds of a condition are no range")
            if not all(isinstance(own, dict) for own in layer["conditions"].values()):
                raise ValueError("a condition has no settings")
            if len(sizes(layer)) != len(layer["shards"]):
                raise ValueError("its shards are not as many as its lanes need")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise DamagedError(path, f"is not the manifest of a results folder ({_line(error)})") from None
    return layers


def sizes(layer: dict[str, Any]) -> list[int]:
    """The number of lanes in each shard of a layer."""
    found: list[int] = []
    width, lanes = layer["width"], [program["lanes"] for program in layer["programs"].values()]
    if not all(type(n) is int and n > 0 for n in (width, *lanes)) or sum(lanes) > MAX_LANES:
        raise ValueError("a number of lanes is out of bounds")
    for n in lanes:
        found += [width] * (n // width) + [n % width] * (n % width > 0)
    return found


def settings_of(layer: dict[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings of each condition of which a layer has lanes."""
    return {condition: ChainMap(own, layer["settings"]) for condition, own in layer["conditions"].items()}


def write_manifest(folder: Place, layers: list[dict[str, Any]]) -> None:
    """A line a layer."""
    lines = ",\n".join(json.dumps(layer, allow_nan=False) for layer in layers)
    write_file(folder / "manifest.json", f'{{"layers": [\n{lines}\n]}}\n'.encode())


def remove_stale(folder: Place) -> None:
    """Removes temporary files that killed processes left behind. A store has none."""
    if isinstance(folder, Remote):
        return
    for path in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp"), *folder.glob("policies/*orbax-checkpoint-tmp*")]:
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another process was faster, or it is not ours to remove


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
