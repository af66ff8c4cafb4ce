"""Whose turn it is: waiting steps by host, with a limit on how many of one host's are under way."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

J = TypeVar("J")


@dataclass(slots=True)
class Host(Generic[J]):
    """`slots` counts the workers that are with this host or have been called to it."""

    name: str
    pending: deque[J] = field(default_factory=deque)
    slots: int = 0


class HostQueue(Generic[J]):
    """Hands hosts, not jobs, to workers. A worker stays with its host while jobs are pending there.

    Staying keeps a connection in use instead of idle, so there are never more open connections than workers; and a
    job that waits for a busy host keeps no worker from other hosts.
    """

    def __init__(self, per_host: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, Host[J]] = {}
        self._calls: asyncio.Queue[Host[J] | None] = asyncio.Queue()

    def put(self, name: str, job: J, first: bool = False) -> None:
        """Add a job, in front of the host's others if `first`, and call a worker if the host has a free slot."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name)
        if first:
            host.pending.appendleft(job)
        else:
            host.pending.append(job)
        if host.slots < self._per_host:
            host.slots += 1
            self._calls.put_nowait(host)

    async def take(self) -> Host[J] | None:
        """A host to work for; may have been worked off meanwhile. None when there will be no more."""
        return await self._calls.get()

    def leave(self, host: Host[J]) -> None:
        """A worker is done with a host it took."""
        host.slots -= 1
        if not host.slots and not host.pending:
            del self._hosts[host.name]

    def close(self, workers: int) -> None:
        """Send all workers home."""
        for _ in range(workers):
            self._calls.put_nowait(None)
