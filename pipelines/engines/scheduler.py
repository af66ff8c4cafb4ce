"""The scheduler: it hands items to workers until every item has its result, and runs those of crashed workers again.

The local and the ray engine share it; each has its own kind of worker, and its own way to wait for one. Also the
session within a worker: a work opened once, and several items in flight.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, Protocol, TypeVar

from corpus.execution import Work, close_function

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

Results = dict[int, Any]  # position of an item -> the work's result
Call = Any  # a future or an object reference; hashable

MAX_CRASHES = 3  # of a worker that had this one item; then the item is given up


class RetryTracker:
    """The tracker hands out the positions of items, and again those whose worker crashed.

    Where several items were with a worker that crashed, each is a suspect and runs alone from then on, so that only the
    one at fault is given up and its neighbours are not.
    """

    def __init__(self, items: int) -> None:
        self._waiting = deque(range(items))
        self._suspects: deque[int] = deque()
        self._alone: set[int] = set()
        self._crashes: Counter[int] = Counter()

    def take(self, held: Collection[int]) -> int | None:
        """The next item for a worker that has `held`; None if there is none for it now."""
        if not held and self._suspects:
            return self._suspects.popleft()
        if self._waiting and self._alone.isdisjoint(held):
            return self._waiting.popleft()
        return None

    def crashed(self, held: Collection[int]) -> list[int]:
        """Record that a worker crashed with these items; returns those that are given up."""
        if len(held) == 1:
            self._crashes.update(held)
        given_up = [item for item in held if self._crashes[item] >= MAX_CRASHES]
        retried = [item for item in held if item not in given_up]
        self._alone.update(retried)
        self._suspects.extend(retried)
        return given_up


class WorkerSession(Generic[I, O]):
    """The session in one worker: a work's function, and the items in flight, known by their positions.

    With one item at a time it runs on the calling thread, so that an interrupt reaches it.
    """

    def __init__(self, function: Callable[[I], O], in_flight: int) -> None:
        self.in_flight = in_flight
        self._function = function
        self._threads = ThreadPoolExecutor(self.in_flight) if self.in_flight > 1 else None
        self._running: dict[Future[O], int] = {}
        self._done: dict[int, O] = {}

    @staticmethod
    def of(work: Work[I, O]) -> WorkerSession[I, O]:
        """Open a work."""
        return WorkerSession(work.open(), work.resources.in_flight)

    def start(self, position: int, item: I) -> dict[int, O]:
        """Start an item and wait until there is room for another: {position: result} of what is finished."""
        if self._threads is None:
            self._done[position] = self._function(item)
        else:
            self._running[self._threads.submit(self._function, item)] = position
        return self._finished(max_running=self.in_flight - 1)

    def finish(self) -> dict[int, O]:
        """Wait for one more item: {position: result} of what is finished; empty when nothing was running."""
        return self._finished(max_running=max(0, len(self._running) - 1))

    def _finished(self, max_running: int) -> dict[int, O]:
        while len(self._running) > max_running:
            for call in wait(self._running, return_when=FIRST_COMPLETED).done:
                self._done[self._running.pop(call)] = call.result()
        done, self._done = self._done, {}
        return done

    def stop(self) -> None:
        """Start nothing more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Start nothing more, and let go of what the function holds."""
        self.stop()
        close_function(self._function)


class WorkerCrashed(Exception):
    """A worker ended by itself, and the items that it held are lost."""


class Worker(Protocol):
    """A worker as its parent holds it. It takes one call at a time; each call ends in `Results`."""

    held: set[int]  # positions of the items that it works on

    def open(self, work: Work[Any, Any]) -> Call:
        """Open the work; the call ends in no results."""
        ...

    def start(self, position: int, item: Any) -> Call:
        """Start an item; the call ends when there is room for another."""
        ...

    def finish(self) -> Call:
        """Wait for at least one of the items that it holds."""
        ...

    def result(self, call: Call) -> Results:
        """The results of an ended call. Raises WorkerCrashed, or what the work raised."""
        ...

    def replace(self) -> None:
        """Start a new worker in place of a crashed one."""
        ...


def run_items(
    workers: Sequence[Worker], wait: Callable[[Collection[Call]], Call], work: Work[I, O], items: Sequence[I]
) -> Iterator[O]:
    """Run every item and yield its result, in the order in which they finish; `wait` returns a call that has ended.

    Returns as soon as every item has its result, even if a worker has not opened yet. Raises what the work raised, or
    RuntimeError when workers crash before they have an item.
    """
    tracker = RetryTracker(len(items))
    calls = {worker.open(work): worker for worker in workers}
    unfinished, failed_opens = len(items), 0
    while unfinished:
        call = wait(calls)
        worker = calls.pop(call)
        try:
            finished = worker.result(call)
        except WorkerCrashed as error:
            failed_opens += not worker.held
            if failed_opens == MAX_CRASHES:
                raise RuntimeError(
                    f"workers died {MAX_CRASHES} times before they were given anything: {error}"
                ) from error
            reason = f"its worker died {MAX_CRASHES} times"
            finished = {at: work.lost(items[at], reason) for at in tracker.crashed(worker.held)}
            worker.replace()
            worker.held.clear()
            calls[worker.open(work)] = worker
        else:
            worker.held -= finished.keys()
            position = tracker.take(worker.held)
            if position is not None:
                worker.held.add(position)
                calls[worker.start(position, items[position])] = worker
            elif worker.held:
                calls[worker.finish()] = worker
        unfinished -= len(finished)
        yield from finished.values()
