"""A program is compiled once a machine, by the worker that comes first, which has all cores while it does.

Each function goes into jax's cache of compiled functions, from which the other workers read it. Who compiles one holds
a lock on it, which the kernel gives back when its holder dies, however it dies.
"""

import contextlib
import fcntl
import functools
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.folder import write_file

if TYPE_CHECKING:
    import jaxrl
    from jaxrl.program import Lowering

LOCK = "compiling.lock"
"""A file of no content in the cache: workers lock one byte of it for each function."""
LAST = "controls"
"""The function that is compiled after all others."""
_AT_START = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""The cores of this process before it was pinned to one."""


def compile(program: "jaxrl.Program", name: str) -> None:
    """Compiles a program together with the other processes of this machine that compile the one of this name."""
    with all_cores():
        program.compile(functools.partial(_shared, name))


def _shared(program: str, functions: "Lowering") -> dict[str, Any]:
    """Each function compiled, in a thread of its own, while this one lowers the next: compiling holds no lock of
    Python's. What another process is compiling is waited for, and then read from jax's cache."""
    cache = _cache()
    try:
        if cache is None:
            raise OSError
        cache.mkdir(parents=True, exist_ok=True)
        file = (cache / LOCK).open("ab")
    except OSError:
        return {name: lower()() for name, lower in functions.items()}

    def compiled(name: str, compiler: Callable[[], Any]) -> Any:
        with _lock(file.fileno(), zlib.crc32(f"{program} {name}".encode())):
            return _timed(cache, program, name, compiler)

    with file, ThreadPoolExecutor(len(functions)) as pool:
        found = {name: pool.submit(compiled, name, lower()) for name, lower in functions.items()}
        return {name: one.result() for name, one in found.items()}


def seconds(program: str) -> float | None:
    """What compiling a program took on this machine; None where the cache has no record of it.

    It is of the last time that it was compiled, and not read from the cache: of the function that took longest among
    those that are compiled side by side, and of the last.
    """
    cache = _cache()
    paths = cache.glob(f"{program}-*.seconds") if cache is not None else ()
    found = {path.stem.removeprefix(f"{program}-"): float(path.read_text()) for path in paths}
    last = found.pop(LAST, None)
    return None if last is None else max(found.values(), default=0.0) + last


def memory(name: str, build: "Callable[[], jaxrl.Program]") -> dict[str, int]:
    """The bytes that a program needs, as its `memory`; compiles it where the cache has no record of them."""
    cache = _cache()
    if cache is not None:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(_of_memory(cache, name).read_bytes())
    program = build()
    compile(program, name)
    found = program.memory()
    if cache is not None:
        with contextlib.suppress(OSError):
            write_file(_of_memory(cache, name), json.dumps(found).encode())
    return found


def _cache() -> Path | None:
    """Where jax keeps compiled functions; None where it does not, or not on a disk."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    return Path(folder) if folder and "://" not in folder else None


def _of_memory(cache: Path, program: str) -> Path:
    """The record of a program's memory on devices of this kind; it is removed when a function is compiled again."""
    import jax

    return cache / f"{program}-{jax.default_backend()}-{jax.__version__}.memory"


_here = threading.local()
"""Whether this thread has just read a function from jax's cache."""


@functools.cache
def _listen() -> None:
    from jax import monitoring

    def note(event: str, **_: Any) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            _here.read = True

    monitoring.register_event_listener(note)


def _timed(cache: Path, program: str, name: str, compiler: Callable[[], Any]) -> Any:
    """Compiles a function, and notes how long that took."""
    _listen()
    _here.read, began = False, time.monotonic()
    compiled = compiler()
    if not _here.read:
        with contextlib.suppress(OSError):
            write_file(cache / f"{program}-{name}.seconds", f"{time.monotonic() - began:.3f}".encode())
            _of_memory(cache, program).unlink(missing_ok=True)
    return compiled


@contextlib.contextmanager
def _lock(file: int, place: int) -> Iterator[None]:
    """Waits for a byte that no other process holds; where a file system has no locks, each process compiles all."""
    with contextlib.suppress(OSError):
        fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """Frees a worker from the core that it is pinned to: the compiler has as many threads as the machine has cores."""
    pinned = os.sched_getaffinity(0) if _AT_START else set()
    if pinned == _AT_START:
        yield
        return
    _pin(_AT_START)
    try:
        yield
    finally:
        _pin(pinned)


def _pin(cores: set[int]) -> None:
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended, or a container does not allow it
            os.sched_setaffinity(int(thread), cores)
