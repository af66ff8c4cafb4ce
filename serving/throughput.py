"""The shares of a replica's time: busy, waiting for images, or waiting for tables to be written."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

State = Literal["starting", "busy", "waiting_for_images", "waiting_for_writes"]


class ThroughputMeter:
    """Of one replica, which works on several shards at once. Thread-safe.

    At each moment the replica is busy (it has at least one request in flight; until the first response it is starting:
    it loads its model), or waits for images (a shard is under way, but none of its images is ready), or for writes (no
    shard is under way: tables are written, others loaded).
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._in_flight = 0
        self._active_shards = 0
        self._started_once = False  # what passes before the first shard is no waiting
        self._completed_once = False
        self._spent: defaultdict[str, float] = defaultdict(float)

    def submitted(self) -> None:
        """A request went to the client."""
        self._advance(in_flight=1)

    def completed(self, prompt_tokens: int, completion_tokens: int) -> None:
        """One came back."""
        self._advance(in_flight=-1)
        with self._lock:
            self._completed_once = True
            self._spent["responses"] += 1
            self._spent["prompt_tokens"] += prompt_tokens
            self._spent["completion_tokens"] += completion_tokens

    def shard_started(self) -> None:
        """A shard has images for the model."""
        self._advance(active_shards=1)

    def shard_finished(self) -> None:
        """A shard has no more of them."""
        self._advance(active_shards=-1)

    def snapshot(self) -> dict[str, float]:
        """All that was counted since the last call: seconds by state (`busy_s` ...), responses and tokens."""
        self._advance()
        with self._lock:
            spent, self._spent = self._spent, defaultdict(float)
        return {key: round(value, 6) for key, value in sorted(spent.items()) if value}

    def _advance(self, in_flight: int = 0, active_shards: int = 0) -> None:
        with self._lock:
            now = self._clock()
            if self._started_once:
                self._spent[f"{self._state()}_s"] += now - self._since
            self._since = now
            self._in_flight += in_flight
            self._active_shards += active_shards
            self._started_once = self._started_once or active_shards > 0

    def _state(self) -> State:
        if self._in_flight:
            return "busy" if self._completed_once else "starting"
        return "waiting_for_images" if self._active_shards else "waiting_for_writes"
