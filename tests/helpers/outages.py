"""An object store that is away for a while, by a clock that moves when somebody pauses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.helpers.requests import KINDS


class FakeTime:
    """Stands for the module `time`: a pause takes no time and moves the clock."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._lock = threading.Lock()
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.pauses.append(seconds)

    @property
    def passed_s(self) -> float:
        return sum(self.pauses)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock and the pauses of `corpus.outages`."""
    found = FakeTime()
    monkeypatch.setattr("corpus.outages.time", found)
    return found


class Outage:
    """The time for which fsspec's store in memory refuses all requests."""

    def __init__(
        self, clock: FakeTime, begins: Callable[[str, str], bool], seconds: float, error: Exception, only: str
    ) -> None:
        self._clock, self._begins, self._seconds, self._error, self._only = clock, begins, seconds, error, only
        self.began: float | None = None
        self.refused = 0

    def check(self, kind: str, path: str) -> None:
        """Raises the error while the store is away; begins with the first request that `begins` is true for."""
        if self.began is None and self._begins(kind, path):
            self.began = self._clock.monotonic()
        if self._only in ("", kind) and self.began is not None and self._clock.monotonic() - self.began < self._seconds:
            self.refused += 1
            raise self._error


@contextmanager
def storage_outage(
    clock: FakeTime,
    begins: Callable[[str, str], bool],
    seconds: float = 60.0,
    error: Exception | None = None,
    only: str = "",
) -> Iterator[Outage]:
    """Has the store be away for so long from the first request on that `begins` (kind, path) is true for.

    `only`: it refuses requests of one kind and takes the others.
    """
    outage = Outage(clock, begins, seconds, error or ConnectionError("planted: the store is away"), only)

    def refused(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(fs: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
            outage.check(kind, str(args[0] if kind == "PUT" and method.__name__ == "put_file" else path))
            return method(fs, path, *args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name, kind in {**KINDS, "find": "LIST"}.items():
            patch.setattr(MemoryFileSystem, name, refused(kind, getattr(MemoryFileSystem, name)))
        yield outage
