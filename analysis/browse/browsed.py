"""Results folders that are looked at while they may grow: their lanes, and what is known of one seed."""

import shlex
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.browse.lanes import Lanes, number, numbers
from analysis.design import LANE
from analysis.folder import Place, finished, has_policies
from analysis.load import load, with_shares
from analysis.results import LANE as CONDITION
from analysis.results import LaneFinder, Results

DIGITS = 4
"""Of the numbers of one seed."""
PATIENCE = 5
"""Tables are read again at most this share of the time, as one part of so many."""


class Found(NamedTuple):
    """What was read at one time."""

    folders: list[Results]
    lanes: Lanes
    planned: int
    """Lanes that the folders are to hold."""


class Browsed:
    """Some results folders; `version` grows whenever they are read again.

    A folder may have no rows yet: `waits` says so, and `refresh` reads all once each has some.

    Raises:
      ValueError: as `load`, but for want of rows.
    """

    def __init__(self, folders: Sequence[str | Place]):
        self.names = [str(one) for one in folders]
        self._given = list(folders)
        self._lock, self._due = threading.Lock(), 0.0
        self.version = 0
        self._found = self._read() if all(done for done, _ in self._counts()) else None

    @property
    def waits(self) -> bool:
        return self._found is None

    @property
    def found(self) -> Found:
        """Raises ValueError where a folder has no rows yet."""
        if self._found is None:
            name = next(name for name, (done, _) in zip(self.names, self._counts(), strict=True) if not done)
            raise ValueError(f"{name}: no rows yet; the first finished shard writes some")
        return self._found

    def _read(self) -> Found:
        began = time.monotonic()
        folders = [Results.open(one) for one in self._given]
        df = load(self._given)
        planned = sum(one.manifest.lanes for one in folders)
        self.version += 1
        self._due = time.monotonic() + PATIENCE * (time.monotonic() - began)
        return Found(folders, Lanes(df, sequence=len(df) < planned), planned)

    @property
    def lanes(self) -> Lanes:
        return self.found.lanes

    def done(self) -> tuple[int, int]:
        """Lanes that are there now, and those planned; nothing but names of files is read."""
        counts = self._counts()
        return sum(done for done, _ in counts), sum(planned for _, planned in counts)

    def _counts(self) -> list[tuple[int, int]]:
        """The same, by folder."""
        found = []
        for one in map(Results.open, self._given):
            ready = finished(one.path, one.manifest.shards)
            done = sum(lanes for shard, lanes in one.manifest.shards.items() if shard in ready)
            found.append((done, one.manifest.lanes))
        return found

    def refresh(self, wait: bool = False) -> None:
        """Reads the folders again if they hold other lanes than before, unless that was done just now.

        Args:
          wait: whether to have it done at the end, rather than in a thread, and whenever it was done last.
        """
        if self._found is None:
            if not all(done for done, _ in self._counts()):
                return
        elif self.done() == (len(self._found.lanes.df), self._found.planned):
            return
        if wait:
            self._refresh()
        elif time.monotonic() >= self._due:
            threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._found = self._read()
        except ValueError:
            self._due = time.monotonic() + PATIENCE  # a file that was replaced meanwhile, as by `chisel pack`
        finally:
            self._lock.release()

    def choices(self) -> dict[str, Any]:
        """What there is to choose from, and what a page says of the whole."""
        found = self.found
        last = found.folders[-1].manifest.layers[-1]
        df = found.lanes.df
        return found.lanes.choices() | {
            "title": str(last.spec.get("name") or found.folders[-1].path.name),
            "worlds": sorted(map(str, df["world"].unique())),
            "learners": sorted(map(str, df["learner"].unique())),
            "folders": self.names,
            "planned": found.planned,
            "version": self.version,
        }

    def seed(self, master_seed: int, condition: str, seed: int) -> dict[str, Any]:
        """What is known of one seed.

        Returns:
          master_seed, condition, seed, label, folder; factors, and measures (texts by name); curve, by column; probes
          (probe, kind, goals, labels, episodes, undecided; share and success by goal), the trained policy with sampled
          actions at its last checkpoint; through (checkpoint; share by goal), the labelling probe; policy (whether it
          was saved); lines (to be copied).
        Raises:
          ValueError: there is no such lane, or its file is damaged; one line.
        """
        row, folder = self.lanes.lane(master_seed, condition, seed), self.folder(master_seed, condition, seed)
        probes = _shares(folder, folder.counted("probes", _of_policies, lane=(condition, seed)))
        return _seed(self.lanes, row, folder, probes, folder.curve(condition, seed))

    def seeds(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The same of some rows of the lanes, from one reading of the tables."""
        lanes, inside = self.lanes, dict[str, list[tuple[int, Results]]]()
        for row in rows:
            one = lanes.row(row)
            folder = self.folder(int(one["master_seed"]), str(one["condition"]), int(one["seed"]))
            inside.setdefault(str(folder.path), []).append((row, folder))
        found = {}
        for some in inside.values():
            folder, wanted = some[0][1], lanes.df.loc[[row for row, _ in some]]
            find = LaneFinder(wanted)
            probes = _by_place(find, _shares(folder, folder.counted("probes", partial(_wanted, find))))
            curves = _by_place(find, pd.concat(part[find(part) >= 0] for part in folder.parts("curves")))
            for place, (row, _) in enumerate(some):
                found[row] = _seed(lanes, row, folder, probes[place], curves[place].sort_values("update"))
        return [found[row] for row in rows]

    def folder(self, master_seed: int, condition: str, seed: int) -> Results:
        """The one that a lane is in. Raises ValueError where none is."""
        for one in self.found.folders:
            layer = one.manifest.layer_of(condition, seed)
            if layer is not None and layer.spec.get("master_seed", master_seed) == master_seed:
                return one
        raise ValueError(f"no folder has condition {condition!r}, seed {seed}")


def _by_place(find: LaneFinder, rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """The rows of each lane that is looked for, by its place among them."""
    return {int(str(place)): own for place, own in rows.groupby(find(rows))}


def _shares(folder: Results, parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, counts as shares."""
    return with_shares(pd.concat(parts, ignore_index=True), folder.manifest.roles, folder.goals)


def _wanted(find: LaneFinder, rows: pd.DataFrame) -> Any:
    return _of_policies(rows) & (find(rows) >= 0)


def _of_policies(rows: pd.DataFrame) -> pd.Series:
    return (rows["actor"] == "trained") & rows["sampled"]


def _seed(lanes: Lanes, row: int, folder: Results, probes: pd.DataFrame, curve: pd.DataFrame) -> dict[str, Any]:
    lane, where = lanes.row(row), shlex.quote(str(folder.path))
    condition, seed = str(lane["condition"]), int(lane["seed"])
    last = probes[probes["checkpoint"] == probes["checkpoint"].max()]
    choice = probes[probes["labels"].astype(bool)].sort_values("checkpoint")
    return {
        **{key: lane[key] for key in LANE},
        "label": str(lane["label"]) if lanes.goals else "",
        "folder": str(folder.path),
        "factors": {one: str(lanes.named.at[row, one]) for one in lanes.factors},
        "measures": {one: f"{lane[one]:.4g}" for one in lanes.measures if pd.notna(lane[one])},
        "curve": _curve(curve),
        "probes": [_probe(one, folder.goals) for one in last.to_dict("records")],
        "through": {
            "checkpoint": numbers(choice["checkpoint"], DIGITS),
            "share": {goal: numbers(choice[f"share.{goal}"], DIGITS) for goal in folder.goals},
        },
        "policy": _has_policy(folder, condition, seed),
        "lines": {
            "chisel": f"chisel watch {where} --condition {condition} --seed {seed}",
            "python": f"import sweeps\npolicy = sweeps.policy({str(folder.path)!r}, {condition!r}, {seed})",
        },
    }


def _has_policy(folder: Results, condition: str, seed: int) -> bool:
    layer = folder.manifest.layer_of(condition, seed)
    return layer is not None and has_policies(folder.path, layer.place_of(condition, seed)[0])


def _curve(rows: pd.DataFrame) -> dict[str, list[float | None]]:
    """The columns that are numbers, those of no value left out."""
    part = rows.select_dtypes("number").dropna(axis=1, how="all")
    return {str(name): numbers(part[name], DIGITS) for name in part if name not in CONDITION}


def _probe(row: Mapping[Any, Any], goals: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"probe": str(row["probe"]), "kind": str(row["kind"]), "labels": bool(row["labels"])}
    found |= {name: number(row.get(name, np.nan), DIGITS) for name in ("episodes", "undecided", "return")}
    found["goals"] = [one for one in str(row["goals"]).split(",") if one]
    for part in ("share", "success"):
        found[part] = {goal: number(row[f"{part}.{goal}"], DIGITS) for goal in goals}
    return found
