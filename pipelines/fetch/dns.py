"""Name resolution with a deadline and a cache, which returns permitted addresses only."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corpus.faults import NO_ROOM
from pipelines.fetch.address import IP, AddressPolicy, literal_ip
from pipelines.fetch.response import FetchError
from pipelines.fetch.settings import FetchSettings

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
# A timeout is cached for a moment, so that a host with many URLs does not wait for the deadline once for each; no
# longer, because a retry often succeeds.
_TIMEOUT_TTL_S = 1.0
_MAX_NAMES = 100_000


@dataclass(frozen=True, slots=True)
class _Entry:
    expires: float
    addresses: tuple[IP, ...]
    error: FetchError | None


class DnsCache:
    """A cache of answers by name, each with the time at which it expires. It may serve several fetches in turn."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def get(self, name: str) -> _Entry | None:
        """Returns the answer, unless it has expired."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.expires > time.monotonic() else None

    def put(self, name: str, ttl_s: float, addresses: tuple[IP, ...], error: FetchError | None) -> _Entry:
        """Stores an answer for `ttl_s` seconds; evicts the oldest where there are too many."""
        self._entries.pop(name, None)
        if len(self._entries) >= _MAX_NAMES:
            del self._entries[next(iter(self._entries))]
        self._entries[name] = entry = _Entry(time.monotonic() + ttl_s, addresses, error)
        return entry


class Resolver:
    """Addresses of hosts. Connections go to what it returns, so DNS cannot change between check and connection."""

    def __init__(self, settings: FetchSettings, policy: AddressPolicy, cache: DnsCache) -> None:
        self._settings = settings
        self._policy = policy
        self._cache = cache
        self._running: dict[str, asyncio.Task[_Entry]] = {}
        self._threads = asyncio.Semaphore(settings.concurrency)

    async def addresses(self, host: str, port: int) -> list[IP]:
        """Returns the permitted addresses of `host`, a name or an address: at least one.

        Raises FetchError with dns_failed (it has none), dns_timeout (no name server answered) or private_address (none
        is permitted).
        """
        literal = literal_ip(host)
        addresses = (literal,) if literal is not None else await self._lookup_cached(host)
        permitted = [ip for ip in addresses if self._policy.check(ip, port, host)]
        if not permitted:
            examples = ", ".join(str(ip) for ip in addresses[:3])
            raise FetchError("private_address", f"{host} is {examples}: neither public nor allowed")
        return permitted

    async def unchecked_addresses(self, host: str) -> list[IP]:
        """Returns all addresses of a host that the user configured. Raises FetchError as `addresses` does."""
        literal = literal_ip(host)
        return [literal] if literal is not None else list(await self._lookup_cached(host))

    def close(self) -> None:
        """Cancels the running lookups."""
        for task in list(self._running.values()):
            task.cancel()

    async def _lookup_cached(self, host: str) -> tuple[IP, ...]:
        entry = self._cache.get(host) or await self._shared_lookup(host)
        if entry.error is not None:
            raise FetchError(entry.error.reason, str(entry.error))
        return entry.addresses

    async def _shared_lookup(self, host: str) -> _Entry:
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.create_task(self._lookup(host))
            task.add_done_callback(lambda _: self._running.pop(host, None))
        return await asyncio.shield(task)  # other downloads wait for the lookup, so one deadline must not cancel it

    async def _lookup(self, host: str) -> _Entry:
        settings = self._settings
        try:
            async with asyncio.timeout(settings.dns_timeout_s):
                await self._threads.acquire()
                addresses = await _in_thread(_addresses_of, host, self._threads.release)
            return self._cache.put(host, settings.dns_ttl_s, addresses, None)
        except TimeoutError:
            error = FetchError("dns_timeout", f"{host}: no answer in {settings.dns_timeout_s:g} s")
        except socket.gaierror as failure:
            is_final = failure.errno in _NO_SUCH_NAME
            error = FetchError("dns_failed" if is_final else "dns_timeout", f"{host}: {failure.strerror}")
        except (OSError, ValueError) as failure:  # a label over 63 letters is a UnicodeError
            if isinstance(failure, OSError) and failure.errno in NO_ROOM:
                raise
            error = FetchError("dns_failed", f"{host}: {failure}")
        ttl_s = settings.dns_negative_ttl_s if error.reason == "dns_failed" else _TIMEOUT_TTL_S
        return self._cache.put(host, ttl_s, (), error)


def _addresses_of(host: str) -> tuple[IP, ...]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(dict.fromkeys(ipaddress.ip_address(address[0]) for *_, address in answers))


async def _in_thread(work: Callable[[str], Any], argument: str, when_done: Callable[[], None]) -> Any:
    """Runs `work(argument)` in a daemon thread, which outlives a cancelled caller, and ends with the program.

    getaddrinfo cannot be interrupted and may take minutes; a pool's threads would delay the exit that long.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, error: Exception | None) -> None:
        when_done()
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work(argument)
        except (OSError, ValueError) as failure:
            error = failure
        with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=run, name=f"dns {argument}", daemon=True).start()
    return await future
