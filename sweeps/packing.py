"""Merges the tables of finished shards into few files: `chisel pack`."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from analysis.folder import (
    BusyError,
    DamagedError,
    Finished,
    Place,
    as_place,
    at_once,
    damage,
    encode_table,
    finished,
    is_pack,
    names_in,
    pack_name,
    packs_among,
    read_manifest,
    read_table,
    store_of,
    table_path,
    times_in,
    write_file,
)
from sweeps.spec import SpecError

PACK_BYTES = 2**26
"""Of the rows of one pack, in memory: bounds what packing and reading take. Their files are a fraction of it."""
ABANDONED_SECONDS = 3600.0
"""A part of a pack that is so old, without its outcomes, is of a command that was killed."""


@dataclass
class Packed:
    """What packing did."""

    folder: Place
    shards: int = 0
    """That have been packed now."""
    files: int = 0
    """Packs that were made of them."""
    before: int = 0
    """Shards that were in packs already."""
    alone: int = 0
    """Finished shards that keep files of their own: without a neighbour that fits, or damaged."""
    damaged: tuple[str, ...] = ()
    """A line each: files that could not be packed."""


Kinds = tuple[str, ...]
"""Of the tables of a shard, in the order of writing."""


class _Shard(NamedTuple):
    place: int
    id: str
    tables: dict[str, pa.Table]
    size: int
    """Of its rows in memory, in bytes."""


def pack(folder: str | Place, pack_bytes: int = PACK_BYTES) -> Packed:
    """Merges the tables of finished shards into a few files, with the same digests. Does nothing where that is done.

    A pack holds consecutive shards with the same columns. It is written whole and read again before its shards' own
    files are removed, its outcomes last; so whatever ends the command, each row is in one file that is in force. A
    folder that is packed grows, and is packed again, as any other.

    Args:
      pack_bytes: of the rows of one pack, in memory.
    Raises:
      SpecError: a run is training in the folder, or it cannot be written.
      ValueError: not a results folder, or one of a version that did not count episodes.
      RemoteError: an object store does not do what is asked, in one line.
    """
    folder = as_place(folder)
    manifest = read_manifest(folder)
    shards = list(manifest.shards)
    try:
        with store_of(folder).lock(folder) as lock:
            lock.take([range(len(shards))])
            store_of(folder).remove_stale(folder)
            return _pack(folder, shards, manifest.tables, pack_bytes)
    except BusyError as error:
        raise SpecError(folder, f"a run is training here ({error}); pack it when that has ended.") from None
    except OSError as error:
        raise SpecError(folder, f"cannot be written ({error.strerror or error}).") from None


def _pack(folder: Place, shards: list[str], kinds: Kinds, pack_bytes: int) -> Packed:
    _remove_abandoned(folder, shards, kinds)
    there = finished(folder, shards)
    done = Packed(folder, before=len(there.packed), damaged=tuple(_without_left_over(folder, kinds, there)))
    group: list[_Shard] = []

    def close() -> None:
        if len(group) > 1:
            _write(folder, shards, kinds, group)
            done.shards, done.files = done.shards + len(group), done.files + 1
        done.alone += len(group) == 1
        group.clear()

    for one in _read(folder, kinds, there.alone):
        if isinstance(one, str):
            done.damaged += (one,)
            done.alone += 1
            continue
        if group and not _fits(group, one, pack_bytes):
            close()
        group.append(one)
    close()
    return done


def _read(folder: Place, kinds: Kinds, alone: dict[str, int]) -> Iterator[_Shard | str]:
    """The shards that have files of their own, in order; a line in place of one that is damaged."""

    def read(shard: str) -> _Shard | str:
        try:
            tables = {kind: read_table(folder, kind, shard).replace_schema_metadata(None) for kind in kinds}
        except (DamagedError, FileNotFoundError) as error:
            return str(error) if isinstance(error, DamagedError) else f"{folder}: a table of shard {shard} is missing"
        if "episodes" not in tables["probes"].column_names:
            what = "holds episodes that have not been counted: an earlier version wrote it, which cannot be packed"
            raise ValueError(f"{table_path(folder, 'probes', shard)}: {what}")
        return _Shard(alone[shard], shard, tables, sum(table.nbytes for table in tables.values()))

    return at_once(folder, read, alone)


def _fits(group: list[_Shard], one: _Shard, pack_bytes: int) -> bool:
    """Whether a shard goes into a pack: the next one of the folder, with the same columns, and not too much."""
    last = group[-1]
    return (
        one.place == last.place + 1
        and sum(shard.size for shard in group) + one.size <= pack_bytes
        and all(_kinds(one.tables[kind]) == _kinds(last.tables[kind]) for kind in one.tables)
    )


def _kinds(table: pa.Table) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in table.schema]


def _write(folder: Place, shards: list[str], kinds: Kinds, group: list[_Shard]) -> None:
    """Writes a pack, and removes the files of its shards once it is in force."""
    name = pack_name(shards, range(group[0].place, group[-1].place + 1))
    for kind in kinds:
        rows = pa.concat_tables([shard.tables[kind] for shard in group], promote_options="default").combine_chunks()
        write_file(table_path(folder, kind, name), encode_table(kind, name, rows))
    _check(folder, kinds, name)
    _remove(folder, kinds, [shard.id for shard in group])


def _check(folder: Place, kinds: Kinds, name: str) -> None:
    """Raises DamagedError where a pack is not what was written."""
    found = damage(folder, kinds, name)
    if found is not None:
        raise found[0] if found else DamagedError(table_path(folder, "outcomes", name), "disappeared meanwhile")


def _without_left_over(folder: Place, kinds: Kinds, there: Finished) -> Iterator[str]:
    """Removes files of shards that are in a sound pack besides; a line for each pack that is damaged."""
    for name in dict.fromkeys(there.left_over.values()):
        try:
            _check(folder, kinds, name)
        except DamagedError as error:
            yield str(error)
        else:
            _remove(folder, kinds, [shard for shard, pack in there.left_over.items() if pack == name])


def _remove(folder: Place, kinds: Kinds, shards: Iterable[str]) -> None:
    def remove(path: Place) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    for _ in at_once(folder, remove, (table_path(folder, kind, one) for one in shards for kind in kinds)):
        pass


def _remove_abandoned(folder: Place, shards: list[str], kinds: Kinds) -> None:
    """Removes tables of packs that a killed command did not end: they have no outcomes, so no reader looks at them."""
    in_force = packs_among(names_in(folder, "outcomes"), shards)
    for kind in kinds[:-1]:
        abandoned = [name for name in names_in(folder, kind) if is_pack(name) and name not in in_force]
        if abandoned and not store_of(folder).has_locks:
            # Nothing keeps two commands apart there: it may be in the making.
            times = times_in(folder, kind)
            abandoned = [name for name in abandoned if time.time() - times.get(name, 0.0) > ABANDONED_SECONDS]
        for name in abandoned:
            table_path(folder, kind, name).unlink(missing_ok=True)
