"""The response of one HTTP exchange, and its decoded body, in memory or in a file.

Servers send Content-Encodings although only identity was requested: those of zlib are decoded. Where the name is no
encoding at all ("utf-8", "image/jpeg"), the body is taken as it is.
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
    """The error of an exchange: `reason` is a key of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Spooled:
    """A complete body in a file, decoded. `file` is positioned at its start."""

    file: IO[bytes]
    size: int
    sha256: bytes


@dataclass(slots=True)
class Response:
    """The response of an exchange. `reason` is a key of REASONS, http_NNN, or "" for a redirect to `location`."""

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
    """The spool of bodies: those over `threshold_bytes` (at least 1) go to unnamed files in `folder`, others to memory.

    None: the system's temporary folder. A killed process leaves no file behind.
    """

    threshold_bytes: int = 2**20
    folder: str | None = None


class Body(Protocol):
    """A body that is being received. Its methods raise FetchError for a faulty one."""

    def write(self, data: bytes) -> None:
        """Adds the next bytes as they were sent."""

    def finish(self, response: Response) -> None:
        """Sets the complete body, decoded, of the response."""

    def close(self) -> None:
        """Discards the body."""


class MemoryBody:
    """A body that is kept in memory, and decoded when it is complete.

    zlib stops at `max_bytes`, so a decompression bomb costs no more than a regular body of that size.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._size = 0
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Adds the next bytes as they were sent."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise FetchError("too_large", f"over {self._max_bytes} bytes")
        self._chunks.append(data)

    def finish(self, response: Response) -> None:
        """Sets the complete body, decoded, of the response."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        response.body = self._decoded(body) if self._encoding else body

    def close(self) -> None:
        """Discards the body."""
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
    """A body that is decoded, counted, hashed and written to a file while it is received.

    Raises StorageError where the file cannot be written.
    """

    def __init__(self, spool: Spool, encoding: str, max_bytes: int) -> None:
        self._folder = spool.folder
        self._max_bytes = max_bytes
        self._size = 0
        self._decoder = Decoder(encoding)
        self._digest = hashlib.sha256()
        file = tempfile.SpooledTemporaryFile(spool.threshold_bytes, dir=spool.folder)  # noqa: SIM115 - it outlives this
        self._file = cast(IO[bytes], file)

    def write(self, data: bytes) -> None:
        """Adds the next bytes as they were sent."""
        for piece in self._decoder.pieces(data):
            self._size += len(piece)
            if self._size > self._max_bytes:
                raise FetchError("too_large", f"over {self._max_bytes} bytes")
            self._digest.update(piece)
            with self._storage_errors():
                self._file.write(piece)

    def finish(self, response: Response) -> None:
        """Sets the complete body of the response."""
        self._decoder.end()
        with self._storage_errors():
            self._file.seek(0)  # writes what is buffered
        response.spooled = Spooled(self._file, self._size, self._digest.digest())

    def close(self) -> None:
        """Discards the body."""
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
    """The decoder of a body that is being received. Its methods raise FetchError with the reasons of `MemoryBody`."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflater = zlib.decompressobj(wbits=_GZIP_OR_ZLIB) if encoding in _ZLIB else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yields the decoded form of the next bytes, at most a MiB at a time."""
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
            more = bool(data) or len(piece) == _PIECE_BYTES  # output that zlib still holds needs no input

    def end(self) -> None:
        """Raises FetchError where the body that has ended is incomplete."""
        for _ in self.pieces(b""):  # checks the encoding of an empty body
            pass
        if self._inflater is not None and not self._inflater.eof:
            raise _encoding_error("truncated", self._encoding)


def _is_unsupported(encoding: str) -> bool:
    return encoding in _UNSUPPORTED or "," in encoding


def _encoding_error(reason: str, encoding: str) -> FetchError:
    return FetchError(reason, printable(f"Content-Encoding: {encoding}"))
