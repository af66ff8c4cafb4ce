"""A file in an object store that is being read, each read of which can be made again."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class RemoteFile(io.RawIOBase):
    """A file that a client of an object store opened for reading.

    `attempt` makes a read, again where it failed for a while, and turns its errors into those of storage.
    """

    def __init__(self, file: Any, attempt: Callable[[Callable[[], Any]], Any]) -> None:
        self._file, self._attempt = file, attempt

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._attempt(lambda: self._file.seek(offset, whence)))

    def readinto(self, buffer: Any) -> int:
        start = self._file.tell()

        def read() -> bytes:
            if self._file.tell() != start:  # after a failure in the middle
                self._file.seek(start)
            return self._file.read(len(buffer))

        data = self._attempt(read)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
