"""What is done in one way in a folder of this machine, and in another in an object store."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from analysis.folder.local import LocalStore
from analysis.folder.objects import ObjectStore
from analysis.folder.places import Place, as_place
from analysis.folder.remote import Remote
from analysis.folder.trial import Trial

T = TypeVar("T")
R = TypeVar("R")


class Lock(Protocol):
    """Keeps two runs from training the same shards of a folder at once, as far as its store can."""

    works: bool
    """Whether it does."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def of_manifest(self, writing: bool = True) -> AbstractContextManager[None]:
        """Waits until no other run writes the manifest."""

    def take(self, parts: Iterable[range]) -> None:
        """Takes shards by their places in the folder. Raises BusyError where another run holds one of them."""


class Store(Protocol):
    """Of places of any kind: paths are given with each call."""

    requests_at_once: int
    """Of one process: a request to a store takes tens of milliseconds, and hardly any of them of this machine."""
    has_locks: bool
    """Whether it can be told who trains here."""

    def create(self, folder: Any) -> None:
        """Sees to it that a folder is there."""

    def write(self, path: Any, content: bytes) -> None:
        """Writes a file so that a reader sees all of it or nothing."""

    def read_part(self, path: Any, length: int, end: bool) -> bytes:
        """The first bytes of a file, or the last; all of them where it has fewer."""

    def entries(self, folder: Any) -> Iterator[tuple[str, Callable[[], float]]]:
        """The name of each file of a folder, and what says when it was written (seconds since the epoch)."""

    def remove_stale(self, folder: Any) -> None:
        """Removes what killed processes left behind of files that they wrote."""

    def bundle_path(self, path: Any) -> Any:
        """Where a folder lies that appears whole or not at all, given its path without an ending."""

    def write_bundle(self, path: Any, fill: Callable[[Path], None]) -> None:
        """Lets `fill` write such a folder at a local path that does not exist yet, and puts it in place."""

    def open_bundle(self, path: Any) -> AbstractContextManager[Path]:
        """Such a folder, at a local path."""

    def lock(self, folder: Any) -> Lock:
        """Raises OSError where the folder cannot be written, BusyError where this process has it open already."""

    def holder(self, folder: Any) -> str | None:
        """Who trains shards of a folder, as far as can be told; None where nobody does."""

    def try_out(self, folder: Any) -> Trial:
        """Writes a little where results would go, reads it and removes it."""


LOCAL: Store = LocalStore()
OBJECTS: Store = ObjectStore()


def store_of(place: Place) -> Store:
    return OBJECTS if isinstance(place, Remote) else LOCAL


def at_once(place: Place, call: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Calls a function that reads a place for each item, in order; in many threads where it has to wait for a store."""
    many = store_of(place).requests_at_once
    if many == 1:
        yield from map(call, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(many) as threads:
        while some := list(islice(waiting, many)):
            yield from threads.map(call, some)


def write_file(path: str | Place, content: bytes) -> None:
    """Writes a file so that a reader sees all of it or nothing."""
    path = as_place(path)
    store_of(path).write(path, content)


def set_aside(path: Place) -> Place:
    """Renames a damaged file to NAME.bad, where no reader looks, and returns the new path."""
    bad = path.with_name(f"{path.name}.bad")
    with suppress(FileNotFoundError):  # another run was faster
        path.replace(bad)  # type: ignore[arg-type]
    return bad
