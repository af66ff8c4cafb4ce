"""Media tars: written once, read by range.

A gather stage writes the items of a shard into one USTAR file and notes where each lies in its table
(`records.LOCATION_FIELDS`): that table is the tar's offset index. Tars that exist already: `corpus.tars`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from typing import IO

import numpy as np
import pyarrow as pa

from corpus.pending_file import PendingFile
from corpus.storage import StorageError, Store, storage_errors
from corpus.tars import BLOCK

_END = bytes(2 * BLOCK)
_MODE_AND_OWNER = b"0000644\x00" + 2 * b"0000000\x00"
_TIME = b"00000000000\x00"
_CHECKSUM_BYTES = 8  # counted as spaces while the sum is taken
# Type (a regular file), link name, magic and version, owner's names, device numbers, prefix and padding.
_REST = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + 2 * b"0000000\x00" + bytes(167)
_REST_SUM = sum(_REST)
MAX_BYTES = (1 << 33) - 1  # of a member: a USTAR header has no room for a larger size
_COPIED_BYTES = 1 << 20
READ_AHEAD_BYTES = 16 << 20  # of items that are read together from an object store
READ_AHEAD_ITEMS = 256
_READ_AHEAD_ROWS = 16  # of items that consist of parts


def tar_header(name: str, size: int) -> bytes:
    """Returns a USTAR header (512 bytes) with fixed mtime (0), owner (0:0) and mode (0644): equal content is equal
    bytes.

    Raises ValueError for a name that is empty or over 100 bytes, or a size of 8 GiB and more: USTAR can't hold these.
    """
    encoded = name.encode()
    if not 0 < len(encoded) <= 100 or not 0 <= size <= MAX_BYTES:
        raise ValueError(f"{name[:120]!r}, {size} bytes: does not fit a USTAR header")
    before = encoded.ljust(100, b"\0") + _MODE_AND_OWNER + b"%011o\0" % size + _TIME
    checksum = sum(before) + _CHECKSUM_BYTES * ord(" ") + _REST_SUM
    return before + b"%06o\0 " % checksum + _REST


class TarWriter:
    """Appends members to a binary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.position = 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a member; returns the offset of its first content byte."""
        header = tar_header(name, len(data))
        padding = -len(data) % BLOCK
        self._file.write(header)
        self._file.write(data)
        if padding:
            self._file.write(bytes(padding))
        offset = self.position + BLOCK
        self.position = offset + len(data) + padding
        return offset

    def add_file(self, name: str, file: IO[bytes], size: int) -> int:
        """Appends the next `size` bytes of a file, of which a MiB is held at a time. EOFError if it has fewer."""
        self._file.write(tar_header(name, size))
        remaining = size
        while remaining:
            block = file.read(min(remaining, _COPIED_BYTES))
            if not block:
                raise EOFError(f"{name}: {remaining} of {size} bytes are missing")
            self._file.write(block)
            remaining -= len(block)
        self._file.write(bytes(-size % BLOCK))
        offset = self.position + BLOCK
        self.position = offset + size + -size % BLOCK
        return offset

    def close(self) -> None:
        """Writes the end-of-archive blocks. The file itself stays open."""
        self._file.write(_END)
        self.position += len(_END)


class MediaWriter:
    """The media tar of one shard: opened by its first item, published by `commit`, gone without it. Thread-safe."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self.path = path
        self._pending: PendingFile | None = None
        self._tar: TarWriter | None = None
        self._written: dict[bytes, tuple[int, int]] = {}
        self._closed = ""  # why no more can be added
        self._lock = threading.Lock()

    def add(self, item: bytes, ext: str, data: bytes) -> tuple[int, int]:
        """Stores an item's bytes once; returns (offset, size) in the tar.

        Raises StorageError when the disk doesn't take them; then `commit` does too, whatever became of the error.
        """
        return self._once(item, len(data), lambda tar: tar.add(f"{item.hex()}.{ext}", data))

    def add_file(self, item: bytes, ext: str, file: IO[bytes], size: int) -> tuple[int, int]:
        """Stores an item too large for memory: the next `size` bytes of a file, copied in blocks.

        Raises ValueError, with nothing written, for more than MOST_BYTES.
        """
        if size > MAX_BYTES:
            raise ValueError(f"{item.hex()}.{ext}: {size} bytes, a tar takes {MAX_BYTES}")
        return self._once(item, size, lambda tar: tar.add_file(f"{item.hex()}.{ext}", file, size))

    def link(self, path: str) -> bool:
        """Gives the tar, as far as it is and will be written, a second name in a local folder; tells whether it has
        one.
        """
        with self._lock:
            return self._pending is not None and not self._closed and self._pending.link(path)

    def flush(self) -> None:
        """Hands what was added to the system, which keeps it when this process is killed."""
        with self._lock:
            if self._pending is not None and not self._closed:
                with storage_errors(self.path):
                    self._pending.file.flush()

    def commit(self) -> None:
        """Publishes the tar under its name; nothing is written when no item was added."""
        with self._lock:
            if self._closed:
                raise StorageError(self._closed)
            self._closed = f"{self.path}: nothing can be added after the end"
            if self._pending is not None and self._tar is not None:
                with storage_errors(self.path):
                    self._tar.close()
                self._pending.commit()

    def abort(self) -> None:
        """Drops what was written and not committed."""
        with self._lock:
            self._closed = self._closed or f"{self.path}: dropped"
            if self._pending is not None:
                self._pending.abort()

    def _once(self, item: bytes, size: int, append: Callable[[TarWriter], int]) -> tuple[int, int]:
        with self._lock:
            if self._closed:
                raise StorageError(self._closed)
            if item not in self._written:
                if self._tar is None:
                    self._pending = self._store.create(self.path)
                    self._tar = TarWriter(self._pending.file)
                try:
                    self._written[item] = append(self._tar), size
                except (OSError, EOFError) as error:  # part of it may be in the file: no offset after it would be right
                    self._closed = f"{self.path}: {error}"
                    raise StorageError.caused_by(error, self._closed) from error
            return self._written[item]


def read_contents(store: Store, locations: pa.Table) -> Iterator[tuple[int, bytes]]:
    """Yields (row, bytes) for each row of a table with `media`, `offset` and `size`, in the order in which they
    lie.

    Reads blocks of at most 256 rows, and of 16 MiB unless the last row of one is larger.
    """
    if any(locations.column(name).null_count for name in ("media", "offset", "size")):
        raise ValueError("a row has no bytes: only rows with an item can be read")
    codes = pa.chunked_array(locations.column("media").chunks, pa.string()).combine_chunks().dictionary_encode()
    paths = codes.dictionary.to_pylist()
    which = codes.indices.to_numpy()
    offsets = locations.column("offset").to_numpy()
    sizes = locations.column("size").to_numpy()
    order = np.lexsort((offsets, which))
    start = 0
    while start < len(order):
        stop, taken = start, 0
        while stop < len(order) and stop - start < READ_AHEAD_ITEMS and taken < READ_AHEAD_BYTES:
            taken += int(sizes[order[stop]])
            stop += 1
        rows = order[start:stop]
        ranges = [(paths[which[row]], int(offsets[row]), int(sizes[row])) for row in rows]
        yield from zip(rows.tolist(), store.read_ranges(ranges), strict=True)
        start = stop


def read_media_parts(store: Store, parts: pa.ChunkedArray, exts: Collection[str]) -> Iterator[tuple[int, list[bytes]]]:
    """Yields (row, contents) for each row of a column of lists of `records.PART`, in row order: of its parts
    with one of the extensions, in their order. A few rows are read together.
    """
    for start in range(0, len(parts), _READ_AHEAD_ROWS):
        lists = parts.slice(start, _READ_AHEAD_ROWS).to_pylist()
        selected = [[part for part in row or () if part["ext"] in exts] for row in lists]
        ranges = [(part["media"], part["offset"], part["size"]) for row in selected for part in row]
        contents = iter(store.read_ranges(ranges))
        for place, row in enumerate(selected):
            yield start + place, [next(contents) for _ in row]
