"""The request queue orders what goes to the engine next, and isolates the poison request that kills an engine.

A poison request takes hundreds of others with it that are in flight. It is isolated by strikes: requests in flight at
one death of the engine run again; at a second death they run apart from all others, at most eight at once; those of
such a batch that died run one at a time. A request whose engine then dies is the poison, and fails only its own row.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from serving.request import ModelRequest, ModelResponse

SUSPECT_BATCH = 8

_SUSPECT, _ALONE = 2, 3  # strikes from which on a request runs with other suspects only, and alone


@dataclass(slots=True)
class QueuedRequest:
    """A request that waits or is in flight, with its future and its strikes."""

    number: int
    request: ModelRequest
    future: Future[ModelResponse[Any]] = field(default_factory=Future)
    strikes: int = 0


class RequestQueue:
    """A queue of requests that wait for the engine or are in flight. Not thread-safe: the client holds a lock."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedRequest] = deque()
        self._suspects: deque[QueuedRequest] = deque()  # by strikes, the lowest first
        self.in_flight: dict[int, QueuedRequest] = {}

    def __len__(self) -> int:
        return self.waiting + len(self.in_flight)

    @property
    def waiting(self) -> int:
        """The number of requests that are not sent yet."""
        return len(self._waiting) + len(self._suspects)

    @property
    def can_send(self) -> bool:
        """Whether a request may be sent now; False also while those in flight must finish first."""
        return bool(self._next_queue())

    def add(self, queued: QueuedRequest) -> None:
        """Appends a request."""
        self._waiting.append(queued)

    def send_next(self) -> QueuedRequest | None:
        """Returns the next request, from then on in flight; None where none may be sent."""
        queue = self._next_queue()
        if not queue:
            return None
        queued = queue.popleft()
        self.in_flight[queued.number] = queued
        return queued

    def _next_queue(self) -> deque[QueuedRequest] | None:
        strikes = [queued.strikes for queued in self.in_flight.values() if queued.strikes >= _SUSPECT]
        if not strikes and not self._suspects:
            return self._waiting
        if len(strikes) < len(self.in_flight) or not self._suspects:
            return None
        limit = SUSPECT_BATCH if max([*strikes, self._suspects[0].strikes]) == _SUSPECT else 1
        return self._suspects if len(self.in_flight) < limit else None

    def engine_died(self) -> QueuedRequest | None:
        """Enqueues requests in flight again, with one strike more; returns the poison request once it is certain."""
        died, self.in_flight = list(self.in_flight.values()), {}
        if len(died) == 1 and died[0].strikes > 0:
            return died[0]
        for queued in died:
            queued.strikes = _ALONE if len(died) <= SUSPECT_BATCH else queued.strikes + 1
        self._waiting.extendleft(reversed([queued for queued in died if queued.strikes < _SUSPECT]))
        suspects = [*self._suspects, *(queued for queued in died if queued.strikes >= _SUSPECT)]
        self._suspects = deque(sorted(suspects, key=lambda queued: (queued.strikes, queued.number)))
        return None

    def clear(self) -> list[QueuedRequest]:
        """Removes all requests; returns them in the order in which they were added."""
        removed = sorted([*self.in_flight.values(), *self._suspects, *self._waiting], key=lambda queued: queued.number)
        self._waiting.clear()
        self._suspects.clear()
        self.in_flight.clear()
        return removed
