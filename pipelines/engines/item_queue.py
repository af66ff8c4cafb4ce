"""The queue of a dispatcher: the items of one job, those that wait and those that workers have, and how they end."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from threading import RLock
from typing import Any, Protocol

from corpus.execution import Job
from pipelines.engines.queues import Finished, Results
from pipelines.engines.retry_tracker import MAX_CRASHES, RetryTracker
from pipelines.engines.workers import NumberedJob

_numbers = itertools.count(1)  # of jobs and items: no two have the same, so a late report can't be mistaken


def number_job(job: Job[Any, Any]) -> NumberedJob:
    """Gives a job its number."""
    return NumberedJob(next(_numbers), job, job.resources)


class QueueOwner(Protocol):
    """The owner of queues, as they see it."""

    lock: RLock  # guards all that its queues and workers have

    def wake(self) -> None:
        """Makes it look at its queues again, soon."""
        ...

    def has_room(self, queue: ItemQueue) -> bool:
        """See `JobQueue.has_room`. Called with the lock."""
        ...

    def check(self) -> None:
        """Raises RuntimeError where it takes no items any more."""
        ...


class ItemQueue:
    """A queue of items. Which worker takes which is its owner's; what becomes of them is decided here."""

    def __init__(self, job: NumberedJob, results: Results, priority: int, owner: QueueOwner) -> None:
        self.numbered = job
        self.resources = job.resources
        self.error: BaseException | None = None  # why no worker can open the job
        self.closed = False
        self.cancelled = False
        self.failed_opens = 0
        self.max_workers: int | None = None  # set where more of them die when they open the job
        self._results = results
        self._priority = priority
        self._paused = False
        self._owner = owner
        self._tracker = RetryTracker()
        self._items: dict[int, Any] = {}  # by number, until they end

    @property
    def job(self) -> Job[Any, Any]:
        """The job of the queue."""
        return self.numbered.job

    @property
    def priority(self) -> int:
        """See `JobQueue.priority`."""
        return self._priority

    @priority.setter
    def priority(self, priority: int) -> None:
        if priority != self._priority:
            self._priority = priority
            self._owner.wake()

    @property
    def paused(self) -> bool:
        """See `JobQueue.paused`."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._owner.lock:
            self._paused = paused
        self._owner.wake()

    @property
    def waiting(self) -> int:
        """See `JobQueue.waiting`."""
        return 0 if self.cancelled or self._paused else len(self._tracker)

    @property
    def running(self) -> int:
        """See `JobQueue.running`."""
        with self._owner.lock:
            return len(self._items) - len(self._tracker)

    @property
    def has_room(self) -> bool:
        """See `JobQueue.has_room`."""
        with self._owner.lock:
            return self._owner.has_room(self)

    @property
    def is_done(self) -> bool:
        """Whether no item is there, and none will come."""
        return self.cancelled or (self.closed and not self._items)

    def submit(self, item: Any) -> None:
        """See `JobQueue.submit`."""
        with self._owner.lock:
            self._owner.check()
            if self.closed or self.cancelled:
                raise RuntimeError("the queue is closed: it takes no more items")
            if self.error is not None:
                self._results.put(Finished(self, item, error=self.error))
                return
            number = next(_numbers)
            self._items[number] = item
            self._tracker.add(number)
        self._owner.wake()

    def close(self) -> None:
        """See `JobQueue.close`."""
        with self._owner.lock:
            self.closed = True
        self._owner.wake()

    def cancel(self) -> None:
        """See `JobQueue.cancel`. The lock makes sure that nothing is being started when this returns.

        The rest is the owner's, in its thread: this may be called in the middle of anything, by the collector of an
        iterator that was left.
        """
        with self._owner.lock:
            self.cancelled = True
        self._owner.wake()

    def drop(self) -> None:
        """Forgets all its items."""
        self._tracker.clear()
        self._items.clear()

    def delivers_to(self, results: Results) -> bool:
        """Returns whether this is the mailbox that its items are delivered to."""
        return self._results is results

    def take(self, assigned: Collection[int]) -> int | None:
        """See `RetryTracker.take`."""
        return self._tracker.take(assigned)

    def item(self, number: int) -> Any:
        """Returns an item that has not ended."""
        return self._items[number]

    def finish(self, number: int, result: Any = None, error: BaseException | None = None) -> None:
        """Delivers an item that has ended. Does nothing for one that has ended before, or was dropped."""
        if number in self._items:
            self._results.put(Finished(self, self._items.pop(number), result, error))

    def break_off(self, error: BaseException, assigned: Collection[int] = ()) -> None:
        """Ends all items that wait, those that come later, and the `assigned` ones: no worker can open the job."""
        self.error = error
        for number in [*assigned, *self._tracker.clear()]:
            self.finish(number, error=error)

    def on_crash(self, assigned: Collection[int]) -> None:
        """Takes back the items of a worker that crashed, or gives them up."""
        present = [number for number in assigned if number in self._items]
        for number in self._tracker.crashed(present):
            self._give_up(number)

    def on_failed_open(self, assigned: Collection[int], holders: int, reason: str) -> None:
        """Takes back the items of a worker that died when it opened the job; `holders` are others that have it open.

        The third time it does without more workers, or without any: then its items end with RuntimeError.
        """
        self._tracker.put_back([number for number in assigned if number in self._items])
        self.failed_opens += 1
        if self.failed_opens < MAX_CRASHES:
            return
        if holders:
            self.max_workers, self.failed_opens = holders, 0
        else:
            self.break_off(RuntimeError(f"workers died {MAX_CRASHES} times before any item was assigned: {reason}"))

    def _give_up(self, number: int) -> None:
        try:
            substitute = self.job.on_worker_lost(self._items[number], f"its worker died {MAX_CRASHES} times")
        except Exception as error:  # noqa: BLE001 - where nothing can stand for the result, that is the item's error
            self.finish(number, error=error)
        else:
            self.finish(number, substitute)


def item_label(item: Any) -> str:
    """Returns the name of an item in messages: of a task for a shard, source and shard; else what it prints as."""
    if isinstance(item, tuple) and item:
        return item_label(item[-1])
    if hasattr(item, "task"):
        return item_label(item.task)
    if hasattr(item, "source") and hasattr(item, "shard"):
        return f"{item.source}/{item.shard}"
    return str(item)[:100]
