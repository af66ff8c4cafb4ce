"""What a captioner's time goes to: writing captions, waiting for images, or waiting for tables to be written."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

State = Literal["starting", "busy", "waiting_for_images", "waiting_for_writes"]


class Meter:
    """Of one replica, which several shards feed at once. Thread-safe.

    At each moment the replica is busy (it has at least one request in hand; until the first answer it is starting: it
    loads its model), or waits for images (a shard is being fed, but none of its images is ready), or for writes (no
    shard is being fed: tables are written, others loaded).
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._in_hand = 0
        self._feeding = 0
        self._fed_once = False  # what passes before the first shard is fed is nobody's waiting
        self._answered_once = False
        self._spent: defaultdict[str, float] = defaultdict(float)

    def asked(self) -> None:
        """A request went to the captioner."""
        self._turn(in_hand=1)

    def answered(self, prompt_tokens: int, completion_tokens: int) -> None:
        """One came back."""
        self._turn(in_hand=-1)
        with self._lock:
            self._answered_once = True
            self._spent["answers"] += 1
            self._spent["prompt_tokens"] += prompt_tokens
            self._spent["completion_tokens"] += completion_tokens

    def feeding(self) -> None:
        """A shard has images for the captioner."""
        self._turn(feeding=1)

    def fed(self) -> None:
        """A shard has no more of them."""
        self._turn(feeding=-1)

    def take(self) -> dict[str, float]:
        """All that was counted since the last call: seconds by state (`busy_s` ...), answers and tokens."""
        self._turn()
        with self._lock:
            spent, self._spent = self._spent, defaultdict(float)
        return {key: round(value, 6) for key, value in sorted(spent.items()) if value}

    def _turn(self, in_hand: int = 0, feeding: int = 0) -> None:
        with self._lock:
            now = self._clock()
            if self._fed_once:
                self._spent[f"{self._state()}_s"] += now - self._since
            self._since = now
            self._in_hand += in_hand
            self._feeding += feeding
            self._fed_once = self._fed_once or feeding > 0

    def _state(self) -> State:
        if self._in_hand:
            return "busy" if self._answered_once else "starting"
        return "waiting_for_images" if self._feeding else "waiting_for_writes"
