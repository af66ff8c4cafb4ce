"""Which endpoint takes the next request: the one with the fewest in flight, of those whose circuit is closed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from serving.openai.settings import EndpointSettings

_FAILURES_TO_OPEN = 3  # failures in a row after which an endpoint's circuit opens

_EARLY_S = 0.001  # by less than that, a timer may come before its time


@dataclass(eq=False, slots=True)
class Endpoint:
    """One server and its state. Times are the event loop's, in seconds."""

    url: str
    in_flight: int = 0
    taken: int = 0  # when it was last chosen, as a running number
    failures: int = 0  # in a row
    openings: int = 0  # in a row
    open_until: float = 0.0  # the circuit, for its failures
    retry_after_until: float = 0.0  # Retry-After
    failing_since: float | None = None
    worked_at: float = 0.0
    last_error: str = ""

    def room(self, now: float, concurrency: int) -> int:
        """How many more requests it takes now. One that was failing gets a single one, to see whether it works."""
        if now + _EARLY_S < max(self.open_until, self.retry_after_until):
            return 0
        return max(0, (1 if self.failures >= _FAILURES_TO_OPEN else concurrency) - self.in_flight)


class EndpointPool:
    """All endpoints, shared by the requests of one event loop. To be used in that loop only.

    `on_exhausted` is called once no endpoint has answered for `give_up_after_s`, with each one's last error.
    """

    def __init__(self, settings: EndpointSettings, on_exhausted: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_exhausted = on_exhausted
        self._endpoints = [Endpoint(url) for url in settings.endpoints]
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0
        self._end: asyncio.TimerHandle | None = None

    @property
    def failing(self) -> bool:
        """Whether all endpoints fail at present."""
        return self._end is not None

    async def take(self, avoid: Endpoint | None = None) -> Endpoint:
        """Wait for an endpoint with room, and a place there; `avoid` only if no other has any. To be given back."""
        waited = False
        while (endpoint := self._choose(avoid)) is None:
            turn = asyncio.get_running_loop().create_future()
            (self._waiting.appendleft if waited else self._waiting.append)(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # in case the turn had come
                raise
            waited = True
        self._taken += 1
        endpoint.taken = self._taken
        endpoint.in_flight += 1
        return endpoint

    def give_back(self, endpoint: Endpoint) -> None:
        """End what `take` began, however it ended."""
        endpoint.in_flight -= 1
        self._wake()

    def worked(self, endpoint: Endpoint) -> None:
        """It has answered."""
        endpoint.failures = endpoint.openings = 0
        endpoint.open_until, endpoint.failing_since = 0.0, None
        endpoint.worked_at = asyncio.get_running_loop().time()
        self._stop_watching()
        self._wake()

    def failed(self, endpoint: Endpoint, error: str, wait_s: float = 0.0) -> None:
        """It has failed, and asks to be left alone for `wait_s`."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        endpoint.last_error = error
        endpoint.failures += 1
        if endpoint.failing_since is None:
            endpoint.failing_since = now
        if wait_s:
            endpoint.retry_after_until = max(endpoint.retry_after_until, now + wait_s)
            loop.call_at(endpoint.retry_after_until, self._wake)
        if endpoint.failures >= _FAILURES_TO_OPEN and now >= endpoint.open_until:
            pause_s = self._settings.backoff_s * 2.0 ** min(endpoint.openings, 60)
            endpoint.openings += 1
            endpoint.open_until = now + min(pause_s, self._settings.backoff_max_s)
            loop.call_at(endpoint.open_until, self._wake)
        self._watch()

    def reset(self) -> None:
        """Forget how long the endpoints have failed: no request came for a while."""
        for endpoint in self._endpoints:
            endpoint.failing_since = None
        self._stop_watching()

    def _choose(self, avoid: Endpoint | None) -> Endpoint | None:
        now = asyncio.get_running_loop().time()
        free = [each for each in self._endpoints if each.room(now, self._settings.concurrency)]
        return min(free, key=lambda each: (each is avoid, each.in_flight, each.taken), default=None)

    def _wake(self) -> None:
        """Give as many waiting requests their turn as there is room for, the oldest first."""
        now = asyncio.get_running_loop().time()
        room = sum(each.room(now, self._settings.concurrency) for each in self._endpoints)
        while room and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # as one is whose request was cancelled
                turn.set_result(None)
                room -= 1

    def _watch(self) -> None:
        since = [each.failing_since for each in self._endpoints if each.failing_since is not None]
        if self._end is None and len(since) == len(self._endpoints):
            deadline = max(since) + self._settings.give_up_after_s
            self._end = asyncio.get_running_loop().call_at(deadline, self._give_up)

    def _stop_watching(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _give_up(self) -> None:
        errors = "; ".join(f"{each.url}: {each.last_error}" for each in self._endpoints)
        self._on_exhausted(
            f"no endpoint has answered for {self._settings.give_up_after_s:g} s: {errors}. "
            "Check that the servers run and that `endpoints` names them"
        )
