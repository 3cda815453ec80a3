"""A results folder as it is loaded: what its manifest says, and its lanes with their factors."""

import functools
import inspect
import json
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.asked import Asked
from analysis.design import DESIGN
from analysis.episodes import with_counts
from analysis.folder import (
    Keep,
    Manifest,
    Place,
    RemoteError,
    as_place,
    finished,
    read_in_parts,
    read_manifest,
    read_rows,
)

P = ParamSpec("P")
R = TypeVar("R")

LANE = ["condition", "seed"]
"""Names a lane within a folder; folders of different master seeds hold different lanes of the same name."""
PROBE = ["program", "probe", "kind", "goals", "paid", "labels"]
"""Columns of the table of levels that say what a probe is."""
PARTS = {"learner.name": "learner", "curriculum.name": "curriculum", "world": "world"}
"""Factors that the outcomes table has as columns of its own, under these names."""


def time_of(curves: pd.DataFrame) -> str:
    """The column along which training curves go: environment steps, or updates where some lanes take no steps."""
    return "env_step" if "env_step" in curves and curves["env_step"].notna().all() else "update"


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

    def table(self, kind: str, keep: Keep | None = None) -> pa.Table:
        return read_rows(self.path, self.manifest, kind, keep)

    def parts(self, kind: str, keep: Keep | None = None, names: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """The same, some files at a time, as frames in which text is categorical."""
        for rows in read_in_parts(self.path, self.manifest, kind, keep, names):
            yield as_frame(rows)

    @cached_property
    def probes(self) -> pd.DataFrame:
        """One row a program × probe: program, probe, kind, goals, paid, labels. Sorted by probe."""
        bank = self.table("levels", lambda field: field.name in PROBE).to_pandas()
        bank = bank.drop_duplicates(["program", "probe"]).assign(paid=bank.get("paid", ""))
        return bank.sort_values(["probe", "program"], ignore_index=True)[PROBE]

    def counted(
        self,
        kind: str,
        wanted: Callable[[pd.DataFrame], Any] | None = None,
        recount: bool = False,
        without: Sequence[str] = (),
        lane: tuple[str, int] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """The rows of a table of probes with the counts of their episodes (see `with_counts`), some files at a time.

        With what `probes` says of each, and without the episodes themselves.

        Args:
          wanted: which rows of such a frame; what it leaves out costs little memory.
          recount: whether to count the episodes, rather than to read the counts.
          without: columns that are not read.
          lane: (condition, seed) of the one whose rows are read.
        Raises:
          ValueError: the table has no counts, or the lane is not trained.
        """

        def is_plain(field: pa.Field) -> bool:
            return not pa.types.is_nested(field.type) and field.name not in without

        levels = self.table("levels") if recount else None
        names = None if lane is None else [self._file_of(lane)]
        for rows in read_in_parts(self.path, self.manifest, kind, None if recount else is_plain, names):
            rows = rows if lane is None else _of_lane(rows, lane)
            if levels is not None:
                rows = with_counts(rows, levels, self.manifest.roles, self.manifest.outcomes)
            if "episodes" not in rows.column_names or rows["episodes"].null_count:
                why = "an earlier version wrote it; analysis.load(…, recount=True) counts them"
                raise ValueError(f"{self.path / kind}: holds episodes that have not been counted: {why}")
            df = self._beside_probes(as_frame(rows.select([field.name for field in rows.schema if is_plain(field)])))
            yield df if wanted is None else df[wanted(df)]

    def curve(self, condition: str, seed: int) -> pd.DataFrame:
        """The rows of the curves table of one lane, sorted by update. Raises ValueError where it is not trained."""
        lane = condition, seed
        parts = read_in_parts(self.path, self.manifest, "curves", None, [self._file_of(lane)])
        rows = pd.concat([_of_lane(rows, lane).to_pandas() for rows in parts])
        return rows.drop(columns=LANE).sort_values("update", ignore_index=True)

    def _file_of(self, lane: tuple[str, int]) -> str:
        """The file of each table that has a lane. Raises ValueError where none has."""
        layer = self.manifest.layer_of(*lane)
        shard = None if layer is None else layer.place_of(*lane)[0]
        there = finished(self.path, self.manifest.shards)
        if shard is None or shard not in there:
            raise ValueError(f"{self.path}: has no trained lane of condition {lane[0]!r}, seed {lane[1]}")
        return there.file_of(shard)

    def _beside_probes(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with what the table of levels says of their probes."""
        program, probe = rows["program"].cat, rows["probe"].cat
        known = {pair: place for place, pair in enumerate(self.probes[PROBE[:2]].itertuples(index=False, name=None))}
        table = np.array([[known.get((one, other), -1) for other in probe.categories] for one in program.categories])
        place = table[program.codes, probe.codes] if len(rows) else np.zeros(0, int)
        if (place < 0).any():
            one = rows[place < 0].iloc[0]
            raise ValueError(f"{self.path}: levels lack the probe {one['probe']} of {one['program']}")
        for name in PROBE[2:]:
            values = self.probes[name]
            if name == "labels":
                rows[name] = values.to_numpy()[place]
            else:
                codes, names = pd.factorize(values, sort=True)
                rows[name] = pd.Categorical.from_codes(codes[place], names)
        return rows

    def outcomes(self, factors: Sequence[str], keep: Keep | None = None) -> pd.DataFrame:
        """The outcomes table, with every factor that a layer or another folder varies and this row's layer did not."""
        table = self.table("outcomes", keep)
        df = table.to_pandas()
        if "curriculum" in df:  # a column of the lanes that have one
            df["curriculum"] = df["curriculum"].fillna("random")
        for factor in factors:
            if factor in PARTS:
                df[factor] = df.get(PARTS[factor], "random")
                continue
            if factor not in df:
                df[factor] = self.of_conditions(df["condition"], factor)
            elif df[factor].isna().any():
                constant = self.of_conditions(df["condition"], factor)
                df[factor] = df[factor].where(df[factor].notna(), constant).infer_objects()
                if pa.types.is_integer(table.schema.field(factor).type) and df[factor].notna().all():
                    df[factor] = df[factor].astype("int64")  # pandas makes floats of integers beside nulls
        df["keys"] = "paired" if self.manifest.paired else "independent"
        df["adaptive"] = self.manifest.adaptive
        return df

    def of_conditions(self, conditions: pd.Series, setting: str) -> pd.Series:
        """What each of some conditions has as a setting, None where it has none."""
        codes, names = pd.factorize(conditions)
        known = self.conditions
        values = pd.Series([known[name].get(setting) if name in known else None for name in names], dtype=object)
        values = values.infer_objects()
        return values.take(codes).set_axis(conditions.index)

    def beside_factors(self, parts: Iterable[pd.DataFrame], order: list[str], asked: Asked) -> pd.DataFrame:
        """Finished lanes' rows with the factors in front and the design behind, in canonical order."""
        factors = self.manifest.factors
        names = {*LANE, *factors, *PARTS.values()}
        lanes = self.outcomes(factors, lambda field: field.name in names)[[*LANE, *factors, *DESIGN]]
        # The factors name a condition, so lanes sorted once give the order of their rows, which are many more.
        lanes = lanes.sort_values([*factors, *LANE], ignore_index=True)
        find, found = LaneFinder(lanes), []
        for part in parts:
            place = find(part)
            rows, place = part[place >= 0], place[place >= 0]
            own = lanes.take(place).set_axis(rows.index)
            rows = pd.concat([own[factors], rows, own[DESIGN]], axis=1)
            chosen = asked.rows(rows)
            names = {*order, *(rows if asked.columns is None else asked.columns)}
            kept = rows.loc[chosen, [name for name in rows if name in names]]
            found.append(as_text(kept).assign(_place=place[chosen]))
        asked.check()
        df = pd.concat(found, ignore_index=True).sort_values(["_place", *order], ignore_index=True)
        df = df.drop(columns="_place")
        df.attrs["factors"] = factors
        return asked.pick(df)


def _of_lane(rows: pa.Table, lane: tuple[str, int]) -> pa.Table:
    return rows.filter((pc.field("condition") == lane[0]) & (pc.field("seed") == lane[1]))


def numbered(lane: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Those of some lanes that occur, in order, and for each occurrence its place among them."""
    there = np.zeros(lanes, bool)
    there[lane] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[lane]


class LaneFinder:
    """Says which of some lanes rows are of."""

    def __init__(self, lanes: pd.DataFrame):
        codes, names = pd.factorize(lanes["condition"])
        self.codes = {name: code for code, name in enumerate(names)}
        self.seeds = int(lanes["seed"].max()) + 1 if len(lanes) else 1
        keys = codes.astype(np.int64) * self.seeds + lanes["seed"].to_numpy()
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def __call__(self, rows: pd.DataFrame) -> np.ndarray:
        """i64[rows]: the place of the lane; -1 where it is none of them."""
        if not len(self.keys):
            return np.full(len(rows), -1)
        conditions = rows["condition"].astype("category").cat
        codes = np.array([self.codes.get(name, -1) for name in conditions.categories], np.int64)[conditions.codes]
        seeds = rows["seed"].to_numpy()
        keys = codes * self.seeds + seeds
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        there = (self.keys[found] == keys) & (codes >= 0) & (seeds < self.seeds)
        return np.where(there, self.order[found], -1)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """A table as a frame in which text is categorical."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
    return table.combine_chunks().to_pandas(split_blocks=True)


def as_text(df: pd.DataFrame) -> pd.DataFrame:
    """The frame with its categorical columns as text, but for those that have an order."""
    kinds = df.dtypes.items()
    return df.astype(
        {name: "str" for name, kind in kinds if isinstance(kind, pd.CategoricalDtype) and not kind.ordered}
    )


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
    """Whatever is wrong with what is in a folder is a ValueError of one line; an unknown argument is a TypeError."""
    signature = inspect.signature(read)

    @functools.wraps(read)
    def reading(*arguments: P.args, **options: P.kwargs) -> R:
        signature.bind(*arguments, **options)
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
