"""Workers that only take note of what they are sent: the test is what they do, report by report."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pipelines.engines.dispatcher import Dispatcher
from pipelines.engines.process_worker import ProcessHost
from pipelines.engines.queues import Finished, JobQueue, Results
from pipelines.engines.workers import NumberedJob, Reports


class FakeWorker:
    """A worker that opens every job at once, and does nothing more until the test lets it."""

    has_heartbeats = True

    def __init__(self, host: FakeHost, reports: Reports) -> None:
        self.name = f"worker {len(host.workers)}"
        self.host = host
        self.reports = reports
        self.items: dict[Any, int] = {}  # item -> number
        self.held: list[NumberedJob] = []
        self.events: list[str] = []

    def holds(self, job: NumberedJob) -> bool:
        return job in self.held

    def start(self, job: NumberedJob, number: int, item: Any) -> None:
        if job not in self.held:
            self.held.append(job)
            if self.host.opens:
                self.reports.opened(job)
        self.items[item] = number
        self.host.started.append(item)

    def release(self, job: NumberedJob) -> None:
        if job in self.held:
            self.held.remove(job)

    def leave(self) -> None:
        self._end("leave")

    def stop(self) -> None:
        self._end("stop")

    def _end(self, event: str) -> None:
        if event not in self.events:
            self.events.append(event)
            if self.host.ends:
                self.reports.ended(event)

    def finish(self, item: Any) -> None:
        """Lets an item end with a result."""
        self.reports.finished(self.items.pop(item), f"done {item}")

    def crash(self) -> None:
        """Lets the worker die with all its items."""
        self.events.append("crash")
        self.items.clear()
        self.reports.ended("crash")


class FakeHost(ProcessHost):
    """A machine of so many cores, whose workers are fakes."""

    def __init__(self, cores: int = 2) -> None:
        super().__init__(cores, 0)
        self.workers: list[FakeWorker] = []
        self.started: list[Any] = []  # items, in order
        self.opens = self.ends = True  # workers open jobs, and end when they are told to
        self.refusal: Exception | None = None

    def create(self, job: NumberedJob, reports: Reports) -> Any:
        if self.refusal:
            raise self.refusal
        self.workers.append(FakeWorker(self, reports))
        return self.workers[-1]

    def worker_of(self, item: Any) -> FakeWorker:
        """The worker that has an item."""
        return next(worker for worker in self.workers if item in worker.items and "crash" not in worker.events)

    def close(self) -> None: ...


class Bench:
    """A dispatcher over fake workers, a mailbox, and a clock that the test sets."""

    def __init__(self, cores: int = 2, stall_timeout_s: float = 0) -> None:
        self.now_s = 0.0
        self.lines: list[str] = []
        self.host = FakeHost(cores)
        self.results = Results()
        self.dispatcher = Dispatcher(self.host, self.lines.append, stall_timeout_s, lambda: self.now_s)

    def queue(self, job: Any, items: list[Any], priority: int = 0, close: bool = True) -> JobQueue:
        """Opens a queue with items in it; they are all there before the first one starts."""
        with self.dispatcher.lock:
            queue = self.dispatcher.open_queue(job, self.results, priority)
            for item in items:
                queue.submit(item)
            if close:
                queue.close()
        return queue

    def settle(self) -> FakeHost:
        """Waits until the dispatcher has handled all that has happened."""
        for _ in range(3):  # the end of a worker is an event that follows from one
            self._turn()
        return self.host

    def _turn(self) -> None:
        handled = threading.Event()
        self.dispatcher.post(handled.set)
        assert handled.wait(60)
        with self.dispatcher.lock:
            pass

    def finish(self, *items: Any) -> FakeHost:
        """Lets items end, one after the other."""
        for item in items:
            self.settle().worker_of(item).finish(item)
        return self.settle()

    def crash(self, item: Any) -> FakeHost:
        """Lets the worker of an item die."""
        self.settle().worker_of(item).crash()
        return self.settle()

    def delivered(self) -> list[Finished]:
        """All that has been delivered by now."""
        self.settle()
        found: list[Finished] = []
        while (finished := self.results.get(0)) is not None:
            found.append(finished)
        return found

    def in_turn(self, event: Callable[[], None]) -> None:
        """Calls something in the dispatcher's thread."""
        self.dispatcher.post(event)
