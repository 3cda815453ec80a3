"""A program is compiled once a machine: its workers share the work, and have all cores while they do.

What is compiled is kept in the cache folder under a digest of all that it was made from, so that who finds it there
does not even trace it. Who compiles a function holds a lock on it, which the kernel gives back when its holder dies.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import pickle
import platform
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.folder import write_file
from sweeps.environment import PINNED, ignored
from sweeps.plan import ProgramSpec, package_versions

if TYPE_CHECKING:
    import jaxrl

LOCK = "compiling.lock"
"""A file of no content in the cache: workers lock one byte of it for each function."""
_AT_START = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""The cores of this process before it was pinned to one."""


def compile(spec: ProgramSpec, program: "jaxrl.Program") -> None:
    """Compiles a program together with the other processes of this machine that need it, or finds it compiled."""
    with all_cores():
        program.compile(functools.partial(_shared, spec))


def _shared(spec: ProgramSpec, compilers: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Each function compiled; first those that no other process is compiling."""
    try:
        folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
        file = (folder / LOCK).open("ab")
    except (KeyError, OSError):  # no cache, or none on a disk of this machine's
        return {name: compiler() for name, compiler in compilers.items()}
    made_from = _made_from(spec)
    places = {name: _place(spec, name) for name in compilers}
    found: dict[str, Any] = {}
    with file:
        while left := [name for name in compilers if name not in found]:
            free = (name for name in left if _lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, places[name]))
            if (name := next(free, None)) is None:
                name = left[0]
                _lock(file.fileno(), fcntl.LOCK_EX, places[name])
            if made_from is None:
                found[name] = compilers[name]()
            else:
                path = folder / f"{made_from}-{name}.pickle"
                found[name] = _read(path) or _written(path, compilers[name]())
            _lock(file.fileno(), fcntl.LOCK_UN, places[name])
    return found


def _place(spec: ProgramSpec, name: str) -> int:
    return zlib.crc32(f"{spec} {name}".encode())


def _lock(file: int, kind: int, place: int) -> bool:
    """Whether the byte is not another's; where a file system has no locks, each process compiles all."""
    try:
        fcntl.lockf(file, kind, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


def _made_from(spec: ProgramSpec) -> str | None:
    """A digest of all that decides what a program compiles to; None where that is also code of the user's own."""
    import jax

    values = spec.world.removeprefix("gymnax:"), spec.learner, spec.curriculum, *spec.static.values()
    if any(":" in str(value) for value in values):
        return None
    settings = {name: value for name, value in jax.config.values.items() if name in PINNED}
    device = jax.local_devices()[0].device_kind
    versions = package_versions(), platform.python_version()
    made_from = repr((spec, _source(), versions, device, settings, ignored(os.environ)))
    return hashlib.blake2b(made_from.encode(), digest_size=16).hexdigest()


@functools.cache
def _source() -> str:
    """A digest of the code of worlds and learners."""
    import envs
    import jaxrl

    found = hashlib.blake2b(digest_size=16)
    for package in (envs, jaxrl):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            found.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _read(path: Path) -> Any:
    """A function as it was written; None where there is none that can be used."""
    from jax.experimental.serialize_executable import deserialize_and_load

    try:
        return deserialize_and_load(*pickle.loads(path.read_bytes()))
    except Exception:  # whatever a damaged file, or one of another jax's, raises
        return None


def _written(path: Path, compiled: Any) -> Any:
    from jax.experimental.serialize_executable import serialize

    if "custom-call" not in compiled.as_text():  # jax makes LAPACK's functions known only when it lowers one
        with contextlib.suppress(Exception):  # a device that cannot write what it runs, a disk that is full
            write_file(path, pickle.dumps(serialize(compiled)))
    return compiled


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
