"""Queues of items that wait for workers, and the mailbox into which an engine delivers what became of them.

A consumer opens a queue for each job, submits items at any time, and waits for what has ended. Which item runs next is
decided over all queues of an engine at once: those of the highest priority go first, in a queue the oldest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

FIRST = 1_000_000  # the priority of `Engine.map` and `Engine.map_reduce`: somebody waits for them


@dataclass(frozen=True, eq=False)
class Finished:
    """One item that has ended."""

    queue: JobQueue | None  # None: a consumer has put it into its own mailbox
    item: Any
    result: Any = None  # what the job returned
    error: BaseException | None = None  # what the job raised, or why no worker could open it


class JobQueue(Protocol):
    """The items of one job that wait for workers, or run. Its methods may be called from any thread."""

    @property
    def priority(self) -> int:
        """The priority of its items: higher goes first, among equals the queue that was opened first."""
        ...

    @priority.setter
    def priority(self, priority: int) -> None: ...

    @property
    def paused(self) -> bool:
        """Whether none of its items starts for now; those that run go on."""
        ...

    @paused.setter
    def paused(self, paused: bool) -> None: ...

    @property
    def waiting(self) -> int:
        """The items that no worker has yet, and that may start: 0 while it is paused."""
        ...

    @property
    def running(self) -> int:
        """The items that workers have."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether the queue starves if no item waits in it: one more would get a worker as soon as a core is free."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        ...

    def submit(self, item: Any) -> None:
        """Adds a picklable item; one `Finished` comes of it. Raises RuntimeError after `close` or `cancel`."""
        ...

    def close(self) -> None:
        """Declares that no more items come, so that workers that hold its model leave when it is empty."""
        ...

    def cancel(self) -> None:
        """Drops the items that wait, and stops those that run where the engine can; delivers nothing more.

        Safe to call at any time, and twice: all publishing is atomic.
        """
        ...


class Results:
    """The mailbox of one consumer, in which items that have ended wait to be taken. Several queues may deliver to it.

    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._entries: SimpleQueue[Finished | _EngineFailure] = SimpleQueue()

    def put(self, finished: Finished) -> None:
        """Delivers an item that has ended, and wakes `get` and `StreamingEngine.wait`."""
        self._entries.put(finished)

    def fail(self, error: BaseException) -> None:
        """Makes `get` raise an error from now on, after what is there already: nothing more will come."""
        self._entries.put(_EngineFailure(error))

    def get(self, timeout_s: float | None = None) -> Finished | None:
        """Returns the next item that has ended; None where there is none within the time (None: however long).

        Items of a cancelled queue are left out. Raises what made the engine fail, or RuntimeError when it was closed.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                entry = self._entries.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except Empty:
                return None
            if isinstance(entry, _EngineFailure):
                self._entries.put(entry)  # for the next call, and for other threads
                raise entry.error
            if entry.queue is None or not entry.queue.cancelled:
                return entry


@dataclass(frozen=True)
class _EngineFailure:
    """The end of a mailbox into which nothing more can come."""

    error: BaseException
