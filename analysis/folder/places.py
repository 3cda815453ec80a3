"""Places: local paths and remote ones, under the same operations."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from analysis.folder.remote import Remote, RemoteError

T = TypeVar("T")
R = TypeVar("R")

Place = Path | Remote
REQUESTS_AT_ONCE = 32
"""Of one process to a store: a request takes tens of milliseconds, and hardly any of them of this machine."""


def as_place(given: str | Place) -> Place:
    """A folder from its name: `s3://…` and `gs://…` lie in an object store, whatever else is a path.

    Raises:
      RemoteError: a URI that will not do.
    """
    if isinstance(given, str) and "://" in given:
        return Remote.from_uri(given)
    if isinstance(given, Path) and given.parts[:1] in (("s3:",), ("gs:",)):
        raise RemoteError(f"{given}: is a pathlib.Path, which cannot hold a URI; give it as text.")
    return Path(given) if isinstance(given, str) else given


def read_part(place: Place, length: int, end: bool = False) -> bytes:
    """The first bytes of a file, or the last; all of them where it has fewer."""
    if isinstance(place, Remote):
        return place.read_part(length, end)
    with place.open("rb") as file:
        if end:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - length, 0))
        return file.read(length)


def at_once(place: Place, call: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Calls a function that reads a place for each item, in order; in many threads where it has to wait for a store."""
    if isinstance(place, Path):
        yield from map(call, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        while some := list(islice(waiting, REQUESTS_AT_ONCE)):
            yield from threads.map(call, some)
