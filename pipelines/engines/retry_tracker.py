"""The items that are still to run, and the session of a worker: a job that is opened once, with several in flight."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from corpus.execution import Job, close_function

_I = TypeVar("_I")
_O = TypeVar("_O")

MAX_CRASHES = 3  # of a worker that had this one item; then the item is abandoned


class RetryTracker:
    """The numbers of the items that are still to run, those of crashed workers included.

    Where several items were with a worker that crashed, each is a suspect and runs alone from then on, so that only the
    one at fault is abandoned and its neighbours are not.
    """

    def __init__(self, items: int = 0) -> None:
        self._waiting = deque(range(items))
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


class WorkerSession(Generic[_I, _O]):
    """The session in one worker: a job's function, and the items in flight by position.

    With one item at a time the function runs on the calling thread, so that an interrupt reaches it.
    """

    def __init__(self, function: Callable[[_I], _O], in_flight: int) -> None:
        self.in_flight = in_flight
        self._function = function
        self._threads = ThreadPoolExecutor(self.in_flight) if self.in_flight > 1 else None
        self._running: dict[Future[_O], int] = {}
        self._done: dict[int, _O] = {}

    @staticmethod
    def of(job: Job[_I, _O]) -> WorkerSession[_I, _O]:
        """Opens a job."""
        return WorkerSession(job.open(), job.resources.in_flight)

    def start(self, position: int, item: _I) -> dict[int, _O]:
        """Starts an item and waits until there is room for another: {position: result} of the finished ones."""
        if self._threads is None:
            self._done[position] = self._function(item)
        else:
            self._running[self._threads.submit(self._function, item)] = position
        return self._finished(max_running=self.in_flight - 1)

    def finish(self) -> dict[int, _O]:
        """Waits for one more item: {position: result} of the finished ones; empty when none was running."""
        return self._finished(max_running=max(0, len(self._running) - 1))

    def _finished(self, max_running: int) -> dict[int, _O]:
        while len(self._running) > max_running:
            for call in wait(self._running, return_when=FIRST_COMPLETED).done:
                self._done[self._running.pop(call)] = call.result()
        done, self._done = self._done, {}
        return done

    def stop(self) -> None:
        """Cancels the items that have not started."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Cancels the items that have not started, and releases the resources of the function."""
        self.stop()
        close_function(self._function)
