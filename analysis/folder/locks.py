"""Keeps two runs from training the same shards of a folder at once.

A folder has one lock file, `.lock`, of no content. A run locks one byte of it for each shard that it may train, in the
folder's order, so that runs with disjoint parts of a sweep work side by side and overlapping ones do not. These are
POSIX record locks: the kernel, or an NFS server, gives them back when their holder dies, however it dies, so that
nothing has to be judged stale by a clock. Byte 0 stands for the manifest.

Where a file system has no locks, `Lock.works` is False and nothing keeps runs apart; as files appear whole and equal
lanes give equal bytes, that costs time and no row.

An object store has none either. There the manifest alone is guarded, by objects under `claims`: see `_claim`.
"""

import contextlib
import errno
import fcntl
import os
import random
import struct
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Self

from analysis.folder.places import Place
from analysis.folder.remote import Remote, RemoteError

NAME = ".lock"
CLAIM_SECONDS = 120.0
"""A claim so much older than one's own, by the store's clock, is of a run that was killed in the midst of writing."""
WAIT_SECONDS = 180.0
"""For the claims of others; longer than one of a dead run stands."""
TOLD_AT = 5
"""Attempts after which the user is told what is waited for."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_FLOCK = "hhqqi4x"
"""`struct flock` of 64-bit Linux: type, whence, start, length, process."""
_held: set[Place] = set()
"""Closing any descriptor of a file gives back all record locks that the process has on it, so each is opened once."""


class BusyError(Exception):
    """Another run holds what was asked for; says who."""


class Lock:
    """The lock file of a folder, open. Everything is given back when it is closed. A store has no such file."""

    def __init__(self, folder: Place):
        """Raises OSError where the folder cannot be written, BusyError where this process has it open already."""
        self.folder, self.path, self.works = folder, _path(folder), not isinstance(folder, Remote)
        if self.path in _held:
            raise BusyError("this process")
        self.file = os.open(str(self.path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666) if self.works else None
        _held.add(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            os.close(self.file)
        _held.discard(self.path)

    @contextlib.contextmanager
    def of_manifest(self, writing: bool = True) -> Iterator[None]:
        """Waits until no other run writes the manifest.

        In a store this is for those that are to write it; raises RemoteError where another does not end.
        """
        if isinstance(self.folder, Remote):
            with _claim(self.folder) if writing else contextlib.nullcontext():
                yield
            return
        self._lock(fcntl.LOCK_EX, 0, 1)
        try:
            yield
        finally:
            self._lock(fcntl.LOCK_UN, 0, 1)

    def take(self, parts: Iterable[range]) -> None:
        """Takes shards by their places in the folder. Raises BusyError where another run holds one of them."""
        for places in parts:
            if places and self.file is not None:
                try:
                    self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, 1 + places.start, len(places))
                except (BlockingIOError, PermissionError):
                    raise BusyError(_holder(self.file, 1 + places.start, len(places)) or "another machine") from None

    def _lock(self, kind: int, start: int, length: int) -> None:
        if self.works and self.file is not None:
            try:
                fcntl.lockf(self.file, kind, length, start)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self.works = False


def _path(folder: Place) -> Place:
    return (folder if isinstance(folder, Remote) else folder.resolve()) / NAME


@contextlib.contextmanager
def _claim(folder: Remote) -> Iterator[None]:
    """For one run at a time. Each writes an object of its own, and goes on if it then sees no other beside it.

    Of two, the one that wrote later sees the earlier, since a listing shows whatever was written before; so at most
    one goes on. Where both see both, each takes its own back and tries again after a random time.
    """
    own = folder / "claims" / uuid.uuid4().hex
    until, attempt, wrote = time.monotonic() + WAIT_SECONDS, 0, False
    try:
        while True:
            own.write_bytes(b"a run that is writing manifest.json\n")
            wrote = True
            written = dict((folder / "claims").scan())
            dead = [one for one in written if written[one] < written.get(own, 0.0) - CLAIM_SECONDS]
            for one in dead:
                one.unlink(missing_ok=True)
            others = sorted(written.keys() - {own, *dead})
            if own in written and not others:
                break
            own.unlink(missing_ok=True)
            if time.monotonic() > until:
                who = f", by {others[0].name} in claims" if others else ""
                raise RemoteError(f"{folder}: other runs are writing its manifest{who}; run again.")
            attempt += 1
            if attempt == TOLD_AT:
                print(
                    f"{folder}: waiting for a run that is writing its manifest, or was killed there.", file=sys.stderr
                )
            time.sleep(random.uniform(0.2, 1.0) * min(1 + attempt, 10))
        yield
    finally:
        if wrote:
            with contextlib.suppress(RemoteError):
                own.unlink(missing_ok=True)


def holder(folder: Place) -> str | None:
    """Who trains shards of a folder, as far as can be told; None where nobody does."""
    path = _path(folder)
    if path in _held:
        return "this process"
    if isinstance(path, Remote):
        return None
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
