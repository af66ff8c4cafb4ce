"""Heartbeats of the processes that work for the ray engine: one that shows no sign of life is ended.

Ray finds processes that have died and machines that don't answer, but not a process that is frozen: its items would be
waited for without end. From its first item on, a thread of a process writes the time into a small file on its machine.
The engine sends each machine a task now and then that reads these files, and kills a process whose last sign of life is
older than `stall_timeout_s`. For Ray it has crashed then, and its items run elsewhere. An item may take any time: as
long as it works, the thread does.
"""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ITEMS_BYTES = 1_000  # of the names of a process's items in its file
_BEATS = 10  # signs of life in the time after which their absence counts


@dataclass(frozen=True)
class StallLimit:
    """The limit of one run: how long its processes may be silent."""

    run: str  # unique among all runs
    timeout_s: float


@dataclass(frozen=True)
class StalledProcess:
    """A process that was ended because it showed no sign of life."""

    process: int
    silent_s: float
    items: str  # what it was working on


def heartbeat_folder() -> Path:
    """Returns the folder of the heartbeats on this machine. Raises OSError where it is not this user's alone."""
    folder = Path(tempfile.gettempdir()) / f"rzen-corpus-heartbeats-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o170077 != 0o040000:
        raise PermissionError(f"{folder}: not a folder of this user alone")
    return folder


class Heartbeat:
    """The signs of life of this process for one run, from now to its end. Its file is locked as long as it lives."""

    def __init__(self, limit: StallLimit) -> None:
        self._limit = limit
        self._items: list[str] = []
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._write()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    @contextmanager
    def working(self, item: str) -> Iterator[None]:
        """Names what this process works on inside; may be called from several threads at once."""
        self._items.append(item)
        self._write()
        try:
            yield
        finally:
            self._items.remove(item)

    def _beat(self) -> None:
        while True:
            time.sleep(self._limit.timeout_s / _BEATS)
            self._write()

    def _write(self) -> None:
        with self._lock, suppress(OSError):  # of a full disk, say: without a heartbeat nothing is ended
            if self._file is None:
                self._file = (heartbeat_folder() / f"{self._limit.run}-{os.getpid()}").open("wb", buffering=0)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            items = ", ".join(self._items).encode()[:_ITEMS_BYTES]
            text = b"%020d %d %s" % (time.monotonic_ns(), os.getpid(), items)
            os.pwrite(self._file.fileno(), text, 0)
            os.ftruncate(self._file.fileno(), len(text))


def end_stalled(limit: StallLimit) -> list[StalledProcess]:
    """Kills the processes of a run on this machine that have been silent for too long; returns them.

    Files of processes that are no more are removed.
    """
    ended = []
    for path in sorted(heartbeat_folder().iterdir()):
        with suppress(OSError), path.open("rb") as file:
            if not _is_locked(file):
                path.unlink(missing_ok=True)
            elif path.name.rpartition("-")[0] == limit.run:
                written, process, items = file.read().split(b" ", 2)
                silent_s = (time.monotonic_ns() - int(written)) / 1e9
                if silent_s > limit.timeout_s:
                    os.kill(int(process), signal.SIGKILL)
                    ended.append(StalledProcess(int(process), silent_s, items.decode(errors="replace")))
    return ended


def _is_locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
