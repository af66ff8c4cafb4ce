"""The HTTP client of the fetcher: it requests one URL at a permitted address, and returns the response or the reason.

HTTP is aiohttp's, through its public client, except for what a crawler must decide itself: the caller follows
redirects, and checks each; a request is repeated only where a reused connection had been closed for idleness; bodies
are decompressed within limits; no cookies and no credentials are kept.
"""

from __future__ import annotations

import asyncio
import functools
import ssl

import aiohttp
from yarl import URL

from corpus.faults import NO_ROOM
from corpus.printable import printable
from pipelines.fetch.address import AddressPolicy
from pipelines.fetch.connection import Connector, Proxy, proxy_of
from pipelines.fetch.dns import DnsCache, Resolver
from pipelines.fetch.headers import classify, is_kept_alive
from pipelines.fetch.reasons import OK
from pipelines.fetch.response import Body, FetchError, MemoryBody, Response, Spool, SpooledBody
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.url import HttpUrl

_READ_BYTES = 2**18
_CLOSE = {"Connection": "close"}


class Client:
    """The state that the sessions of a run share: settings, address policy, name resolver and spool."""

    def __init__(self, settings: FetchSettings, dns: DnsCache, spool: Spool | None = None) -> None:
        self.settings = settings
        self.policy = AddressPolicy(settings.private_allowlist)
        self.resolver = Resolver(settings, self.policy, dns)
        self.headers = {"User-Agent": settings.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._spool = spool

    def close(self) -> None:
        """Cancels the name lookups that are running."""
        self.resolver.close()

    def open_session(self) -> Session:
        """Opens the session of a worker."""
        return Session(self)

    def body(self, encoding: str) -> Body:
        """Returns where the body of a response is written to: memory, or the spool."""
        if self._spool is not None:
            return SpooledBody(self._spool, encoding, self.settings.max_bytes)
        return MemoryBody(encoding, self.settings.max_bytes)


class Session:
    """A worker's session: at most one open connection, which is reused while requests go to the same host."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._settings = settings = client.settings
        self._connector = Connector(settings, client.policy, client.resolver)
        self._watchdog = _Watchdog(self._connector, settings)
        self._http = aiohttp.ClientSession(
            connector=self._connector,
            headers=client.headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
        )

    async def get(self, url: HttpUrl, timeout_s: float, last: bool) -> Response:
        """Requests `url` once, without following redirects. `last`: the host has no further jobs for now.

        Raises nothing for faults of the URL, its name servers or its server. Raises OSError and MemoryError where this
        machine is out of resources, and SettingsError for a proxy that can't be used.
        """
        proxy = proxy_of(url) if self._settings.trust_env else None
        try:
            with self._watchdog.limit(timeout_s):
                return await self._exchange(url, proxy, last)
        except FetchError as error:
            return Response(error.reason, str(error))
        except ValueError as error:  # of a host that TLS or a resolver doesn't take for a name
            return Response("bad_url", printable(str(error)))

    def disconnect(self) -> None:
        """Drops the connection: its host has no further jobs."""
        self._connector.disconnect()

    async def close(self) -> None:
        """Ends the session."""
        self._watchdog.close()
        self._connector.disconnect()
        await self._http.close()

    async def _exchange(self, url: HttpUrl, proxy: Proxy | None, last: bool) -> Response:
        self._connector.set_target(url, proxy.url if proxy else None)
        response = await self._send(url, proxy, last)
        try:
            result = classify(response, self._settings)
            if result.reason == OK:
                await self._read(response, result)
                self._check_that_nothing_follows(response)
        except BaseException:
            response.close()
            raise
        response.release()
        if self._connector.guard is not None:
            self._connector.guard.response_finished()
        return result

    async def _send(self, url: HttpUrl, proxy: Proxy | None, last: bool) -> aiohttp.ClientResponse:
        """Sends the request; once more only where a reused connection was closed for idleness in the meantime."""
        # The whole target is the path: yarl drops the "?" of an empty query.
        host = f"[{url.host}]" if ":" in url.host else url.host
        target = URL.build(scheme=url.scheme, host=host, port=url.port, path=url.target, encoded=True)
        while True:
            is_reused = self._connector.is_connected
            try:
                return await self._http.get(
                    target,
                    headers=_CLOSE if last else None,
                    allow_redirects=False,
                    proxy=proxy.full_url if proxy else None,
                    ssl=_tls() if url.scheme == "https" else True,
                )
            except aiohttp.ClientResponseError as error:
                _raise_memory_error(error)
                raise FetchError("bad_response", printable(error.message)) from error
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                raise FetchError("connection_reset", printable(str(error))) from error
            except FetchError as error:
                guard = self._connector.guard
                if error.reason != "connection_reset" or not is_reused or guard is None or not guard.unanswered:
                    raise

    async def _read(self, response: aiohttp.ClientResponse, result: Response) -> None:
        """Reads the body, within the limits."""
        content = response.content
        if self._connector.guard is not None:
            self._connector.guard.body_started(content)
        body = self._client.body(result.encoding)
        try:
            while data := await content.readany():
                body.write(data)
            body.finish(result)
        except BaseException as error:
            body.close()
            if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                _raise_memory_error(error)
                raise FetchError("truncated", printable(str(error))) from error
            raise

    def _check_that_nothing_follows(self, response: aiohttp.ClientResponse) -> None:
        """Raises FetchError where a second response followed the first: neither can be trusted.

        aiohttp takes the first, and closes the connection, which it has no other cause to do.
        """
        guard = self._connector.guard
        if guard is not None and not guard.is_open and not guard.closed_by_peer and is_kept_alive(response):
            raise FetchError("bad_response", "more than one response to one request")


class _Watchdog:
    """The watchdog cancels an exchange that exceeds its deadline, or whose server is silent.

    A session has one timer for all its exchanges; received data does not set it anew, but moves its next check.
    asyncio's and aiohttp's timeouts set a timer for each exchange and for each segment, which costs a tenth of the
    processor time of a download.
    """

    def __init__(self, connector: Connector, settings: FetchSettings) -> None:
        self._connector = connector
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._deadline = 0.0
        self._timeout_reason = ""

    def limit(self, timeout_s: float) -> _Watchdog:
        """Limits the exchange in the `with` block that follows: FetchError("timeout") after `timeout_s`."""
        self._deadline = self._loop.time() + timeout_s
        return self

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        assert task is not None
        self._cancelling, self._timeout_reason = task.cancelling(), ""
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer(min(self._deadline, self._loop.time() + self._settings.read_timeout_s))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        task, self._task = self._task, None
        assert task is not None
        if self._timeout_reason and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise FetchError("timeout", self._timeout_reason) from error

    def close(self) -> None:
        """Cancels the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._task is None:
            return
        now, guard = self._loop.time(), self._connector.guard
        silent_at = (now if guard is None else guard.last_activity) + self._settings.read_timeout_s  # None: connecting
        if now >= self._deadline:
            self._timeout_reason = f"not finished in {self._settings.total_timeout_s:g} s"
        elif now >= silent_at:
            self._timeout_reason = f"silent for {self._settings.read_timeout_s:g} s"
        else:
            self._set_timer(min(self._deadline, silent_at))
            return
        self._task.cancel()


@functools.cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()  # reads all certificates, so it is cached
    context.set_alpn_protocols(["http/1.1"])
    return context


def _raise_memory_error(error: BaseException) -> None:
    """Raises the MemoryError that caused an error of aiohttp's: the server is not at fault."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise cause
        cause = cause.__cause__
