"""A digest in each table's file, of every other byte of it: one function writes it, and the same checks it."""

import hashlib

from analysis.folder.places import Place

_KEY, _BLANK = b"chisel.digest", b"0" * 32
UNSEALED = {_KEY: _BLANK}
"""Metadata that a file has to carry before it is sealed."""


class DamagedError(ValueError):
    """A file of a results folder that is not what was written, or of another format; one line that names it."""

    def __init__(self, path: Place, what: str):
        super().__init__(f"{path}: {what}")
        self.path = path


def seal(kind: str, name: str, content: bytes) -> bytes:
    """A file's content, which carries `UNSEALED`, with its digest in place."""
    before, _, after = _around(content)
    return before + _digest(kind, name, before, after) + after


def check(kind: str, name: str, content: bytes) -> None:
    """Raises ValueError where a file carries no digest, or one of something else."""
    try:
        before, written, after = _around(content)
    except ValueError:
        raise ValueError("cannot be read (it holds no digest)") from None
    if written != _digest(kind, name, before, after):
        raise ValueError("its content does not match its digest")


def _around(content: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands before, in and after the place of the digest in the file's metadata.

    Thrift's compact protocol writes a field's type and the length of its text, a byte each, between key and value.
    """
    start = content.rindex(_KEY) + len(_KEY) + 2
    return content[:start], content[start : start + len(_BLANK)], content[start + len(_BLANK) :]


def _digest(kind: str, name: str, before: bytes, after: bytes) -> bytes:
    """BLAKE2b over every other byte of a file, and over its place, so that no file passes for another."""
    named = f"{kind}/{name}/".encode() + before + after
    return hashlib.blake2b(named, digest_size=len(_BLANK) // 2).hexdigest().encode()


def one_line(error: Exception) -> str:
    """What an error says, on one line, and not too long."""
    return " ".join(str(error).split())[:200] or type(error).__name__
