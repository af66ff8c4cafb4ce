"""The record of one worker: what a dispatcher knows of it, and where its reports go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from corpus.stage import Resources
from pipelines.engines.item_queue import ItemQueue
from pipelines.engines.workers import NumberedJob, Worker

Event = Callable[[], None]


class RecordOwner(Protocol):
    """The owner of records. It is called back in its own thread, through `post`."""

    clock: Callable[[], float]

    def post(self, event: Event) -> None:
        """Lets the owner's thread call `event`."""
        ...

    def on_opened(self, record: WorkerRecord, job: NumberedJob) -> None:
        """Handles that a worker has opened its job."""
        ...

    def on_not_opened(self, record: WorkerRecord, job: NumberedJob, error: BaseException) -> None:
        """Handles that a job raised when a worker opened it."""
        ...

    def on_finished(self, record: WorkerRecord, number: int, result: Any, error: BaseException | None) -> None:
        """Handles that an item has ended."""
        ...

    def on_stalled(self, record: WorkerRecord, seconds: float) -> None:
        """Handles that a worker shows no sign of life."""
        ...

    def on_ended(self, record: WorkerRecord, reason: str) -> None:
        """Handles a worker's end."""
        ...


class WorkerRecord:
    """A worker with what the dispatcher knows of it. It is the worker's `Reports`."""

    worker: Worker

    def __init__(self, owner: RecordOwner, dedicated: ItemQueue | None) -> None:
        self.dedicated = dedicated  # the only queue that it works for
        self.queue: ItemQueue | None = None  # that its items are of
        self.assigned: list[int] = []
        self.opening = False  # the job of these items
        self.leaving = False
        self.holding: Resources | None = None  # what it takes until it has ended, while it is leaving
        self.started = False  # there was a sign of life
        self.last_sign_s = owner.clock()
        self._owner = owner

    def resources(self) -> Resources | None:
        """Returns what it takes now; None for a worker without items that any queue may have."""
        if self.leaving:
            return self.holding
        queue = self.queue or self.dedicated
        return queue.resources if queue else None

    def alive(self) -> None:
        """See `Reports.alive`."""
        self.started, self.last_sign_s = True, self._owner.clock()

    def opened(self, job: NumberedJob) -> None:
        """See `Reports.opened`."""
        self._post(self._owner.on_opened, job)

    def not_opened(self, job: NumberedJob, error: BaseException) -> None:
        """See `Reports.not_opened`."""
        self._post(self._owner.on_not_opened, job, error)

    def finished(self, number: int, result: Any) -> None:
        """See `Reports.finished`."""
        self._post(self._owner.on_finished, number, result, None)

    def failed(self, number: int, error: BaseException) -> None:
        """See `Reports.failed`."""
        self._post(self._owner.on_finished, number, None, error)

    def stalled(self, seconds: float) -> None:
        """See `Reports.stalled`."""
        self._post(self._owner.on_stalled, seconds)

    def ended(self, reason: str) -> None:
        """See `Reports.ended`."""
        self._post(self._owner.on_ended, reason)

    def _post(self, event: Callable[..., None], *arguments: Any) -> None:
        self.alive()
        self._owner.post(partial(event, self, *arguments))
