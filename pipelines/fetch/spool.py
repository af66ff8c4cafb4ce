"""Bodies too large for memory: written to a file as they come."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from corpus.storage import StorageError
from pipelines.fetch.answer import FetchError
from pipelines.fetch.encoding import Decoder


@dataclass(frozen=True, slots=True)
class Spool:
    """Where bodies go: one that grows beyond `above_bytes` (at least 1) into a file without a name in `folder` (None:
    the system's temporary folder), of which a kill leaves nothing behind; a smaller one stays in memory.
    """

    above_bytes: int = 2**20
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Spooled:
    """A whole body, decoded. `file` is at its start."""

    file: IO[bytes]
    size: int
    sha256: bytes


class SpooledBody:
    """A body on its way into a file, decoded, counted and hashed as it comes.

    Methods raise FetchError for what is wrong with the body, StorageError where the file cannot be written.
    """

    def __init__(self, spool: Spool, encoding: str, most_bytes: int) -> None:
        self._folder = spool.folder
        self._most = most_bytes
        self._size = 0
        self._decoder = Decoder(encoding)
        self._digest = hashlib.sha256()
        file = tempfile.SpooledTemporaryFile(spool.above_bytes, dir=spool.folder)  # noqa: SIM115 - it outlives this
        self._file = cast(IO[bytes], file)

    def write(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""
        for piece in self._decoder.pieces(data):
            self._size += len(piece)
            if self._size > self._most:
                raise FetchError("too_large", f"over {self._most} bytes")
            self._digest.update(piece)
            with self._storage_errors():
                self._file.write(piece)

    def done(self) -> Spooled:
        """The body is at its end."""
        self._decoder.end()
        with self._storage_errors():
            self._file.seek(0)  # writes what is buffered
        return Spooled(self._file, self._size, self._digest.digest())

    def close(self) -> None:
        """Drop what was written."""
        with contextlib.suppress(OSError):  # closing writes what is buffered, and the disk may be full
            self._file.close()

    @contextlib.contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self._folder or tempfile.gettempdir()
            raise StorageError(f"{where}: the temporary file of a download: {error}") from error
