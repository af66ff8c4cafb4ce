"""Prevents two processes from publishing into one corpus at a time.

The folder of a corpus on a local disk is locked: the system releases the lock when the process ends, also by a kill.
Object stores and some network file systems have no locks. There, and between machines, the process that starts last
holds the claim, a small file with its identifier; the other one reads it, and stops.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from corpus.storage import StorageError, Store, storage_errors
from pipelines.publish.checkpoint import CLAIM
from pipelines.publish.mixture import PublishError

_CHECK_INTERVAL_S = 5.0  # while tars are written: each check is a request


class Claim:
    """The claim of a process to publish a corpus."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._name = uuid.uuid4().hex.encode()
        self._checked = 0.0

    def acquire(self) -> None:
        """Writes the claim, over that of another process where no lock prevents it."""
        self._store.publish(CLAIM, self._name)
        self._checked = time.monotonic()

    def check(self, now: bool = True) -> None:
        """Raises PublishError if another process holds the claim. Without `now`, reads it only at intervals."""
        if not now and time.monotonic() - self._checked < _CHECK_INTERVAL_S:
            return
        try:
            holder = self._store.read(CLAIM)
        except FileNotFoundError:  # another process has taken and released it
            holder = b""
        if holder != self._name:
            raise PublishError(
                _also_publishing(self._store, "this run has stopped; start it again when the other has ended")
            )
        self._checked = time.monotonic()

    def release(self) -> None:
        """Removes the claim, if this process still holds it."""
        with contextlib.suppress(StorageError):
            if self._store.read(CLAIM) == self._name:
                self._store.remove(CLAIM)


@contextlib.contextmanager
def only_publisher(store: Store) -> Iterator[Claim]:
    """Locks the folder of a corpus against other processes of this machine. Yields a claim, which is not yet acquired.

    Raises PublishError if another process publishes into it.
    """
    claim = Claim(store)
    with _locked(store) if store.is_local else contextlib.nullcontext():
        try:
            yield claim
        finally:
            claim.release()


@contextlib.contextmanager
def _locked(store: Store) -> Iterator[None]:
    """Locks the corpus's folder, which is created for that, and removed again if it stays empty."""
    folder = Path(store.url)
    with storage_errors(store.url):
        created = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        if not _lock(handle):
            raise PublishError(_also_publishing(store, "wait until it has ended, or choose another folder"))
        yield
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):  # those that are not empty
            for each in created:
                each.rmdir()


def _lock(handle: int) -> bool:
    """Tries to lock a folder; returns whether it is locked, or its file system has no locks."""
    try:
        import fcntl
    except ImportError:  # a system without locks
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _also_publishing(store: Store, then: str) -> str:
    return f"another run is publishing into {store.url}: {then}"
