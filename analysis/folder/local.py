"""Results in a folder of this machine, or of a file system that it shares."""

import contextlib
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from analysis.folder.locks import FileLock, holder
from analysis.folder.trial import Trial

STALE_SECONDS = 3600.0
"""A temporary file this old was left by a process that was killed; writing one takes well under a second."""
TRIED_BYTES = 1 << 16


class LocalStore:
    """See `Store`. Files are written aside, and put in place by a rename."""

    requests_at_once = 1
    has_locks = True

    def create(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, content: bytes) -> None:
        """Writes aside in the same folder, flushes to the disk and renames."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)  # the rename itself
        finally:
            os.close(handle)

    def read_part(self, path: Path, length: int, end: bool) -> bytes:
        with path.open("rb") as file:
            if end:
                file.seek(0, os.SEEK_END)
                file.seek(max(file.tell() - length, 0))
            return file.read(length)

    def entries(self, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    yield entry.name, functools.partial(_written, entry)
        except (FileNotFoundError, NotADirectoryError):
            return

    def remove_stale(self, folder: Path) -> None:
        for path in [
            *folder.glob(".*.tmp"), *folder.glob("*/.*.tmp"), *folder.glob("policies/*orbax-checkpoint-tmp*")
        ]:  # fmt: skip
            try:
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                continue  # another process was faster, or it is not ours to remove

    def bundle_path(self, path: Path) -> Path:
        return path

    def write_bundle(self, path: Path, fill: Callable[[Path], None]) -> None:
        """Orbax, which is what fills them, puts its folder in place when it is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(path.resolve())

    @contextlib.contextmanager
    def open_bundle(self, path: Path) -> Iterator[Path]:
        yield path.resolve()

    def lock(self, folder: Path) -> FileLock:
        return FileLock(folder)

    def holder(self, folder: Path) -> str | None:
        return holder(folder)

    def try_out(self, folder: Path) -> Trial:
        there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
        content = os.urandom(TRIED_BYTES)
        try:
            with tempfile.TemporaryDirectory(prefix=".chisel-doctor-", dir=there) as inside:
                path = Path(inside) / "file"
                self.write(path, b"before")
                self.write(path, content)
                good = path.read_bytes() == content and [one.name for one in Path(inside).iterdir()] == ["file"]
        except OSError as error:
            return Trial(False, f"{there} cannot be written ({error.strerror})", "choose another --out.")
        return Trial(good, f"{there}: write, rename and read", "renames are not atomic here: use a local disk.")


def _written(entry: os.DirEntry) -> float:
    return entry.stat().st_mtime
