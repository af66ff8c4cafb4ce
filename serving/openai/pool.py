"""The endpoint pool balances requests: the next goes to the endpoint with the fewest in flight and a closed circuit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from serving.openai.settings import EndpointAccess

_FAILURES_TO_OPEN = 3  # failures in a row after which an endpoint's circuit opens

_TIMER_TOLERANCE_S = 0.001  # by which a timer may fire early


@dataclass(eq=False, slots=True)
class Endpoint:
    """One server and the state of its circuit breaker. Times are the event loop's, in seconds."""

    url: str
    in_flight: int = 0
    last_used: int = 0  # number of the last request that it got
    failures: int = 0  # in a row
    openings: int = 0  # of the circuit, in a row
    open_until: float = 0.0  # the circuit, for its failures
    retry_after_until: float = 0.0  # by the server's Retry-After
    failing_since: float | None = None
    last_success_at: float = 0.0
    last_error: str = ""

    def free_slots(self, now: float, concurrency: int) -> int:
        """Returns how many more requests it may get now: after failures a single one (half-open circuit)."""
        if now + _TIMER_TOLERANCE_S < max(self.open_until, self.retry_after_until):
            return 0
        return max(0, (1 if self.failures >= _FAILURES_TO_OPEN else concurrency) - self.in_flight)


class EndpointPool:
    """A pool of endpoints for the requests of one event loop. Not thread-safe.

    `on_exhausted` is called once no endpoint has responded for `max_outage_s`, with each one's last error.
    """

    def __init__(self, settings: EndpointAccess, on_exhausted: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_exhausted = on_exhausted
        self._endpoints = [Endpoint(url) for url in settings.endpoints]
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._uses = 0
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def failing(self) -> bool:
        """Whether all endpoints are failing."""
        return self._deadline is not None

    async def acquire(self, avoid: Endpoint | None = None) -> Endpoint:
        """Waits for an endpoint with a free slot and takes the slot, of `avoid` only if no other has one.

        To be released with `release`.
        """
        waited = False
        while (endpoint := self._choose_endpoint(avoid)) is None:
            turn = asyncio.get_running_loop().create_future()
            (self._waiting.appendleft if waited else self._waiting.append)(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake_waiting()  # in case it had been woken already
                raise
            waited = True
        self._uses += 1
        endpoint.last_used = self._uses
        endpoint.in_flight += 1
        return endpoint

    def release(self, endpoint: Endpoint) -> None:
        """Frees the slot that `acquire` took, however the call ended."""
        endpoint.in_flight -= 1
        self._wake_waiting()

    def record_success(self, endpoint: Endpoint) -> None:
        """Closes the circuit of an endpoint that has responded."""
        endpoint.failures = endpoint.openings = 0
        endpoint.open_until, endpoint.failing_since = 0.0, None
        endpoint.last_success_at = asyncio.get_running_loop().time()
        self._cancel_deadline()
        self._wake_waiting()

    def record_failure(self, endpoint: Endpoint, error: str, wait_s: float = 0.0) -> None:
        """Counts a failure of an endpoint, which opens its circuit after some; `wait_s`: of its Retry-After."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        endpoint.last_error = error
        endpoint.failures += 1
        if endpoint.failing_since is None:
            endpoint.failing_since = now
        if wait_s:
            endpoint.retry_after_until = max(endpoint.retry_after_until, now + wait_s)
            loop.call_at(endpoint.retry_after_until, self._wake_waiting)
        if endpoint.failures >= _FAILURES_TO_OPEN and now >= endpoint.open_until:
            pause_s = self._settings.backoff_s * 2.0 ** min(endpoint.openings, 60)
            endpoint.openings += 1
            endpoint.open_until = now + min(pause_s, self._settings.max_backoff_s)
            loop.call_at(endpoint.open_until, self._wake_waiting)
        self._start_deadline()

    def reset(self) -> None:
        """Forgets since when the endpoints have failed, after a time without requests."""
        for endpoint in self._endpoints:
            endpoint.failing_since = None
        self._cancel_deadline()

    def _choose_endpoint(self, avoid: Endpoint | None) -> Endpoint | None:
        now = asyncio.get_running_loop().time()
        free = [each for each in self._endpoints if each.free_slots(now, self._settings.concurrency_per_endpoint)]
        return min(free, key=lambda each: (each is avoid, each.in_flight, each.last_used), default=None)

    def _wake_waiting(self) -> None:
        """Wakes as many waiting requests as there are free slots, the oldest first."""
        now = asyncio.get_running_loop().time()
        free_slots = sum(each.free_slots(now, self._settings.concurrency_per_endpoint) for each in self._endpoints)
        while free_slots and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # a cancelled request's is
                turn.set_result(None)
                free_slots -= 1

    def _start_deadline(self) -> None:
        since = [each.failing_since for each in self._endpoints if each.failing_since is not None]
        if self._deadline is None and len(since) == len(self._endpoints):
            deadline = max(since) + self._settings.max_outage_s
            self._deadline = asyncio.get_running_loop().call_at(deadline, self._give_up)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        errors = "; ".join(f"{each.url}: {each.last_error}" for each in self._endpoints)
        self._on_exhausted(
            f"no endpoint has responded for {self._settings.max_outage_s:g} s: {errors}. "
            "Check that the servers run and that `endpoints` names them"
        )
