"""One publisher of a corpus at a time.

Where the corpus lies on a local disk, its folder is locked: the system lets go of the lock when the process ends,
however it ends. Object stores and some network file systems have no locks. There, and between machines, whoever begins
last holds the claim, a small file that names it; the one before sees that the claim is another's, and stops.
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

_CHECK_EVERY_S = 5.0  # at most, while tars are written: each look is a request


class Claim:
    """The claim of one publisher on a corpus."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._name = uuid.uuid4().hex.encode()
        self._checked = 0.0

    def stake(self) -> None:
        """Take the claim, from another publisher if there is one that no lock keeps out."""
        self._store.publish(CLAIM, self._name)
        self._checked = time.monotonic()

    def check(self, now: bool = True) -> None:
        """Raise PublishError if the claim is another's by now. Without `now`, only if the last look was a while ago."""
        if not now and time.monotonic() - self._checked < _CHECK_EVERY_S:
            return
        try:
            holder = self._store.read(CLAIM)
        except FileNotFoundError:  # another one has taken it and has ended
            holder = b""
        if holder != self._name:
            raise PublishError(
                _also_publishing(self._store, "this one has stopped; run it again when the other has ended")
            )
        self._checked = time.monotonic()

    def drop(self) -> None:
        """Give the claim up, if it is still held."""
        with contextlib.suppress(StorageError):
            if self._store.read(CLAIM) == self._name:
                self._store.remove(CLAIM)


@contextlib.contextmanager
def only_publisher(store: Store) -> Iterator[Claim]:
    """Inside, no other process of this machine publishes into the same folder. Yields a claim that is yet to be staked.

    Raises PublishError if another one does already.
    """
    claim = Claim(store)
    with _locked(store) if store.is_local else contextlib.nullcontext():
        try:
            yield claim
        finally:
            claim.drop()


@contextlib.contextmanager
def _locked(store: Store) -> Iterator[None]:
    """A lock on the corpus's folder itself, which is made for it, and is gone again if nothing is written into it."""
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
        with contextlib.suppress(OSError):  # those that something lies in
            for each in created:
                each.rmdir()


def _lock(handle: int) -> bool:
    """Whether the folder could be locked, or its file system has no locks."""
    try:
        import fcntl
    except ImportError:  # a system without
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
