"""A fault inside a process, at a chosen one of its accesses to files of a results folder.

Python imports a module of this name when it starts: with this folder on PYTHONPATH, workers of every executor do what
CHISEL_INJECT says, which is `install`'s arguments as JSON.
"""

import errno
import json
import os
import resource
import signal
import sys


def install(folder: str, at: int, do: str, once: str, room: int | None = None, lasts: int = 1) -> None:
    """Arms one fault.

    Args:
      folder: accesses to what lies under it count: opened, renamed, removed, made.
      at: the access that is spoilt, counted from 1.
      do: `kill` (the process, by SIGKILL), or `full` (the disk).
      once: a file that is made as the fault comes, and that keeps other processes from having it.
      room: bytes of a file that still find room on a full disk; None if not even an empty one does.
      lasts: accesses until there is room again.
    """
    seen, full = 0, False

    def access(event: str, arguments: tuple) -> None:
        nonlocal seen, full
        if event not in ("open", "os.rename", "os.remove", "os.mkdir"):
            return
        path = arguments[0]
        path = os.fspath(path) if isinstance(path, os.PathLike) else path
        if not isinstance(path, str) or not path.startswith(folder):
            return
        seen += 1
        if seen == at and _first(once):
            if do == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            full = True
            if room is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        if full and seen >= at + lasts:
            full = False
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if full and room is None and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    sys.addaudithook(access)


def _first(once: str) -> bool:
    try:
        os.close(os.open(once, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


if "CHISEL_INJECT" in os.environ:
    install(**json.loads(os.environ["CHISEL_INJECT"]))
