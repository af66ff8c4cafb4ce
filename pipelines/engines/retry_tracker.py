"""The items of a queue that are still to run, and which of them are suspected of having killed a worker."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection

MAX_CRASHES = 3  # of a worker that had this one item; then the item is abandoned


class RetryTracker:
    """The numbers of the items that are still to run, those of crashed workers included.

    Where several items were with a worker that crashed, each is a suspect and runs alone from then on, so that only the
    one at fault is abandoned and its neighbours are not.
    """

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._suspects: deque[int] = deque()
        self._alone: set[int] = set()
        self._crashes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects)

    def add(self, item: int) -> None:
        """Adds an item, behind all others."""
        self._waiting.append(item)

    def take(self, assigned: Collection[int]) -> int | None:
        """Takes the next item for a worker that has the items `assigned`; None if there is none for it now."""
        if not assigned and self._suspects:
            return self._suspects.popleft()
        if self._waiting and self._alone.isdisjoint(assigned):
            return self._waiting.popleft()
        return None

    def put_back(self, assigned: Collection[int]) -> None:
        """Puts items back, before all others: their worker crashed before it began with them."""
        for item in sorted(assigned, reverse=True):
            (self._suspects if item in self._alone else self._waiting).appendleft(item)

    def crashed(self, assigned: Collection[int]) -> list[int]:
        """Records that a worker crashed with these items; returns those that are abandoned."""
        if len(assigned) == 1:
            self._crashes.update(assigned)
        abandoned = [item for item in assigned if self._crashes[item] >= MAX_CRASHES]
        retried = [item for item in assigned if item not in abandoned]
        self._alone.update(retried)
        self._suspects.extend(retried)
        return abandoned

    def clear(self) -> list[int]:
        """Takes all items that wait."""
        items = [*self._suspects, *self._waiting]
        self._suspects.clear()
        self._waiting.clear()
        return items
