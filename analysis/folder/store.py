"""Files that appear whole or not at all, and what is left of those that did not."""

import contextlib
import os
import shutil
import time

from analysis.folder.places import Place
from analysis.folder.remote import Remote

STALE_SECONDS = 3600.0
"""A temporary file this old was left by a process that was killed; writing one takes well under a second."""


def write_file(path: Place, content: bytes) -> None:
    """Writes aside in the same folder, flushes to the disk and renames: a reader sees all of it or nothing.

    An object in a store appears so by itself.
    """
    if isinstance(path, Remote):
        path.write_bytes(content)
        return
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


def set_aside(path: Place) -> Place:
    """Renames a damaged file to NAME.bad, where no reader looks, and returns the new path."""
    bad = path.with_name(f"{path.name}.bad")
    with contextlib.suppress(FileNotFoundError):  # another run was faster
        path.replace(bad)  # type: ignore[arg-type]
    return bad


def remove_stale(folder: Place) -> None:
    """Removes temporary files that killed processes left behind. A store has none."""
    if isinstance(folder, Remote):
        return
    for path in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp"), *folder.glob("policies/*orbax-checkpoint-tmp*")]:
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another process was faster, or it is not ours to remove
