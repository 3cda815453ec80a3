"""A folder of results: whole files or none, each with a digest of its content.

DIR/manifest.json              {"layers": [...]}, append-only; a layer has the lanes that no earlier one has
DIR/.lock                      see `analysis.folder.locks`; in an object store DIR/claims/
DIR/failed/SHARD.json          {"reason": ...} of a shard that failed when it was last run
DIR/outcomes/SHARD.parquet     one row a lane; written last: with it a shard is done
                               of these and preference, packs of many shards: see `analysis.folder.packs`
DIR/probes/SHARD.parquet       one row a lane × checkpoint × probe × actor × sampled or greedy
DIR/curves/SHARD.parquet       one row a lane × point of its curve
DIR/preference/SHARD.parquet   one row a lane × checkpoint × pair of kinds, of worlds that compare kinds
DIR/internals/WHAT-SHARD.parquet  what `chisel inspect --what WHAT` found in the policies of a shard
DIR/levels/PROGRAM.parquet     one row a probe episode
DIR/baselines/PROGRAM.parquet  known policies on the probes
DIR/checkpoints/               shards in their midst, on request (see `sweeps.checkpoints`)
DIR/policies/SHARD/            trained parameters, on request; in an object store SHARD.tar, the same folder packed
DIR/policies/SHARD-checkpoints/  those at every checkpoint of the probes, on request
DIR/rollouts/                  pictures of policies at work (see `sweeps.watching`); a report shows them
DIR/levels.png                 training and probe levels (see `sweeps.sheets`); a report shows it
"""

from collections.abc import Callable, Iterable, Iterator

from analysis.folder.places import Place, as_place
from analysis.folder.store import store_of

SHARD_TABLES = ("probes", "curves", "outcomes")
"""Of every world, in the order of writing; those that only some worlds have come before (`Manifest.tables`)."""
PROGRAM_TABLES = ("levels", "baselines")


def table_path(folder: str | Place, kind: str, name: str) -> Place:
    return as_place(folder) / kind / f"{name}.parquet"


def internals_in(folder: str | Place, what: str, shards: Iterable[str]) -> dict[str, str]:
    """By shard, the name of its table of internals of this kind; of those that have one, in the order given."""
    there = names_in(folder, "internals")
    return {shard: name for shard in shards if (name := internals_name(what, shard)) in there}


def internals_name(what: str, shard: str) -> str:
    return f"{what}-{shard}"


def policies_path(folder: str | Place, shard: str) -> Place:
    place = as_place(folder)
    return store_of(place).bundle_path(place / "policies" / shard)


def names_in(folder: str | Place, kind: str) -> set[str]:
    """What has a table of this kind, or a record of it; nothing is opened."""
    return {name for name, _ in _entries(folder, kind)}


def times_in(folder: str | Place, kind: str) -> dict[str, float]:
    """When each table of this kind was written, in seconds since the epoch."""
    return {name: written() for name, written in _entries(folder, kind)}


def _entries(folder: str | Place, kind: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """The name of each, and what says when it was written."""
    place = as_place(folder)
    for name, written in store_of(place).entries(place / kind):
        name, _, ending = name.partition(".")
        if ending in ("parquet", "json"):
            yield name, written
