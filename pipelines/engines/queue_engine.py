"""The base of engines that stream: what they do alike on top of a dispatcher of queues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from corpus.execution import Job
from pipelines.engines.queues import FIRST, Finished, JobQueue, Results

_I = TypeVar("_I")
_O = TypeVar("_O")


class QueueDispatcher(Protocol):
    """The part of an engine that brings items and workers together."""

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> JobQueue:
        """See `StreamingEngine.open_queue`."""
        ...

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        """See `StreamingEngine.wait`."""
        ...

    def close(self) -> None:
        """See `Engine.close`."""
        ...


class QueueEngine:
    """An engine over a dispatcher. `map` opens a queue of its own, so several of them share the workers."""

    streams = True
    inline = False

    def __init__(self, dispatcher: QueueDispatcher) -> None:
        self._dispatcher = dispatcher

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> JobQueue:
        """See `StreamingEngine.open_queue`."""
        return self._dispatcher.open_queue(job, results, priority)

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        """See `StreamingEngine.wait`."""
        return self._dispatcher.wait(results, timeout_s)

    def map(self, job: Job[_I, _O], items: Sequence[_I]) -> Iterator[_O]:
        """See `Engine.map`; the results may be of any kind."""
        if not items:
            return
        results = Results()
        queue = self.open_queue(job, results, FIRST)
        try:
            for item in items:
                queue.submit(item)
            queue.close()
            for _ in items:
                finished = self.wait(results)
                assert finished is not None  # without a timeout there always is one, or an error
                if finished.error is not None:
                    raise finished.error
                yield finished.result
        finally:
            queue.cancel()

    def close(self) -> None:
        """See `Engine.close`."""
        self._dispatcher.close()
