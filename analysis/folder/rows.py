"""The rows of a folder's tables of one kind, of all the files that its manifest names."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.folder.digest import DamagedError, one_line
from analysis.folder.layout import PROGRAM_TABLES, names_in, table_path
from analysis.folder.manifest import Manifest
from analysis.folder.packs import finished
from analysis.folder.places import Place
from analysis.folder.store import at_once
from analysis.folder.tables import read_verified

FILES_AT_ONCE, BYTES_AT_ONCE = 1000, 2**26
"""Read together, of what is kept of their rows: bounds memory, whatever a folder holds."""
Keep = Callable[[pa.Field], bool]
"""Whether a column is read."""


def read_rows(folder: Place, manifest: Manifest, kind: str, keep: Keep | None = None) -> pa.Table:
    """The rows of all tables of a kind, columns unioned by name; raises as `read_in_parts`."""
    return _union(folder, kind, list(read_in_parts(folder, manifest, kind, keep)))


def read_in_parts(
    folder: Place, manifest: Manifest, kind: str, keep: Keep | None = None, names: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The same, some files at a time.

    Args:
      names: those of the files; by default all that the manifest knows of.

    Raises:
      ValueError: there is no file or no row yet; or, as DamagedError, a file is not what was written.
    """
    names = _names(folder, manifest, kind) if names is None else names

    def fetched(name: str) -> tuple[str, bytes]:
        try:
            return name, read_verified(folder, kind, name)
        except FileNotFoundError:
            gone = "has gone; read again, if it was packed meanwhile, or run the sweep again"
            raise DamagedError(table_path(folder, kind, name), gone) from None

    contents = at_once(folder, fetched, names)
    rows, size = 0, 0
    tables: list[pa.Table] = []
    read = _Reader(keep)
    for name, content in contents:
        try:
            tables.append(read(content))
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(table_path(folder, kind, name), f"cannot be read ({one_line(error)})") from None
        rows, size = rows + tables[-1].num_rows, size + tables[-1].get_total_buffer_size()
        if len(tables) == FILES_AT_ONCE or size > BYTES_AT_ONCE:
            yield _union(folder, kind, tables)
            tables, size = [], 0
    if tables:
        yield _union(folder, kind, tables)
    if not rows:
        raise ValueError(f"{folder / kind}: no rows yet; the first finished shard writes some")


def _names(folder: Place, manifest: Manifest, kind: str) -> list[str]:
    there = names_in(folder, kind)
    if kind in PROGRAM_TABLES:
        return sorted(there.intersection(manifest.programs))
    done = finished(folder, manifest.shards)
    # A pack in force has all its files. A shard's own may be there before its outcomes, or not any more.
    return [*done.packs, *sorted(there.intersection(manifest.shards).difference(done.packed))]


class _Reader:
    """Reads some columns of file after file, most of which have the same."""

    def __init__(self, keep: Keep | None):
        self.keep = keep
        self.schema: pq.ParquetSchema | None = None
        self.columns: list[str] | None = None
        """Those to read where the schema is this."""

    def __call__(self, content: bytes) -> pa.Table:
        """In one thread: a file is small, and Arrow's readers that outlive it can abort the process at its exit."""
        file = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
        if self.keep is not None and not (self.schema is not None and self.schema.equals(file.schema)):
            self.schema, self.columns = file.schema, [field.name for field in file.schema_arrow if self.keep(field)]
        return file.read(columns=self.columns, use_threads=False)


def _union(folder: Place, kind: str, tables: Sequence[pa.Table]) -> pa.Table:
    """Tables below each other, columns unioned by name; a column that one lacks is null in its rows."""
    if all(table.schema.equals(tables[0].schema) for table in tables):
        return pa.concat_tables(tables)
    mixed = _of_two_kinds([table.schema for table in tables])
    try:
        return pa.concat_tables([_with_nulls(table, mixed) for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"{folder / kind}: files do not fit together: {one_line(error)}") from error


def _of_two_kinds(schemas: Sequence[pa.Schema]) -> set[str]:
    """Columns that are Boolean in some files and numbers in others.

    A learner without a setting that is a Boolean had NaN there once, where it now has null.
    """
    kinds: dict[str, set[str]] = {}
    for field in (field for schema in schemas for field in schema):
        kinds.setdefault(field.name, set()).add(str(field.type))
    return {name for name, types in kinds.items() if types == {"bool", "double"}}


def _with_nulls(table: pa.Table, names: set[str]) -> pa.Table:
    """With columns of NaN alone as Boolean ones of nulls."""
    for name in names.intersection(table.column_names):
        column = table[name]
        if pa.types.is_floating(column.type) and pc.all(pc.is_nan(column)).as_py() is not False:
            nulls = pa.nulls(len(table), pa.bool_())
            table = table.set_column(table.column_names.index(name), pa.field(name, pa.bool_()), nulls)
    return table
