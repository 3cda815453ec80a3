"""Names of places: paths of this machine, and places in an object store, under the same operations."""

import contextlib
from pathlib import Path

from analysis.folder.remote import Remote, RemoteError

Place = Path | Remote


def as_place(given: str | Place) -> Place:
    """A folder from its name: `s3://…` and `gs://…` lie in an object store, whatever else is a path (`~` too).

    Raises:
      RemoteError: a URI that will not do.
    """
    if isinstance(given, str) and "://" in given:
        return Remote.from_uri(given)
    if isinstance(given, Path) and given.parts[:1] in (("s3:",), ("gs:",)):
        raise RemoteError(f"{given}: is a pathlib.Path, which cannot hold a URI; give it as text.")
    if not isinstance(given, str):
        return given
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        return Path(given).expanduser()
    return Path(given)
