"""What one HTTP exchange gives: the response, its body with the Content-Encoding undone, in memory or in a file.

Content-Encodings may be sent although only identity was requested: they are undone where zlib can. Names that are no
encoding at all ("utf-8", "image/jpeg") are a server's muddle, and the body is as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol, cast

from corpus.printable import printable
from corpus.storage import StorageError

_ZLIB = frozenset({"gzip", "x-gzip", "deflate"})
_UNSUPPORTED = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
_GZIP_OR_ZLIB = 47  # 32 + 15: a gzip or a zlib header, whichever is there
_PIECE_BYTES = 2**20


class FetchError(Exception):
    """An exchange that failed: `reason` is a key of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Spooled:
    """A complete body, decoded. `file` is at its start."""

    file: IO[bytes]
    size: int
    sha256: bytes


@dataclass(slots=True)
class Response:
    """`reason` is a key of REASONS, http_NNN, or "" for a redirect to `location`."""

    reason: str
    detail: str = ""
    body: bytes = b""
    spooled: Spooled | None = None  # the body, where it is not kept in memory
    http_status: int = 0
    content_type: str = ""
    encoding: str = ""  # of the body: Content-Encoding
    location: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Spool:
    """Where bodies go: one that grows beyond `above_bytes` (at least 1) into a file without a name in `folder` (None:
    the system's temporary folder), of which a kill leaves nothing behind; a smaller one stays in memory.
    """

    above_bytes: int = 2**20
    folder: str | None = None


class Body(Protocol):
    """A body on its way. Methods raise FetchError for what is wrong with it."""

    def write(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""

    def finish(self, response: Response) -> None:
        """Hand the complete body, decoded, to the response."""

    def close(self) -> None:
        """Drop what was written."""


class MemoryBody:
    """A body that is kept in memory, decoded at its end.

    zlib stops at `max_bytes`, so a decompression bomb costs no more than an honest body of that size.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._size = 0
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise FetchError("too_large", f"over {self._max_bytes} bytes")
        self._chunks.append(data)

    def finish(self, response: Response) -> None:
        """Hand the complete body, decoded, to the response."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        response.body = self._decoded(body) if self._encoding else body

    def close(self) -> None:
        """Drop what was written."""
        self._chunks.clear()

    def _decoded(self, body: bytes) -> bytes:
        if _is_unsupported(self._encoding):
            raise _encoding_error("bad_encoding", self._encoding)
        if self._encoding not in _ZLIB:
            return body
        inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        try:
            body = inflater.decompress(body, self._max_bytes + 1)
        except zlib.error:
            raise _encoding_error("bad_encoding", self._encoding) from None
        if len(body) > self._max_bytes:
            raise _encoding_error("too_large", self._encoding)
        if inflater.unused_data:
            raise _encoding_error("bad_encoding", self._encoding)
        if not inflater.eof:
            raise _encoding_error("truncated", self._encoding)
        return body


class SpooledBody:
    """A body that goes into a file, decoded, counted and hashed as it comes.

    StorageError where the file cannot be written.
    """

    def __init__(self, spool: Spool, encoding: str, max_bytes: int) -> None:
        self._folder = spool.folder
        self._max_bytes = max_bytes
        self._size = 0
        self._decoder = Decoder(encoding)
        self._digest = hashlib.sha256()
        file = tempfile.SpooledTemporaryFile(spool.above_bytes, dir=spool.folder)  # noqa: SIM115 - it outlives this
        self._file = cast(IO[bytes], file)

    def write(self, data: bytes) -> None:
        """Take the next bytes as they were sent."""
        for piece in self._decoder.pieces(data):
            self._size += len(piece)
            if self._size > self._max_bytes:
                raise FetchError("too_large", f"over {self._max_bytes} bytes")
            self._digest.update(piece)
            with self._storage_errors():
                self._file.write(piece)

    def finish(self, response: Response) -> None:
        """Hand the complete body to the response."""
        self._decoder.end()
        with self._storage_errors():
            self._file.seek(0)  # writes what is buffered
        response.spooled = Spooled(self._file, self._size, self._digest.digest())

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


class Decoder:
    """Undoes the encoding of a body as it comes. Methods raise FetchError with the reasons of `MemoryBody`."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB) if encoding in _ZLIB else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body stand for, at most a MiB at a time."""
        if _is_unsupported(self._encoding):
            raise _encoding_error("bad_encoding", self._encoding)
        if self._inflater is None:
            yield data
            return
        more = True
        while more:
            try:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise _encoding_error("bad_encoding", self._encoding) from error
            if self._inflater.unused_data:
                raise _encoding_error("bad_encoding", self._encoding)
            yield piece
            data = self._inflater.unconsumed_tail
            more = bool(data) or len(piece) == _PIECE_BYTES  # what the window still holds has no input of its own

    def end(self) -> None:
        """The body is at its end: was it complete?"""
        for _ in self.pieces(b""):  # an empty body has not been checked yet
            pass
        if self._inflater is not None and not self._inflater.eof:
            raise _encoding_error("truncated", self._encoding)


def _is_unsupported(encoding: str) -> bool:
    return encoding in _UNSUPPORTED or "," in encoding


def _encoding_error(reason: str, encoding: str) -> FetchError:
    return FetchError(reason, printable(f"Content-Encoding: {encoding}"))
