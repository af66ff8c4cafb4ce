"""Queues whose items run in the calling thread, one at a time, in an order that depends on nothing else.

No process is started, a debugger works, and a `memory://` workspace is shared.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet

from corpus.execution import Job
from pipelines.engines.dispatcher import SWAP_ITEMS
from pipelines.engines.item_queue import ItemQueue, number_job
from pipelines.engines.open_job import OpenJob
from pipelines.engines.queues import Finished, Results
from pipelines.engines.workers import MAX_HELD


@dataclass
class _Session:
    """The open job of a queue."""

    opened: OpenJob
    running: int = 0


class InlineDispatcher:
    """The queues of an engine without workers: `wait` runs an item. Threads that wait take turns, item by item."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._turn = threading.RLock()  # held while an item runs, and while jobs are opened and closed
        self._queues: list[ItemQueue] = []
        self._sessions: OrderedDict[ItemQueue, _Session] = OrderedDict()  # the one used last at the end
        self._mailboxes: WeakSet[Results] = WeakSet()
        self._closed = False

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> ItemQueue:
        """See `StreamingEngine.open_queue`."""
        queue = ItemQueue(number_job(job), results, priority, self)
        with self.lock:
            self.check()
            self._queues.append(queue)
            self._mailboxes.add(results)
        return queue

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        """See `StreamingEngine.wait`."""
        while True:
            found = results.get(0)
            if found is not None:
                return found
            with self._turn:
                self._close_unused()
                progress = self._run_foremost(results)
            if not progress:
                return results.get(timeout_s)

    def has_room(self, queue: ItemQueue) -> bool:
        """See `JobQueue.has_room`: True, because an item that is submitted runs when it is the foremost."""
        return not queue.is_done and queue.error is None

    def check(self) -> None:
        """Raises RuntimeError when the engine was closed."""
        if self._closed:
            raise RuntimeError("the engine was closed")

    def wake(self) -> None:
        """Closes the jobs of queues that are done, unless another thread has its turn: that one does it then."""
        if self._turn.acquire(blocking=False):
            try:
                self._close_unused()
            finally:
                self._turn.release()

    def close(self) -> None:
        """Closes all jobs. Whoever waits for an item gets RuntimeError."""
        with self.lock:
            if not self._closed:
                self._closed = True
                for results in list(self._mailboxes):
                    results.fail(RuntimeError("the engine was closed"))
        for queue in list(self._sessions):
            self._close(queue)

    def _run_foremost(self, results: Results) -> bool:
        """Runs or starts an item of the foremost queue; False where no item waits that may start now."""
        queue = self._foremost(results)
        if queue is None:
            return False
        session = self._sessions.get(queue)
        others = [other for other in self._sessions if other is not queue and other.delivers_to(results)]
        if any(self._sessions[other].running for other in others):
            return False  # those in flight end first, so that one job runs at a time
        if session is None:
            try:
                session = self._open(queue)
            except Exception as error:  # noqa: BLE001 - no item of the queue can run
                queue.break_off(error)
                return True
        if session.running >= session.opened.in_flight:
            return False
        self._sessions.move_to_end(queue)
        with self.lock:
            number = queue.take(())
            if number is None:  # it was cancelled meanwhile
                return True
            session.running += 1
        done = partial(self._done, queue, session, number)
        try:
            session.opened.start(queue.item(number), done)
        except BaseException as error:  # Ctrl-C: the item has ended by it
            done(None, error)
            raise
        return True

    def _done(self, queue: ItemQueue, session: _Session, number: int, result: Any, error: BaseException | None) -> None:
        with self.lock:
            session.running -= 1
            queue.finish(number, result, error)

    def _foremost(self, results: Results) -> ItemQueue | None:
        """Returns the queue whose item is next.

        One that needs the GPU of a model which is open goes first only where that is worth a swap, or alone.
        """
        waiting = [queue for queue in self._queues if queue.waiting and queue.delivers_to(results)]
        waiting.sort(key=lambda queue: -queue.priority)
        return next((queue for queue in waiting if self._may_swap(queue)), waiting[0] if waiting else None)

    def _may_swap(self, queue: ItemQueue) -> bool:
        holders = self._gpu_holders(queue)
        if not holders:
            return True
        return (queue.closed or queue.waiting >= SWAP_ITEMS) and not any(holder.waiting for holder in holders)

    def _gpu_holders(self, queue: ItemQueue) -> list[ItemQueue]:
        """Returns the other queues whose jobs are open on the GPU that the queue needs."""
        if not queue.resources.gpus or queue in self._sessions:
            return []
        return [other for other in self._sessions if other.resources.gpus]

    def _open(self, queue: ItemQueue) -> _Session:
        for holder in self._gpu_holders(queue):
            self._close(holder)
        small = [
            other for other in self._sessions if not other.numbered.dedicated and not self._sessions[other].running
        ]
        for other in small[: max(0, len(small) - MAX_HELD + 1)]:
            self._close(other)
        session = self._sessions[queue] = _Session(OpenJob(queue.job))
        return session

    def _close_unused(self) -> None:
        with self.lock:
            done = [queue for queue in self._queues if queue.is_done]
            self._queues = [queue for queue in self._queues if queue not in done]
            for queue in done:
                queue.drop()
        for queue in done:
            if queue in self._sessions:
                self._close(queue)

    def _close(self, queue: ItemQueue) -> None:
        self._sessions.pop(queue).opened.close()
