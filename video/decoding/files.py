"""Videos as file objects, wherever their bytes lie: on a local disk, in a tar of a workspace, on an object store."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from corpus.storage import Store

VideoSource = str | Path | BinaryIO | io.RawIOBase  # a local path, a URL of an object store, or a seekable binary file

BLOCK_BYTES = 1 << 20
NAME_PREFIX = "bytes of "  # prefix of each RangeFile's name
_CACHED_BLOCKS = 4  # a demuxer alternates between index, video and audio


class _PositionedFile(io.RawIOBase):
    """A seekable binary file, read only, that keeps its own position. Subclasses read at a position."""

    def __init__(self) -> None:
        super().__init__()
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        position = offset + (self._end() if start is None else start)
        if position < 0:
            raise ValueError(f"position {position} is negative")
        self._position = position
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer, or a part of it where one read returns less; 0 only at the end."""
        data = self._read_at(self._position, len(buffer)) if len(buffer) else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _end(self) -> int:
        raise NotImplementedError

    def _read_at(self, position: int, size: int) -> bytes:
        raise NotImplementedError


class FileView(_PositionedFile):
    """A second reader of an open file, with its own position: each read restores the file's."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def _end(self) -> int:
        position = self._file.tell()
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(position)
        return end

    def _read_at(self, position: int, size: int) -> bytes:
        before = self._file.tell()
        self._file.seek(position)
        data = self._file.read(size)
        self._file.seek(before)
        return data


class RangeFile(_PositionedFile):
    """A range of a file in a store as a seekable file of its own, read only.

    It reads whole blocks of 1 MiB and keeps the last four, so small sequential reads cost one request per block. Errors
    of the store (StorageError) come out of `read`, and through the decoder unchanged.
    """

    def __init__(self, store: Store, path: str, offset: int = 0, size: int | None = None) -> None:
        """`size` None: up to the end of the file."""
        super().__init__()
        self._store = store
        self._path = path
        self._offset = offset
        self._size = store.size(path) - offset if size is None else size
        # The name identifies these bytes; it can't be mistaken for a file extension or a pattern.
        self.name = NAME_PREFIX + hashlib.sha256(f"{store.full(path)}\n{offset}\n{self._size}".encode()).hexdigest()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def _end(self) -> int:
        return self._size

    def _read_at(self, position: int, size: int) -> bytes:
        """Reads up to the end of a block, which may be less than `size`."""
        if position >= self._size:
            return b""
        number, start = divmod(position, BLOCK_BYTES)
        return self._block(number)[start : start + size]

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        start = number * BLOCK_BYTES
        length = min(BLOCK_BYTES, self._size - start)
        block = self._store.read_ranges([(self._path, self._offset + start, length)])[0]
        self._blocks[number] = block
        if len(self._blocks) > _CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return block


@contextlib.contextmanager
def as_file(source: VideoSource) -> Iterator[BinaryIO]:
    """Yields a source as a binary file, before libav opens it. Closes what it has opened."""
    file = open_source(source)
    if file is source:
        yield cast("BinaryIO", file)
    else:
        with Path(file).open("rb") if isinstance(file, str) else cast("BinaryIO", file) as opened:
            yield opened


def open_source(source: VideoSource) -> Any:
    """Returns what PyAV opens: an absolute local path, which no protocol can be read from, or a file object at its
    start.
    """
    if isinstance(source, str) and "://" in source:
        if source.startswith(("http://", "https://", "ftp://")):
            raise ValueError(f"{source}: URLs of the web have to be downloaded first")
        folder, _, name = source.rpartition("/")
        return RangeFile(Store(folder), name)
    if isinstance(source, (str, Path)):
        path = Path(source).absolute()
        Store(path.parent).size(path.name)  # MissingError, not a broken video
        return str(path)
    source.seek(0)
    return source
