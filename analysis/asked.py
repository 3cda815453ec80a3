"""What a caller asks to have of a frame: some of its columns, and the rows that a pyarrow expression is true of."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.names import check_name

EXAMPLE = 'pyarrow.compute.field("env.diversity") == 0.1'


class Asked:
    """Of frames that are made part by part: a column that some parts lack has no value there."""

    def __init__(self, columns: Sequence[str] | None = None, where: pc.Expression | None = None):
        """Raises ValueError where these are no columns, or no expression."""
        if isinstance(columns, str) or (columns is not None and not all(isinstance(one, str) for one in columns)):
            raise ValueError(f"columns: expected a list of names, found {columns!r}")
        if where is not None and not isinstance(where, pc.Expression):
            raise ValueError(f"filter: expected a pyarrow expression such as {EXAMPLE}, found {where!r}")
        self.columns, self.where = None if columns is None else list(columns), where
        self.known: dict[str, None] = {}
        """Names of columns that there are."""
        self.lacking: set[str] = set()
        """Names in the expression that some part did not have."""

    def decides(self, df: pd.DataFrame) -> np.ndarray | None:
        """bool[rows], of which rows the expression is true; None where it names what the frame does not have.

        Raises ValueError where its types do not fit those of the columns.
        """
        if self.where is None:
            return np.ones(len(df), bool)
        return self._mask(_as_table(df))

    def _mask(self, table: pa.Table) -> np.ndarray | None:
        numbered = table.append_column("", pa.array(np.arange(len(table))))
        try:
            there = numbered.filter(self.where)[""].to_numpy()
        except pa.ArrowException as error:
            if missing := re.match(r"No match for FieldRef\.Name\((.*?)\) in", str(error)):
                self.lacking.add(missing[1])
                return None
            raise ValueError(f"filter: {' '.join(str(error).split())[:200]}") from None
        mask = np.zeros(len(table), bool)
        mask[there] = True
        return mask

    def rows(self, df: pd.DataFrame) -> np.ndarray:
        """The same, with no value in what the frame does not have."""
        self.known |= dict.fromkeys(map(str, df))
        if self.where is None:
            return np.ones(len(df), bool)
        table = _as_table(df)
        while (mask := self._mask(table)) is None:
            for name in sorted(self.lacking.difference(table.column_names)):
                table = table.append_column(name, pa.nulls(len(table)))
        return mask

    def check(self) -> None:
        """Raises ValueError where a column or the expression names what no part has had."""
        for name in self.columns or ():
            check_name("column", name, self.known)
        for name in sorted(self.lacking):
            check_name("column to filter by", name, self.known)

    def pick(self, df: pd.DataFrame) -> pd.DataFrame:
        """The columns, in the order asked for. Raises ValueError as `check`."""
        self.known = dict.fromkeys(map(str, df))
        self.check()
        if self.columns is None:
            return df
        attrs = df.attrs
        df = df[self.columns]
        df.attrs = attrs | {"factors": [name for name in attrs["factors"] if name in self.columns]}
        return df

    def needs(self, names: Iterable[str]) -> bool:
        """Whether any of these columns is asked for."""
        return self.columns is None or not set(self.columns).isdisjoint(names)


def _as_table(df: pd.DataFrame) -> pa.Table:
    return pa.table({str(name): _as_arrow(column) for name, column in df.items()})


def _as_arrow(column: pd.Series) -> pa.Array:
    """A NaN stays one: it is a number that does not exist, and not a missing one."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = pa.array(column.cat.codes.to_numpy(), mask=column.isna().to_numpy())
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.cat.categories))
    array = pa.array(column.array if column.dtype != object else column, from_pandas=column.dtype.kind != "f")
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
