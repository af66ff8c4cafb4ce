"""The free space of the disk that a local workspace lies on: where little is left, no task that writes media starts.

What has started ends, and tasks that write tables alone go on, which take little and may be what is missing for a
corpus. A bucket has no such limit.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Protocol

from corpus.storage import Store

_MEASURE_EVERY_S = 1.0
_ENOUGH = 1.1  # times what must be free, before tasks start again: so that they do not stop and start all the time


class DiskUsage(Protocol):
    """The sizes of a disk, as `shutil.disk_usage` returns them."""

    @property
    def free(self) -> int:
        """The bytes that are free for this user."""
        ...


class FreeDisk:
    """The free space of a workspace's disk, which is measured once a second at most."""

    def __init__(
        self,
        store: Store,
        min_free_bytes: int,
        usage: Callable[[str], DiskUsage] = shutil.disk_usage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_low = False
        self._folder = store.url
        self._min_free_bytes = min_free_bytes if store.is_local else 0
        self._usage = usage
        self._clock = clock
        self._measured_s = -_MEASURE_EVERY_S
        self._free_bytes = 0

    def measure(self, now: bool = False) -> bool:
        """Measures how much is free, if it is time or it must be known `now`; tells whether `is_low` has changed."""
        if not self._min_free_bytes or not (now or self._clock() - self._measured_s >= _MEASURE_EVERY_S):
            return False
        self._measured_s = self._clock()
        try:
            self._free_bytes = self._usage(self._folder).free
        except OSError:  # whoever writes there will say what is wrong
            return False
        was_low = self.is_low
        self.is_low = self._free_bytes < self._min_free_bytes * (_ENOUGH if was_low else 1.0)
        return self.is_low != was_low

    def __str__(self) -> str:
        free, minimum = (f"{number / 1e9:,.2f} GB" for number in (self._free_bytes, self._min_free_bytes))
        return f"{free} free on the disk of {self._folder} (engine.min_free_disk_bytes: {minimum})"
