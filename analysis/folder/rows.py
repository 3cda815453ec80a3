"""The rows of a folder's tables of one kind, of all the files that its manifest names."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from analysis.folder.digest import DamagedError, one_line
from analysis.folder.layout import PROGRAM_TABLES, names_in, table_path
from analysis.folder.manifest import Manifest
from analysis.folder.places import Place
from analysis.folder.store import at_once
from analysis.folder.tables import read_verified

FILES_AT_ONCE, BYTES_AT_ONCE = 1000, 2**26
"""Read together: bounds memory, whatever a folder holds."""
_PARQUET = ds.ParquetFileFormat()


def read_rows(folder: Place, manifest: Manifest, kind: str, where: ds.Expression | None = None) -> pa.Table:
    """The rows of all tables of a kind that satisfy `where`, columns unioned by name; raises as `read_in_parts`."""
    return _union(folder, kind, list(read_in_parts(folder, manifest, kind, where)))


def read_in_parts(
    folder: Place, manifest: Manifest, kind: str, where: ds.Expression | None = None
) -> Iterator[pa.Table]:
    """The same, some files at a time.

    Raises:
      ValueError: there is no file or no row yet; or, as DamagedError, a file is not what was written.
    """
    there = names_in(folder, kind)
    names = sorted(there.intersection(manifest.programs if kind in PROGRAM_TABLES else manifest.shards))
    contents = at_once(folder, lambda name: read_verified(folder, kind, name), names)
    rows = 0
    while names:
        fragments: list[ds.Fragment] = []
        size = 0
        while len(fragments) < min(len(names), FILES_AT_ONCE) and size < BYTES_AT_ONCE:
            content = next(contents)
            fragments.append(_PARQUET.make_fragment(pa.py_buffer(content)))
            size += len(content)
        inside, names = names[: len(fragments)], names[len(fragments) :]
        table = _together(folder, kind, inside, fragments, where)
        rows += table.num_rows
        yield table
    if not rows:
        raise ValueError(f"{folder / kind}: no rows yet; the first finished shard writes some")


def _together(
    folder: Place, kind: str, names: Sequence[str], fragments: Sequence[ds.Fragment], where: ds.Expression | None
) -> pa.Table:
    schemas = []
    for name, fragment in zip(names, fragments, strict=True):
        try:
            schemas.append(fragment.physical_schema)
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(table_path(folder, kind, name), f"cannot be read ({one_line(error)})") from None
    if _of_two_kinds(schemas):
        return _union(folder, kind, [fragment.to_table(filter=where) for fragment in fragments])
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
        # A column that a layer lacks is null in its rows, though no file has nulls.
        schema = pa.schema([field.with_nullable(True) for field in schema])
        return ds.FileSystemDataset(list(fragments), schema, _PARQUET).to_table(filter=where)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{folder / kind}: files do not fit together: {one_line(error)}") from error


def _union(folder: Place, kind: str, tables: Sequence[pa.Table]) -> pa.Table:
    """Tables below each other, columns unioned by name."""
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
