"""The source of a user's own worlds, learners, curricula and networks, which is a part of what a condition is."""

import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def digests(names: Iterable[object]) -> dict[str, str]:
    """A digest of the file of each class that goes by `module:Name`, which has been imported; of no other name."""
    found = {}
    for name in names:
        path = _file(name)
        if path is not None:
            found[str(name)] = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return dict(sorted(found.items()))


def change(then: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """What has changed of code whose digests were recorded, in words; None where nothing has."""
    for name, digest in then.items():
        path = _file(name)
        if path is not None and now.get(name, digest) != digest:
            return f"{path.name}, the file of {name}, has changed since"
    return None


def classes(names: Iterable[object]) -> tuple[type, ...]:
    """The classes that go by `module:Name` among some names, as they are now: a cell that runs again defines others."""
    return tuple(found for found in map(_class, names) if found is not None)


def unrecorded(name: object) -> bool:
    """Whether a name is of a class that no file defines, as in a notebook, so that nothing tells whether it changed."""
    return _class(name) is not None and _file(name) is None


def of_session(name: object) -> bool:
    """Whether a name is of a class of a notebook or a script, which no other process can import."""
    return isinstance(name, str) and name.startswith("__main__:")


def _class(name: object) -> type | None:
    module, colon, attribute = name.partition(":") if isinstance(name, str) else ("", "", "")
    found = getattr(sys.modules.get(module), attribute, None) if colon else None
    return found if isinstance(found, type) else None


def _file(name: object) -> Path | None:
    found = _class(name)
    if found is None:
        return None
    try:
        path = inspect.getsourcefile(found)
    except (OSError, TypeError):
        return None
    return Path(path) if path and Path(path).is_file() else None
