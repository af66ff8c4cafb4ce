"""Downloads many URLs concurrently, with limits per host, redirects and retries: one result for each URL."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from corpus.allocation import keep_freed_blocks
from corpus.printable import printable
from corpus.urls import without_credentials
from pipelines.fetch.dns import DnsCache
from pipelines.fetch.reasons import OK, reason, wait_s
from pipelines.fetch.response import FetchError, Response, Spool, Spooled
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.url import HttpUrl, parse_url, resolve

if TYPE_CHECKING:
    from pipelines.fetch.client import Session

R = TypeVar("R")
J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of downloading `urls[index]`. `reason` is a key of REASONS or http_NNN; `body` is empty unless "ok".

    With a spool, a body that is "ok" is in `spooled` instead, whose file is closed after `sink` returns. `final_url` is
    the URL requested last, or the one that could not be requested; without credentials. `seconds` is the time of all
    attempts, without the waits for the host and between attempts. `detail` and `content_type` are printable, of at most
    200 characters.
    """

    index: int
    reason: str
    detail: str
    body: bytes
    final_url: str
    http_status: int
    content_type: str
    attempts: int
    seconds: float
    retryable: bool
    spooled: Spooled | None = None


@overload
def fetch(
    urls: Sequence[str],
    settings: FetchSettings,
    sink: Callable[[Fetched], None],
    *,
    dns: DnsCache | None = None,
    spool: Spool | None = None,
) -> None: ...


@overload
def fetch(
    urls: Sequence[str],
    settings: FetchSettings,
    sink: Callable[[R], None],
    *,
    process: Callable[[Fetched], R],
    threads: int = 2,
    dns: DnsCache | None = None,
    spool: Spool | None = None,
) -> None: ...


def fetch(
    urls: Sequence[str],
    settings: FetchSettings,
    sink: Callable[[Any], None],
    *,
    process: Callable[[Fetched], Any] | None = None,
    threads: int = 2,
    dns: DnsCache | None = None,
    spool: Spool | None = None,
) -> None:
    """Downloads every URL and calls `sink` with one result for each, as they finish. Blocks until all have finished.

    `sink` is called in this thread, one call at a time, between network events, which wait for it: it should take well
    under a millisecond. Expensive work belongs in `process`, which runs in `threads` threads and whose return value
    `sink` gets. A download counts towards `concurrency` until `sink` returns, so slow processing slows the downloads,
    and bodies never accumulate.

    Faults of URLs and servers raise nothing. What `process` or `sink` raise ends the run and is raised here. `dns`
    caches answers from one call to the next. With a `spool`, bodies go to files, and memory is bounded by
    `concurrency` times its `threshold_bytes` and some buffers; copying a file is work for `process`. Raises
    StorageError where such a file cannot be written. Needs a thread without a running event loop.
    """
    keep_freed_blocks()
    run = _Run(urls, settings, sink, process, dns or DnsCache(), spool)
    with ThreadPoolExecutor(threads if process else 1, thread_name_prefix="process") as pool:
        asyncio.run(run.all(pool))


@dataclass(slots=True)
class _Job:
    """The state of one download. `url` is requested next, or the error that prevents it; `visited` are the URLs that
    this attempt has requested, `spent_s` is its time, `earlier_s` that of earlier attempts."""

    index: int
    url: HttpUrl | FetchError
    attempt: int = 1
    visited: set[HttpUrl] = field(default_factory=set)
    spent_s: float = 0.0
    earlier_s: float = 0.0


class _Run:
    def __init__(
        self,
        urls: Sequence[str],
        settings: FetchSettings,
        sink: Callable[[Any], None],
        process: Callable[[Fetched], Any] | None,
        dns: DnsCache,
        spool: Spool | None,
    ) -> None:
        self._urls = urls
        self._settings = settings
        self._sink = sink
        self._process = process
        self._dns = dns
        self._spool = spool
        self._remaining = len(urls)
        self._workers = min(settings.concurrency, len(urls))

    async def all(self, pool: ThreadPoolExecutor) -> None:
        # Not at the top: importing aiohttp takes 0.1 s, which whoever only reads settings is spared.
        from pipelines.fetch.client import Client

        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._queue: HostQueue[_Job] = HostQueue(self._settings.concurrency_per_host)
        for index in range(len(self._urls)):
            job = self._job(index)
            self._queue.put(_host_name(job), job)
        self._client = Client(self._settings, self._dns, self._spool)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._run_worker())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._client.close()

    async def _run_worker(self) -> None:
        session = self._client.open_session()
        try:
            while (host := await self._queue.acquire()) is not None:
                while host.pending:
                    job = host.pending.popleft()
                    await self._advance(job, session, last=not host.pending)
                session.disconnect()
                self._queue.release(host)
        finally:
            await session.close()

    def _job(self, index: int, attempt: int = 1, earlier_s: float = 0.0) -> _Job:
        try:
            url: HttpUrl | FetchError = parse_url(self._urls[index] or "")  # a null row is one more bad URL
        except FetchError as error:
            url = error
        return _Job(index, url, attempt, earlier_s=earlier_s)

    async def _advance(self, job: _Job, session: Session, last: bool) -> None:
        """Makes the job's next exchange; then queues the job again, or finishes it."""
        if isinstance(job.url, FetchError):
            await self._finish(job, Response(job.url.reason, str(job.url)))
            return
        started = self._loop.time()
        response = await session.get(job.url, self._settings.total_timeout_s - job.spent_s, last)
        job.spent_s += self._loop.time() - started
        if response.location is not None:
            response = self._follow_redirect(job, job.url, response)
            if not response.reason:
                self._queue.put(_host_name(job), job, first=True)
                return
        if reason(response.reason).transient:
            pause_s = wait_s(job.attempt, response.retry_after_s, self._settings)
            if pause_s is not None:
                again = self._job(job.index, job.attempt + 1, job.earlier_s + job.spent_s)
                self._loop.call_later(pause_s, self._queue.put, _host_name(again), again)
                return
        await self._finish(job, response)

    def _follow_redirect(self, job: _Job, base: HttpUrl, response: Response) -> Response:
        """Sets the job's URL to the one that the response of `base` redirects to; returns the reason where it can't."""
        job.visited.add(base)
        try:
            job.url = url = resolve(base, response.location or "")
        except FetchError as error:
            return replace(response, reason=error.reason, detail=f"redirect: {error}")
        if url in job.visited:
            return replace(response, reason="redirect_loop", detail=printable(str(url)))
        if len(job.visited) > self._settings.max_redirects:
            return replace(response, reason="too_many_redirects", detail=printable(str(url)))
        return response

    async def _finish(self, job: _Job, response: Response) -> None:
        refused = isinstance(job.url, FetchError)
        fetched = Fetched(
            index=job.index,
            reason=response.reason,
            detail=response.detail,
            body=response.body if response.reason == OK else b"",
            final_url=without_credentials(self._urls[job.index] or "") if refused else str(job.url),
            http_status=response.http_status,
            content_type=response.content_type,
            attempts=job.attempt,
            seconds=job.earlier_s + job.spent_s,
            retryable=reason(response.reason).retryable,
            spooled=response.spooled,
        )
        if self._process is None:
            self._sink(fetched)
        else:
            self._sink(await self._loop.run_in_executor(self._pool, self._process, fetched))
        if response.spooled is not None:  # but not of a cancelled run, where a thread may still read it
            response.spooled.file.close()
        self._remaining -= 1
        if not self._remaining:
            self._queue.close(self._workers)


def _host_name(job: _Job) -> str:
    """Returns the host that the job is queued for; "" for all invalid URLs."""
    return job.url.host if isinstance(job.url, HttpUrl) else ""


@dataclass(slots=True)
class Host(Generic[J]):
    """A host and its pending jobs. `slots` counts the workers that have it, or are called to it."""

    name: str
    pending: deque[J] = field(default_factory=deque)
    slots: int = 0


class HostQueue(Generic[J]):
    """A queue of hosts. A worker gets a host, not a job, and keeps it while jobs are pending there.

    So its connection is in use instead of idle, there are never more open connections than workers, and a job that
    waits for a busy host occupies no worker.
    """

    def __init__(self, concurrency_per_host: int) -> None:
        self._concurrency_per_host = concurrency_per_host
        self._hosts: dict[str, Host[J]] = {}
        self._calls: asyncio.Queue[Host[J] | None] = asyncio.Queue()

    def put(self, name: str, job: J, first: bool = False) -> None:
        """Adds a job, before the others of its host if `first`, and calls a worker if the host has a free slot."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name)
        if first:
            host.pending.appendleft(job)
        else:
            host.pending.append(job)
        if host.slots < self._concurrency_per_host:
            host.slots += 1
            self._calls.put_nowait(host)

    async def acquire(self) -> Host[J] | None:
        """Waits for a host, whose jobs other workers may have done by then; None after `close`."""
        return await self._calls.get()

    def release(self, host: Host[J]) -> None:
        """Releases the slot of a worker that has no more jobs at a host."""
        host.slots -= 1
        if not host.slots and not host.pending:
            del self._hosts[host.name]

    def close(self, workers: int) -> None:
        """Makes `acquire` return None to each worker."""
        for _ in range(workers):
            self._calls.put_nowait(None)
