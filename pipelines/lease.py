"""Permits one run at a time on a workspace.

A run holds a lease, the small file `runs/lease.json`, which it renews while it lives. Another run that finds one says
who holds it and ends, or waits. The lease of a run that died expires: at once on the machine it ran on, elsewhere when
it was not renewed for EXPIRES_S, by the clocks of both machines. Object stores have no locks, so two runs that start
within the same second may both think that they hold it: they do each other's work, and what they write is the same
tables. The one that was overtaken says so.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from corpus.storage import StorageError, Store

LEASE = "runs/lease.json"
RENEW_S = 15.0
EXPIRES_S = 120.0
_POLL_S = 5.0
_START_TIME = 19  # of a process, in /proc/<pid>/stat behind the name: field 22 of proc(5)


class HeldError(RuntimeError):
    """Another run holds the workspace."""


@dataclass(frozen=True)
class Lease:
    """The facts about the holder of a workspace that it writes down."""

    run: str
    user: str
    host: str
    machine: str  # a boot of a machine, or of a container; "": not known
    process: int
    process_start: str  # tells it from a later process of the same number; "": not known
    since: float  # seconds since 1970, as is:
    renewed: float

    @staticmethod
    def of_this_process(run: str) -> Lease:
        """Returns the lease of a run of this process, which begins now."""
        now, process = time.time(), os.getpid()
        return Lease(run, _user(), platform.node(), _machine(), process, _process_start(process), now, now)

    @staticmethod
    def parse(data: bytes) -> Lease | None:
        """Reads a lease; None for what is none."""
        try:
            return Lease(**json.loads(data))
        except (ValueError, TypeError):
            return None

    def encode(self) -> bytes:
        """Returns it as it is written."""
        return json.dumps(asdict(self)).encode()

    def is_dead(self, now: float) -> bool:
        """Tells whether its run has ended without giving it back."""
        here = bool(self.machine) and self.machine == _machine()
        if here and _process_start(self.process) != self.process_start:
            return True
        return now - self.renewed > EXPIRES_S

    def held_by(self, now: float) -> str:
        """Describes the holder, for people."""
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        age_s = max(0, round(now - self.renewed))
        return f"run {self.run} of {self.user}@{self.host} (process {self.process}), since {since}, seen {age_s} s ago"


@contextlib.contextmanager
def workspace_lease(store: Store, run: str, wait: bool, report: Callable[[str], None]) -> Iterator[None]:
    """Holds the lease of a workspace. Raises HeldError where another run does, or with `wait` waits for its end.

    `report` is called with lines for people: whom it waits for, and that another run has taken the lease over.
    """
    lease = _acquire(store, Lease.of_this_process(run), wait, report)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(store, lease, stop, report), name="lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        with contextlib.suppress(StorageError):
            if _holder_run(store) == run:
                store.remove(LEASE)


def is_held(store: Store) -> bool:
    """Tells whether a run that lives holds the lease of a workspace."""
    holder = _read(store)
    return holder is not None and not holder.is_dead(time.time())


def _acquire(store: Store, lease: Lease, wait: bool, report: Callable[[str], None]) -> Lease:
    reported = ""
    while True:
        holder = _read(store)
        now = time.time()
        if holder is None or holder.is_dead(now):
            lease = replace(lease, since=now, renewed=now)
            try:
                store.publish(LEASE, lease.encode())
            except StorageError as error:  # a run that can write nothing else will say so itself
                report(f"no other run is kept away: {error}")
                return lease
            if _holder_run(store) == lease.run:  # else another run wrote its own at the same moment
                return lease
            continue
        if not wait:
            raise HeldError(
                f"{store.url} is held by {holder.held_by(now)}. Wait for its end with --wait, or use another workspace"
            )
        if holder.run != reported:
            report(f"waiting for {holder.held_by(now)}")
            reported = holder.run
        time.sleep(_POLL_S)


def _renew(store: Store, lease: Lease, stop: threading.Event, report: Callable[[str], None]) -> None:
    """Renews the lease until the run ends, or another run has taken it over."""
    while not stop.wait(RENEW_S):
        with contextlib.suppress(StorageError):  # a store that is away now may be back the next time
            holder = _read(store)
            if holder is not None and holder.run != lease.run:
                report(f"{store.url}: {holder.held_by(time.time())} has begun, too: both do the same work")
                return
            store.publish(LEASE, replace(lease, renewed=time.time()).encode())


def _read(store: Store) -> Lease | None:
    try:
        return Lease.parse(store.read(LEASE))
    except FileNotFoundError:
        return None


def _holder_run(store: Store) -> str:
    holder = _read(store)
    return holder.run if holder is not None else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


def _machine() -> str:
    """Returns a name of the boot and of the name space of process numbers; "" where it is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - of a Path it is the same call
    except OSError:
        return ""


def _process_start(process: int) -> str:
    """Returns when a process started, by its machine's clock; "" for one that is not there, or not known."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[_START_TIME]
