"""Reads columns of a table in an object store with as few requests as there are: its end, then the columns' ranges.

A file object would ask for the size first, then read ahead. Here the first request takes the end of the file, in which
the footer lies (and all of a small table); the second, for all columns that lie elsewhere at once, their bytes alone.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.storage import Store

END_BYTES = 128 * 1024  # a request takes as long as some hundred kilobytes
_FOOTER_LENGTH = 8  # its length in four bytes, and "PAR1"
_MAX_KEPT_BYTES = 8 << 30


class FooterCache:
    """The ends of the tables that were read, in a temporary file, so that reading one again takes no request for it.

    A table never changes under its name. Of a large table only the footer is kept; what is beyond `max_bytes` is not.
    It may be used by several threads.
    """

    def __init__(self, max_bytes: int = _MAX_KEPT_BYTES) -> None:
        self._file = tempfile.TemporaryFile(prefix="rzen-corpus-")  # noqa: SIM115 - `close` closes it
        self._places: dict[str, tuple[int, int, bool]] = {}
        self._size, self._max_bytes = 0, max_bytes
        self._lock = threading.Lock()

    def find(self, path: str) -> tuple[bytes, bool] | None:
        """Returns the end of a table with its whole footer, and whether it is all of the table; None if not kept."""
        place = self._places.get(path)
        if place is None:
            return None
        offset, length, is_complete = place
        return os.pread(self._file.fileno(), length, offset), is_complete

    def keep(self, path: str, end: bytes, is_complete: bool) -> None:
        """Keeps the end of a table."""
        kept = end if is_complete else end[-_footer(end) :]
        with self._lock:
            offset = self._size
            if path in self._places or offset + len(kept) > self._max_bytes:
                return
            self._size += len(kept)
        os.pwrite(self._file.fileno(), kept, offset)
        self._places[path] = (offset, len(kept), is_complete)

    def close(self) -> None:
        """Removes the file."""
        self._file.close()


def read_columns(
    store: Store, path: str, columns: Sequence[str], may_lack: bool = False, kept: FooterCache | None = None
) -> pa.Table:
    """Reads columns, or fields of one (`query.text`), of a table of the workspace: a file without page indexes.

    `may_lack`: those that the table has. Raises StorageError; ArrowInvalid for a file that is no table.
    """
    end, is_complete = (kept.find(path) if kept else None) or _end(store, path)
    metadata = pq.read_metadata(pa.BufferReader(end))
    if kept:
        kept.keep(path, end, is_complete)
    names = set(metadata.schema.to_arrow_schema().names)
    requested = [column for column in columns if not may_lack or column.partition(".")[0] in names]
    content = pa.py_buffer(end) if is_complete else _with_columns(store, path, end, metadata, requested)
    # Many small tables are read at a time, each by a thread of the caller's.
    return pq.ParquetFile(pa.BufferReader(content), metadata=metadata).read(
        columns=requested, use_threads=not is_complete
    )


def _with_columns(store: Store, path: str, end: bytes, metadata: pq.FileMetaData, columns: Sequence[str]) -> pa.Buffer:
    """Returns a file of which the end and the chunks of some columns are there, and the rest is zeros."""
    chunks = list(_chunks(metadata))
    size = max(offset + length for _, offset, length in chunks) + _footer(end)
    first = size - len(end)
    ranges = list(_merged([(at, length) for name, at, length in chunks if at < first and _is_part_of(name, columns)]))
    content = bytearray(size)  # of which only the pages that are written to take memory
    content[first:] = end
    for (at, length), data in zip(ranges, store.read_ranges([(path, *each) for each in ranges]), strict=True):
        content[at : at + length] = data
    return pa.py_buffer(content)


def _is_part_of(path: str, columns: Sequence[str]) -> bool:
    return any(path == column or path.startswith(f"{column}.") for column in columns)


def read_metadata(store: Store, path: str) -> dict[bytes, bytes]:
    """Reads the metadata of a table's schema with one request."""
    return pq.read_schema(pa.BufferReader(_end(store, path)[0])).metadata or {}


def _end(store: Store, path: str) -> tuple[bytes, bool]:
    """Returns the end of a file with the whole footer in it, and whether that is all of it: it has not END_BYTES."""
    end = store.read_end(path, END_BYTES)
    if len(end) < END_BYTES:
        return end, True
    return (end if _footer(end) <= len(end) else store.read_end(path, _footer(end))), False


def _footer(end: bytes) -> int:
    """Returns the bytes that the footer of a Parquet file takes, its length and the magic number among them."""
    return int.from_bytes(end[-_FOOTER_LENGTH:-4], "little") + _FOOTER_LENGTH


def _chunks(metadata: pq.FileMetaData) -> Iterator[tuple[str, int, int]]:
    """Yields the column chunks of a file: the path of the column in its schema, offset and length."""
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            chunk = row_group.column(number)
            offset = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                offset = min(offset, chunk.dictionary_page_offset)
            yield chunk.path_in_schema, offset, chunk.total_compressed_size


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yields ranges (offset, length) with neighbours joined."""
    start = stop = 0
    for offset, length in sorted(ranges):
        if offset != stop or stop == 0:
            if stop > start:
                yield start, stop - start
            start = offset
        stop = offset + length
    if stop > start:
        yield start, stop - start
