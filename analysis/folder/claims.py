"""Keeps two runs from writing the manifest of a folder in an object store at once, where there are no locks."""

import contextlib
import random
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Self

from analysis.folder.locks import BusyError
from analysis.folder.remote import Remote, RemoteError

CLAIM_SECONDS = 120.0
"""A claim so much older than one's own, by the store's clock, is of a run that was killed in the midst of writing."""
WAIT_SECONDS = 180.0
"""For the claims of others; longer than one of a dead run stands."""
TOLD_AT = 5
"""Attempts after which the user is told what is waited for."""
_held: set[Remote] = set()


class Claims:
    """Guards the manifest alone. Shards are not: as equal lanes give equal bytes, that costs time and no row."""

    works = False

    def __init__(self, folder: Remote):
        """Raises BusyError where this process has it open already."""
        if folder in _held:
            raise BusyError("this process")
        self.folder = folder
        _held.add(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _held.discard(self.folder)

    @contextlib.contextmanager
    def of_manifest(self, writing: bool = True) -> Iterator[None]:
        """For those that are to write it. Raises RemoteError where another run does not end."""
        with claim(self.folder) if writing else contextlib.nullcontext():
            yield

    def take(self, parts: Iterable[range]) -> None:
        """Nothing can be taken here."""

    @staticmethod
    def held(folder: Remote) -> str | None:
        return "this process" if folder in _held else None


@contextlib.contextmanager
def claim(folder: Remote) -> Iterator[None]:
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
