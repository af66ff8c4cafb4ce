"""Content-Encodings that were sent although only identity was asked for: undone where zlib can.

Names that are no encoding at all ("utf-8", "image/jpeg") are a server's muddle, and the body is as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from corpus.printable import printable
from pipelines.fetch.answer import Answer, FetchError
from pipelines.fetch.reasons import OK

_ZLIB = frozenset({"gzip", "x-gzip", "deflate"})
_CANNOT_DECODE = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
_EITHER = 47  # 32 + 15: a gzip or a zlib header, whichever is there
_PIECE_BYTES = 2**20


def decoded(answer: Answer, most: int) -> Answer:
    """Undo the encoding of a body in memory.

    zlib stops at `most` bytes, so a decompression bomb costs no more than an honest body of that size.
    """
    if _cannot_decode(answer.encoding):
        answer.reason = "bad_encoding"
    elif answer.encoding in _ZLIB:
        inflater = zlib.decompressobj(wbits=_EITHER)
        try:
            answer.body = inflater.decompress(answer.body, most + 1)
        except zlib.error:
            answer.reason = "bad_encoding"
        else:
            if len(answer.body) > most:
                answer.reason = "too_large"
            elif inflater.unused_data:
                answer.reason = "bad_encoding"
            elif not inflater.eof:
                answer.reason = "truncated"
    if answer.reason != OK:
        answer.detail = _detail(answer.encoding)
    return answer


class Decoder:
    """Undoes the encoding of a body as it comes. Methods raise FetchError with `decoded`'s reasons."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflater = zlib.decompressobj(wbits=_EITHER) if encoding in _ZLIB else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body stand for, at most a MiB at a time."""
        if _cannot_decode(self._encoding):
            raise self._error("bad_encoding")
        if self._inflater is None:
            yield data
            return
        more = True
        while more:
            try:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise self._error("bad_encoding") from error
            if self._inflater.unused_data:
                raise self._error("bad_encoding")
            yield piece
            data = self._inflater.unconsumed_tail
            more = bool(data) or len(piece) == _PIECE_BYTES  # what the window still holds has no input of its own

    def end(self) -> None:
        """The body is at its end: was it whole?"""
        for _ in self.pieces(b""):  # a body of nothing has not been judged yet
            pass
        if self._inflater is not None and not self._inflater.eof:
            raise self._error("truncated")

    def _error(self, reason: str) -> FetchError:
        return FetchError(reason, _detail(self._encoding))


def _cannot_decode(encoding: str) -> bool:
    return encoding in _CANNOT_DECODE or "," in encoding


def _detail(encoding: str) -> str:
    return printable(f"Content-Encoding: {encoding}")
