"""Tables as parquet files: written whole with their digest, and read after it has been checked."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.folder.digest import UNSEALED, DamagedError, check, one_line, seal
from analysis.folder.layout import table_path
from analysis.folder.places import Place
from analysis.folder.store import store_of, write_file

_DIVERGED, _DIVERGED_DIGITS = b"chisel.diverged", 8
_TAIL = 8192
"""Bytes at the end of a table's file that hold what stands beside its digest."""


_READ_MOST = ("outcomes", "probes")
"""Their columns but the lists are what labels need: as snappy they are read in half the time, and take a tenth more."""


def encode_table(kind: str, name: str, table: pa.Table) -> bytes:
    """A table as a parquet file that carries a digest of itself; equal tables give equal bytes."""
    # Statistics would only repeat the content, and a dictionary of floats merges the two zeros.
    coded = [field.name for field in table.schema if str(field.type) in ("string", "int8", "int16")]
    table = table.replace_schema_metadata(None)
    lists = {field.name for field in table.schema if pa.types.is_list(field.type)}
    packed = {
        name + ".list.element" * (name in lists): "zstd" if name in lists or kind not in _READ_MOST else "snappy"
        for name in table.column_names
    }
    # Parquet has a type for each of ours; Arrow's own schema would be a fifth of a small file.
    # Page checksums are for readers that know nothing of the digest, such as other tools.
    options: dict[str, Any] = {
        "compression": packed, "write_statistics": False, "use_dictionary": coded or False,
        "write_page_checksum": True, "store_schema": False,
    }  # fmt: skip
    file = pa.BufferOutputStream()
    with pq.ParquetWriter(file, table.schema, **options) as writer:
        writer.write_table(table)
        if "diverged" in table.column_names:  # where `diverged_lanes` finds it without reading the table
            count = pc.sum(table["diverged"]).as_py() or 0
            writer.add_key_value_metadata({_DIVERGED: str(count).zfill(_DIVERGED_DIGITS)})
        writer.add_key_value_metadata(UNSEALED)
    return seal(kind, name, file.getvalue().to_pybytes())


def write_table(folder: str | Place, kind: str, name: str, table: pa.Table) -> None:
    """Writes a table whole or not at all."""
    write_file(table_path(folder, kind, name), encode_table(kind, name, table))


def read_verified(folder: str | Place, kind: str, name: str) -> bytes:
    """The bytes of a table's file, after its digest has been checked.

    Raises:
      FileNotFoundError: it has not been written.
      DamagedError: truncated, altered by a bit or more, or another shard's.
    """
    path = table_path(folder, kind, name)
    try:
        content = path.read_bytes()
        check(kind, name, content)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(path, f"cannot be read ({one_line(error)})") from None
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    return content


def diverged_lanes(folder: str | Place, shard: str) -> int:
    """How many lanes of a shard diverged, from the end of its outcomes; the digest is not checked.

    Raises DamagedError where the end is missing.
    """
    path = table_path(folder, "outcomes", shard)
    try:
        tail = store_of(path).read_part(path, _TAIL, end=True)
        start = tail.rindex(_DIVERGED) + len(_DIVERGED) + 2
        if not tail.endswith(b"PAR1"):
            raise ValueError
        return int(tail[start : start + _DIVERGED_DIGITS])
    except (OSError, ValueError):
        raise DamagedError(path, "its end is missing") from None


def read_table(folder: str | Place, kind: str, name: str) -> pa.Table:
    """Reads a table whose digest is right; raises as `read_verified` does."""
    # In one thread and from memory: Arrow's readers that outlive the read can abort the process at its exit.
    file = pq.ParquetFile(pa.BufferReader(read_verified(folder, kind, name)), pre_buffer=False)
    return file.read(use_threads=False)


def damage(folder: str | Place, kinds: tuple[str, ...], name: str) -> list[DamagedError] | None:
    """None where these tables are all there and sound; else the damaged ones (an empty list: some are missing)."""
    found, missing = [], False
    for kind in kinds:
        try:
            read_verified(folder, kind, name)
        except FileNotFoundError:
            missing = True
        except DamagedError as error:
            found.append(error)
    return found if found or missing else None
