"""One reader for several threads that each go over the same sequence from its beginning to its end.

A pool that does not fit in memory is read from storage for every search. Searches of several shards that run at once
therefore read it together (a shared scan): those that wait when a pass begins all get each block of it, in the same
order, and the next block is read when the last of them has asked for it. One that comes later waits for the next pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class SharedScan(Generic[_Item]):
    """A sequence that `read` begins anew for each pass. Thread-safe; `passes` counts how often it was read."""

    def __init__(self, read: Callable[[], Iterator[_Item]]) -> None:
        self._read = read
        self._changed = threading.Condition()
        self._waiting: set[object] = set()  # for the next pass
        self._active: set[object] = set()  # in this pass
        self._ready: set[object] = set()  # of these, who has asked for the next item
        self._items: Iterator[_Item] = iter(())
        self._is_reading = False
        self._number = 0  # items of this pass so far
        self._item: list[_Item] = []  # the last one; empty at the end of the pass
        self._error: BaseException | None = None
        self.passes = 0

    def scan(self) -> Generator[_Item, None, None]:
        """Yields all items. Close it where it is not read to its end: the others wait for it until then.

        Raises what reading raised, in all threads of the pass.
        """
        member = object()
        try:
            self._join(member)
            number = 0
            while item := self._next(member, number + 1):
                number += 1
                yield item[0]
        finally:
            self._leave(member)

    def await_waiting(self, count: int, timeout_s: float) -> bool:
        """Waits until so many threads wait for the next pass, and tells whether they do."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._waiting) >= count, timeout_s)

    def _join(self, member: object) -> None:
        with self._changed:
            self._waiting.add(member)
            self._changed.notify_all()
            while member not in self._active:
                if self._active:
                    self._changed.wait()
                else:
                    self._begin()

    def _begin(self) -> None:
        self._active, self._waiting = self._waiting, set()
        self._ready, self._number, self._error = set(), 0, None
        self._items = self._read()
        self.passes += 1
        self._changed.notify_all()

    def _next(self, member: object, number: int) -> list[_Item]:
        """Returns the item of this number in a list, or an empty one at the end of the pass."""
        with self._changed:
            self._ready.add(member)
            while self._number < number:
                if self._is_reading or not self._active <= self._ready:
                    self._changed.wait()
                    continue
                self._is_reading = True
                self._changed.release()
                try:
                    found, error = self._read_one()
                finally:
                    self._changed.acquire()
                self._item, self._error, self._is_reading = found, error, False
                self._number += 1
                self._ready = set()
                self._changed.notify_all()
            if self._error is not None:
                raise self._error
            return self._item

    def _read_one(self) -> tuple[list[_Item], BaseException | None]:
        try:
            return [next(self._items)], None
        except StopIteration:
            return [], None
        except BaseException as error:  # noqa: BLE001 - each thread of the pass raises it
            return [], error

    def _leave(self, member: object) -> None:
        with self._changed:
            self._waiting.discard(member)
            self._active.discard(member)
            self._ready.discard(member)
            self._changed.notify_all()
