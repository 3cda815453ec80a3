"""Results in an object store, where an object appears whole or not at all, and nothing can be renamed or locked."""

import contextlib
import functools
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from analysis.folder.claims import Claims
from analysis.folder.remote import Remote, RemoteError
from analysis.folder.trial import Trial

TRIED_BYTES = 1 << 16


class ObjectStore:
    """See `Store`. A folder that appears whole or not at all is one object, a tar of it."""

    requests_at_once = 32
    has_locks = False

    def create(self, folder: Remote) -> None:
        """There are no folders: one is there when something lies under its name."""

    def write(self, path: Remote, content: bytes) -> None:
        path.write_bytes(content)

    def read_part(self, path: Remote, length: int, end: bool) -> bytes:
        return path.read_part(length, end)

    def entries(self, folder: Remote) -> Iterator[tuple[str, Callable[[], float]]]:
        for one, at in folder.scan():
            yield one.name, functools.partial(float, at)

    def remove_stale(self, folder: Remote) -> None:
        """Nothing is left of an upload that did not end."""

    def bundle_path(self, path: Remote) -> Remote:
        return path.with_name(f"{path.name}.tar")

    def write_bundle(self, path: Remote, fill: Callable[[Path], None]) -> None:
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory(prefix="chisel-") as outside:
            inside = Path(outside) / path.stem
            fill(inside)
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(inside, arcname=".")
        path.write_bytes(packed.getvalue())

    @contextlib.contextmanager
    def open_bundle(self, path: Remote) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="chisel-") as inside:
            try:
                with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
                    tar.extractall(inside, filter="data")
            except tarfile.TarError as error:
                raise ValueError(f"{path}: cannot be unpacked ({' '.join(str(error).split())})") from None
            yield Path(inside)

    def lock(self, folder: Remote) -> Claims:
        return Claims(folder)

    def holder(self, folder: Remote) -> str | None:
        return Claims.held(folder)

    def try_out(self, folder: Remote) -> Trial:
        one, content = folder / f"chisel-doctor-{os.urandom(8).hex()}", os.urandom(TRIED_BYTES)
        try:
            one.write_bytes(content)
            good = one.read_bytes() == content and one in dict(folder.scan())
            one.unlink()
        except RemoteError as error:
            return Trial(False, str(error), "choose another --out.")
        return Trial(good, f"{folder}: write, read, list and remove", "choose another --out.")
