"""Notes of why shards failed. They are for people: what is done is told by the tables alone."""

import contextlib
import json

from analysis.folder.places import Place
from analysis.folder.remote import RemoteError
from analysis.folder.store import store_of, write_file

FAILURE_BYTES = 10_000
"""Read of a record of failure: a reason is a line."""


def write_failure(folder: Place, shard: str, reason: str) -> None:
    """Notes why a shard failed. It is a note for people: what is done is told by the tables alone."""
    with contextlib.suppress(OSError, RemoteError):  # a full disk, which may be why it failed
        write_file(folder / "failed" / f"{shard}.json", (json.dumps({"reason": reason}) + "\n").encode())


def read_failure(folder: Place, shard: str) -> str:
    """Why a shard failed."""
    try:
        record = store_of(folder).read_part(folder / "failed" / f"{shard}.json", FAILURE_BYTES, end=False)
        return " ".join(str(json.loads(record)["reason"]).split())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown"


def clear_failure(folder: Place, shard: str) -> None:
    with contextlib.suppress(RemoteError):  # `failed` is read of shards that are not done alone
        (folder / "failed" / f"{shard}.json").unlink(missing_ok=True)
