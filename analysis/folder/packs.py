"""Packs: the tables of many finished shards in one file of each kind, beside the shards that have files of their own.

DIR/outcomes/START-STOP-HASH.parquet holds the shards from place START up to STOP in the folder's order, which only ever
grows at its end; the hash is one of their ids, so that a name alone tells what a pack holds. As with a shard, the table
of outcomes is written last: with it a pack is in force, and files of its shards are left over.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.folder.layout import names_in
from analysis.folder.places import Place

_NAME = re.compile(r"(\d{1,8})-(\d{1,8})-([0-9a-f]{16})")


def pack_name(shards: Sequence[str], places: range) -> str:
    """Of the pack of some consecutive shards of a folder, given all of its shards."""
    ids = "".join(shards[places.start : places.stop]).encode()
    return f"{places.start}-{places.stop}-{hashlib.blake2b(ids, digest_size=8).hexdigest()}"


def packs_among(names: Iterable[str], shards: Sequence[str]) -> dict[str, range]:
    """Those of some names that are packs of these shards, each with their places, in order; none overlaps another."""
    found = []
    for name in names:
        if match := _NAME.fullmatch(name):
            places = range(int(match[1]), int(match[2]))
            if places and places.stop <= len(shards) and pack_name(shards, places) == name:
                found.append((places.start, -places.stop, name))
    packs: dict[str, range] = {}
    free = 0
    for start, stop, name in sorted(found):
        if start >= free:
            packs[name] = range(start, free := -stop)
    return packs


def is_pack(name: str) -> bool:
    """Whether this looks like the name of a pack, of whatever folder."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Finished:
    """The shards of a folder that are done, by the file that each is in."""

    packs: dict[str, range]
    """The places of the shards in each."""
    alone: dict[str, int]
    """The place of each other shard: it has a file of its own, named as the shard."""
    packed: dict[str, str]
    """The pack that each of the first is in."""
    left_over: dict[str, str]
    """The pack of each shard that has a file of its own besides."""

    @property
    def files(self) -> list[str]:
        """The names of all of them."""
        return [*self.packs, *self.alone]

    def __contains__(self, shard: object) -> bool:
        return shard in self.alone or shard in self.packed

    def file_of(self, shard: str) -> str:
        """The name of the file that a shard is in."""
        return self.packed.get(shard, shard)


def finished(folder: str | Place, shards: Iterable[str]) -> Finished:
    """What is done of a folder's shards, given in its order; nothing is opened."""
    every, names = list(shards), names_in(folder, "outcomes")
    packs = packs_among(names, every)
    packed = {every[place]: name for name, places in packs.items() for place in places}
    there = {shard: place for place, shard in enumerate(every) if shard in names}
    alone = {shard: place for shard, place in there.items() if shard not in packed}
    return Finished(packs, alone, packed, {shard: packed[shard] for shard in there if shard in packed})
