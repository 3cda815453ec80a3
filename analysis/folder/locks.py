"""Keeps two runs from training the same shards of a folder at once.

A folder has one lock file, `.lock`, of no content. A run locks one byte of it for each shard that it may train, in the
folder's order, so that runs with disjoint parts of a sweep work side by side and overlapping ones do not. These are
POSIX record locks: the kernel, or an NFS server, gives them back when their holder dies, however it dies, so that
nothing has to be judged stale by a clock. Byte 0 stands for the manifest.

Where a file system has no locks, `FileLock.works` is False and nothing keeps runs apart; as files appear whole and
equal lanes give equal bytes, that costs time and no row.
"""

import contextlib
import errno
import fcntl
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

NAME = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_FLOCK = "hhqqi4x"
"""`struct flock` of 64-bit Linux: type, whence, start, length, process."""
_held: set[Path] = set()
"""Closing any descriptor of a file gives back all record locks that the process has on it, so each is opened once."""


class BusyError(Exception):
    """Another run holds what was asked for; says who."""


class FileLock:
    """The lock file of a folder, open. Everything is given back when it is closed."""

    def __init__(self, folder: Path):
        """Raises OSError where the folder cannot be written, BusyError where this process has it open already."""
        self.path, self.works = folder.resolve() / NAME, True
        if self.path in _held:
            raise BusyError("this process")
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _held.add(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.file)
        _held.discard(self.path)

    @contextlib.contextmanager
    def of_manifest(self, writing: bool = True) -> Iterator[None]:
        """Waits until no other run writes the manifest."""
        self._lock(fcntl.LOCK_EX, 0, 1)
        try:
            yield
        finally:
            self._lock(fcntl.LOCK_UN, 0, 1)

    def take(self, parts: Iterable[range]) -> None:
        """Takes shards by their places in the folder. Raises BusyError where another run holds one of them."""
        for places in parts:
            if places:
                try:
                    self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, 1 + places.start, len(places))
                except (BlockingIOError, PermissionError):
                    raise BusyError(_holder(self.file, 1 + places.start, len(places)) or "another machine") from None

    def _lock(self, kind: int, start: int, length: int) -> None:
        if self.works:
            try:
                fcntl.lockf(self.file, kind, length, start)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.works = False


def holder(folder: Path) -> str | None:
    """Who trains shards of a folder, as far as can be told; None where nobody does."""
    path = folder.resolve() / NAME
    if path in _held:
        return "this process"
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _holder(file, 1, 0)
    finally:
        os.close(file)


def _holder(file: int, start: int, length: int) -> str | None:
    """The first process that has one of the bytes; a length of 0 is up to the end."""
    if not sys.platform.startswith("linux"):
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
        except OSError:
            return "another process"
        fcntl.lockf(file, fcntl.LOCK_UN, length, start)
        return None
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    if kind == fcntl.F_UNLCK:
        return None
    return f"process {process}" if process > 0 else "another machine"
