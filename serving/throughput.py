"""The throughput meter counts how long a replica is busy, waits for images, or waits for tables to be written."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

ReplicaState = Literal["starting", "busy", "waiting_for_images", "waiting_for_writes"]


class ThroughputMeter:
    """A meter of one replica, which works on several shards at once. Thread-safe.

    At each moment the replica is in one state: starting (requests in flight, no response yet: the model loads), busy
    (requests in flight), waiting for images (a shard is active, none of its images is decoded), or waiting for writes
    (no shard is active: tables are written and read).
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._in_flight = 0
        self._active_shards = 0
        self._started_once = False  # time before the first shard is not counted
        self._completed_once = False
        self._totals: defaultdict[str, float] = defaultdict(float)

    def submitted(self) -> None:
        """Counts a request that went to the client."""
        self._advance(in_flight=1)

    def completed(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Counts a response, and its tokens."""
        self._advance(in_flight=-1)
        with self._lock:
            self._completed_once = True
            self._totals["responses"] += 1
            self._totals["prompt_tokens"] += prompt_tokens
            self._totals["completion_tokens"] += completion_tokens

    def shard_started(self) -> None:
        """Counts a shard that has images for the model."""
        self._advance(active_shards=1)

    def shard_finished(self) -> None:
        """Uncounts a shard, which has no more images."""
        self._advance(active_shards=-1)

    def snapshot(self) -> dict[str, float]:
        """Returns what was counted since the last call: seconds by state (`busy_s` ...), responses and tokens."""
        self._advance()
        with self._lock:
            totals, self._totals = self._totals, defaultdict(float)
        return {key: round(value, 6) for key, value in sorted(totals.items()) if value}

    def _advance(self, in_flight: int = 0, active_shards: int = 0) -> None:
        with self._lock:
            now = self._clock()
            if self._started_once:
                self._totals[f"{self._state()}_s"] += now - self._since
            self._since = now
            self._in_flight += in_flight
            self._active_shards += active_shards
            self._started_once = self._started_once or active_shards > 0

    def _state(self) -> ReplicaState:
        if self._in_flight:
            return "busy" if self._completed_once else "starting"
        return "waiting_for_images" if self._active_shards else "waiting_for_writes"
