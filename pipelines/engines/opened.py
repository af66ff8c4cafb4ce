"""What happens in one worker: a work opened once, and several items at it at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from corpus.work import Work, close_function

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class OpenedWork(Generic[I, O]):
    """A work's function, and the items it is at, known by their positions.

    With one item at a time it runs on the calling thread, so that an interrupt reaches it.
    """

    def __init__(self, function: Callable[[I], O], in_flight: int) -> None:
        self.in_flight = in_flight
        self._function = function
        self._threads = ThreadPoolExecutor(self.in_flight) if self.in_flight > 1 else None
        self._running: dict[Future[O], int] = {}
        self._done: dict[int, O] = {}

    @staticmethod
    def of(work: Work[I, O]) -> OpenedWork[I, O]:
        """Open a work."""
        return OpenedWork(work.open(), work.resources.in_flight)

    def start(self, position: int, item: I) -> dict[int, O]:
        """Take on an item and wait until there is room for another: {position: answer} of what is finished."""
        if self._threads is None:
            self._done[position] = self._function(item)
        else:
            self._running[self._threads.submit(self._function, item)] = position
        return self._finished(leave=self.in_flight - 1)

    def finish(self) -> dict[int, O]:
        """Wait for one more item: {position: answer} of what is finished; empty when nothing was running."""
        return self._finished(leave=max(0, len(self._running) - 1))

    def _finished(self, leave: int) -> dict[int, O]:
        while len(self._running) > leave:
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
