"""A results folder as it is loaded: what its manifest says, and its lanes with their factors."""

import functools
import json
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from analysis.design import DESIGN
from analysis.episodes import with_counts
from analysis.folder import Manifest, Place, RemoteError, as_place, read_in_parts, read_manifest, read_rows

P = ParamSpec("P")
R = TypeVar("R")

LANE = ["condition", "seed"]
"""Names a lane within a folder; folders of different master seeds hold different lanes of the same name."""
PARTS = {"learner.name": "learner", "curriculum.name": "curriculum", "world": "world"}
"""Factors that the outcomes table has as columns of its own, under these names."""


@dataclass(frozen=True)
class Results:
    """A results folder, opened."""

    path: Place
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Place) -> "Results":
        """Raises ValueError where this is not a results folder."""
        path = as_place(folder)
        return cls(path, read_manifest(path))

    @cached_property
    def goals(self) -> dict[str, str]:
        return self.manifest.goals

    @cached_property
    def conditions(self) -> dict[str, ChainMap[str, Any]]:
        return self.manifest.conditions()

    def table(self, kind: str, where: ds.Expression | None = None) -> pa.Table:
        return read_rows(self.path, self.manifest, kind, where)

    def parts(self, kind: str, where: ds.Expression | None = None) -> Iterator[pa.Table]:
        """The same, some files at a time."""
        return read_in_parts(self.path, self.manifest, kind, where)

    def counted(self, kind: str, where: ds.Expression | None = None, recount: bool = False) -> pd.DataFrame:
        """The rows of a table of probes with the counts of their episodes (see `with_counts`), without the episodes.

        Raises ValueError where the table has no counts.
        """
        levels = self.table("levels") if recount else None
        parts = []
        for rows in self.parts(kind, where):
            if not len(rows):
                continue
            if levels is not None:
                rows = with_counts(rows, levels, self.manifest.roles, self.manifest.outcomes)
            if "episodes" not in rows.column_names or rows["episodes"].null_count:
                why = "an earlier version wrote it; analysis.load(…, recount=True) counts them"
                raise ValueError(f"{self.path / kind}: holds episodes that have not been counted: {why}")
            plain = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
            parts.append(rows.select(plain).to_pandas())
        return pd.concat(parts, ignore_index=True)

    def outcomes(self, factors: Sequence[str]) -> pd.DataFrame:
        """The outcomes table, with every factor that a layer or another folder varies and this row's layer did not."""
        table = self.table("outcomes")
        df = table.to_pandas()
        if "curriculum" in df:  # a column of the lanes that have one
            df["curriculum"] = df["curriculum"].fillna("random")
        for factor in factors:
            if factor in PARTS:
                df[factor] = df.get(PARTS[factor], "random")
                continue
            constant = df["condition"].map(lambda key, factor=factor: self.conditions.get(key, {}).get(factor))
            if factor not in df:
                df[factor] = constant.infer_objects()
            elif df[factor].isna().any():
                df[factor] = df[factor].where(df[factor].notna(), constant).infer_objects()
                if pa.types.is_integer(table.schema.field(factor).type) and df[factor].notna().all():
                    df[factor] = df[factor].astype("int64")  # pandas makes floats of integers beside nulls
        df["keys"] = "paired" if self.manifest.paired else "independent"
        df["adaptive"] = self.manifest.adaptive
        return df

    def beside_factors(self, rows: pd.DataFrame, order: list[str]) -> pd.DataFrame:
        """Finished lanes' rows with the factors in front and the design behind, in canonical order."""
        factors = self.manifest.factors
        lanes = self.outcomes(factors)[[*LANE, *factors, *DESIGN]]
        # The factors name a condition, so lanes sorted once give the order of their rows, which are many more.
        lanes = lanes.sort_values([*factors, *LANE], ignore_index=True)
        place = place_in(lanes[LANE], rows[LANE])
        rows = rows.assign(_place=place)[place >= 0].sort_values(["_place", *order], ignore_index=True)
        own = lanes.take(rows.pop("_place").to_numpy()).reset_index(drop=True)
        df = pd.concat([own[factors], rows, own[DESIGN]], axis=1)
        df.attrs["factors"] = factors
        return df


def place_in(lanes: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """i64[rows]: which of the lanes each row is of, by the columns that both have; -1 where it is of none."""
    return pd.MultiIndex.from_frame(lanes).get_indexer(pd.MultiIndex.from_frame(rows))


def differing(folders: Sequence[Results]) -> list[str]:
    """What the conditions of one folder have otherwise than those of another, and none of them varies.

    A setting that a folder does not know, as those of other learners, does not differ there.
    """
    varied = {factor for folder in folders for factor in folder.manifest.factors}
    found: dict[str, list[set[str]]] = {}
    for folder in folders:
        values: dict[str, set[str]] = {}
        for layer in folder.manifest.layers:
            parts = {"world": layer.world, "learner.name": layer.learner}
            parts["curriculum.name"] = layer.spec.get("curriculum", "random")
            for settings in (parts, layer.settings, *layer.conditions.values()):
                for key, value in settings.items():
                    values.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
        for key, own in values.items():
            found.setdefault(key, []).append(own)
    return [key for key, sets in found.items() if key not in varied and any(one != sets[0] for one in sets)]


def warn_of_versions(folders: Sequence[Results]) -> None:
    """Warns where folders that are loaded together were trained by different programs, or on different platforms."""
    found: dict[str, dict[str, None]] = {}
    for layer in (layer for folder in folders for layer in folder.manifest.layers):
        for key, value in {**layer.versions, "platform": layer.platform}.items():
            found.setdefault(key, {})[str(value)] = None
    apart = [f"{key} ({', '.join(values)})" for key, values in found.items() if len(values) > 1]
    if len(folders) > 1 and apart:
        where = ", ".join(str(folder.path) for folder in folders)
        warnings.warn(f"{where}: trained with different versions of {'; '.join(apart)}", stacklevel=4)


def named(read: Callable[P, R]) -> Callable[P, R]:
    """Whatever goes wrong with what stands in a folder is a ValueError of one line."""

    @functools.wraps(read)
    def reading(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return read(*arguments, **options)
        except (RemoteError, Warning):
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException) and text == str(error):
                raise
            found = f"its tables are not those of a results folder ({type(error).__name__}: {text[:200]})"
            raise ValueError(f"{arguments[0] if arguments else 'folder'}: {found}") from error

    return reading


def law_in_place_of_a_value(folders: Sequence[Results]) -> list[str]:
    """Settings that some condition samples: it has a law in place of a value, and each lane a value of its own."""
    parts: dict[int, Mapping[str, Any]] = {}
    for layer in (layer for folder in folders for layer in folder.manifest.layers):
        parts |= {id(one): one for one in (layer.settings, *layer.conditions.values())}
    return sorted({key for part in parts.values() for key, value in part.items() if isinstance(value, dict)})
