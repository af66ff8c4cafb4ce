"""The blocks of a pool in one worker: kept in memory where they fit, else read by several shards together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, Protocol, TypeVar

from corpus.pool import Pool
from mining.shared_scan import SharedScan


class PoolPart(Protocol):
    """A part of a pool, as it is read."""

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        ...


_Part = TypeVar("_Part", bound=PoolPart)


class KeptPool(Generic[_Part]):
    """The parts that `read` yields of a pool. Thread-safe; keeps one pool, of at most `max_bytes`."""

    def __init__(self, read: Callable[[Pool], Iterator[_Part]], max_bytes: int) -> None:
        self._read = read
        self._max_bytes = max_bytes
        self._kept: tuple[Pool, list[_Part]] | None = None
        self._scan: tuple[Pool, SharedScan[_Part]] | None = None
        self._lock = threading.Lock()

    def blocks(self, pool: Pool) -> Generator[_Part, None, None]:
        """Yields all parts of a pool. Close it where it is not read to its end: other threads wait for it."""
        known = self._kept
        if known is not None and known[0] == pool:
            yield from known[1]
            return
        kept: list[_Part] | None = []
        size = 0
        with closing(self._shared_scan(pool).scan()) as parts:
            for part in parts:
                yield part
                size += part.nbytes
                if kept is not None and size <= self._max_bytes:
                    kept.append(part)
                else:
                    kept = None
        if kept is not None:
            with self._lock:
                self._kept = (pool, kept)

    def _shared_scan(self, pool: Pool) -> SharedScan[_Part]:
        with self._lock:
            if self._scan is None or self._scan[0] != pool:
                self._scan = (pool, SharedScan(lambda: self._read(pool)))
            return self._scan[1]
