"""A folder or an object in an object store, with what results folders need of `pathlib.Path`.

Amazon S3 and what speaks its protocol (`s3://BUCKET/PATH`), and Google Cloud Storage (`gs://BUCKET/PATH`), by Arrow's
file systems. Credentials come from the environment, in the providers' usual ways. An object appears whole or not at
all, a listing shows what has been written before, and a request that fails for a passing reason is sent again.
"""

import contextlib
import datetime
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

OPTIONS = {
    "s3": ("region", "endpoint_override", "scheme", "anonymous"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
}
"""What may stand behind the `?` of a URI."""
ATTEMPTS = 7
"""At a request to S3, unless AWS_MAX_ATTEMPTS says otherwise: about half a minute in all."""
CONNECT_SECONDS, SILENT_SECONDS = 5.0, 20.0
"""To connect to S3, and without a byte from it, before an attempt is given up."""
RETRY_SECONDS = 20
"""After which a request to Google Cloud Storage is not sent again."""
_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_MAX_ATTEMPTS")
_WHY = {
    "ACCESS_DENIED": "access is denied; check the credentials and what they allow",
    "INVALID_ACCESS_KEY_ID": "the access key is not known there; check the credentials",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is not that of the access key; check the credentials",
    "NO_SUCH_BUCKET": "there is no such bucket; create it, or give another",
    "NETWORK_CONNECTION": "it cannot be reached; check the network and AWS_ENDPOINT_URL",
    "SLOW_DOWN": "it asks for fewer requests; run again later, or with fewer workers",
}
"""Of the errors that people meet most, by the name that Arrow gives them."""


class RemoteError(Exception):
    """An object store refused or failed, or its URI is not valid; the message is one line that names the place.

    Neither an OSError nor a ValueError, so that nothing takes it for a missing file or a damaged one.
    """


@dataclass(frozen=True, order=True)
class Remote:
    """Plain data, so that it may travel to other processes; connections are made where they are needed."""

    protocol: str
    key: str
    """BUCKET or BUCKET/PATH."""
    query: str = ""

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Raises RemoteError where a URI will not do."""
        protocol, _, rest = uri.partition("://")
        key, _, query = rest.partition("?")
        parts = [part for part in key.split("/") if part]
        if "@" in key.partition("/")[0]:
            raise RemoteError(f"{protocol}://…@…: a URI may not contain credentials; give them in the environment.")
        if protocol not in OPTIONS:
            known = " or ".join(f"{one}://BUCKET/PATH" for one in OPTIONS)
            raise RemoteError(f"{uri}: there is no store {protocol}://; expected {known}, or a folder.")
        if not parts or {".", ".."} & set(parts):
            raise RemoteError(f"{uri}: names no folder in a bucket; expected {protocol}://BUCKET/PATH.")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if not options.keys() <= set(OPTIONS[protocol]) or (query and not options):
            raise RemoteError(f"{uri}: has an unknown option; known: {', '.join(OPTIONS[protocol])}.")
        return cls(protocol, "/".join(parts), query)

    def __str__(self) -> str:
        return f"{self.protocol}://{self.key}{'?' * bool(self.query)}{self.query}"

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self.protocol, f"{self.key}/{name}", self.query)

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.key).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> "Remote":
        return Remote(self.protocol, str(PurePosixPath(self.key).parent), self.query)

    def with_name(self, name: str) -> "Remote":
        return self.parent / name

    def absolute(self) -> "Remote":
        return self

    def is_file(self) -> bool:
        return self._info().is_file

    def is_dir(self) -> bool:
        """Whether anything lies under this name."""
        from pyarrow.fs import FileType

        return self._info().type == FileType.Directory

    def exists(self) -> bool:
        from pyarrow.fs import FileType

        return self._info().type != FileType.NotFound

    def scan(self, recursive: bool = False) -> Iterator[tuple["Remote", float]]:
        """The objects in a folder, each with when it was written (seconds since the epoch, by the store's clock)."""
        from pyarrow.fs import FileSelector

        with self._asking() as store:
            found = store.get_file_info(FileSelector(self.key, allow_not_found=True, recursive=recursive))
        for one in found:
            if one.is_file:
                yield Remote(self.protocol, one.path, self.query), (one.mtime_ns or 0) / 1e9

    def glob(self, pattern: str) -> Iterator["Remote"]:
        """The objects in a folder whose names match."""
        return (one for one, _ in self.scan() if fnmatchcase(one.name, pattern))

    def rglob(self, pattern: str) -> Iterator["Remote"]:
        """The same, of whatever lies under it."""
        return (one for one, _ in self.scan(recursive=True) if fnmatchcase(one.name, pattern))

    def read_bytes(self) -> bytes:
        """Raises FileNotFoundError where there is no such object."""
        with self._asking() as store, store.open_input_file(self.key) as file:
            return self._whole(file.read(), file.size())

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def read_part(self, length: int, end: bool = False) -> bytes:
        """See `analysis.folder.read_part`."""
        with self._asking() as store, store.open_input_file(self.key) as file:
            size = file.size()
            length = min(length, size)
            return self._whole(file.read_at(length, size - length if end else 0), length)

    def write_bytes(self, content: bytes) -> None:
        """Writes an object whole or not at all: by one request, or in parts that a last one puts together."""
        with self._asking() as store:
            # Not in a `with`: that would close the stream, and so complete the upload, whatever went wrong.
            file = store.open_output_stream(self.key)
            file.write(content)
            file.close()

    def replace(self, other: "Remote") -> None:
        """Copies and removes. Raises FileNotFoundError where there is no such object."""
        with self._asking() as store:
            store.copy_file(self.key, other.key)
            store.delete_file(self.key)

    def unlink(self, missing_ok: bool = False) -> None:
        with contextlib.suppress(*[FileNotFoundError] * missing_ok), self._asking() as store:
            store.delete_file(self.key)

    def _info(self) -> "FileInfo":
        with self._asking() as store:
            return store.get_file_info(self.key)

    def _whole(self, content: bytes, size: int) -> bytes:
        if len(content) != size:
            raise RemoteError(f"{self}: {len(content):,} of {size:,} bytes came; run again.")
        return content

    @contextlib.contextmanager
    def _asking(self) -> "Iterator[FileSystem]":
        """The file system; what it raises is FileNotFoundError or RemoteError."""
        import pyarrow as pa

        try:
            surroundings = tuple(os.environ.get(name, "") for name in _VARIABLES)
            yield _file_system(self.protocol, self.key.partition("/")[0], self.query, *surroundings)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException, ValueError) as error:
            text = " ".join(str(error).split())
            name = re.search(r"AWS Error (\w+)", text)
            why = _WHY.get(name[1]) if name else None
            # Arrow puts what it was doing in front, and the number of the request behind.
            told = re.sub(r"^When [^:]*: | \(Request ID: [^)]*\)", "", text)[:300]
            raise RemoteError(f"{self}: {why} ({told})" if why else f"{self}: {told}") from None


@functools.cache
def _file_system(protocol: str, bucket: str, query: str, for_s3: str, for_all: str, attempts: str) -> "FileSystem":
    """One a process and bucket; the last three are the environment's, in the order of `_VARIABLES`."""
    from pyarrow import fs

    options: dict[str, str | bool] = dict(parse_qsl(query))
    if "anonymous" in options:
        options["anonymous"] = options["anonymous"] != "false"
    if protocol == "gs":
        return fs.GcsFileSystem(**options, retry_time_limit=datetime.timedelta(seconds=RETRY_SECONDS))
    endpoint = for_s3 or for_all
    if endpoint and "endpoint_override" not in options:
        scheme, _, options["endpoint_override"] = endpoint.rstrip("/").rpartition("://")
        options.setdefault("scheme", scheme or "https")
    if "endpoint_override" not in options and "region" not in options:
        options["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **options,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=int(attempts) if attempts.isdecimal() else ATTEMPTS),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
        allow_delayed_open=True,  # small objects in one request, without the three of an upload in parts
    )
