"""One exchange: request one URL of a checked address, and judge what comes back.

HTTP is aiohttp's, by its public client. What a crawler decides itself is not left to it: redirects are followed by the
caller, who checks each; nothing is sent twice but over a connection that had grown stale; nothing is decompressed but
within limits; no cookies and no credentials are kept.
"""

from __future__ import annotations

import asyncio
import functools
import ssl

import aiohttp
from aiohttp import hdrs
from yarl import URL

from corpus.faults import NO_ROOM
from corpus.printable import printable
from corpus.retry_after import retry_after_s
from pipelines.fetch.address import AddressPolicy
from pipelines.fetch.connection import Connector
from pipelines.fetch.dns import DnsCache, Resolver
from pipelines.fetch.proxy import Proxy, proxy_of
from pipelines.fetch.reasons import OK, http_reason
from pipelines.fetch.response import Body, FetchError, MemoryBody, Response, Spool, SpooledBody
from pipelines.fetch.robots import opt_out
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.url import HttpUrl

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_COMPLETE = frozenset({200, 203})  # 206 is a part, 204 and 205 are nothing
_READ_BYTES = 2**18
_CLOSE = {"Connection": "close"}


class Client:
    """What all exchanges of a run have in common."""

    def __init__(self, settings: FetchSettings, dns: DnsCache, spool: Spool | None = None) -> None:
        self.settings = settings
        self.policy = AddressPolicy(settings.allow)
        self.names = Resolver(settings, self.policy, dns)
        self.headers = {"User-Agent": settings.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._spool = spool

    def close(self) -> None:
        """Give up what is under way beside the exchanges."""
        self.names.close()

    def judge(self, response: aiohttp.ClientResponse) -> Response:
        """What status and headers mean; "ok" if the body is wanted."""
        status, headers = response.status, response.headers
        content_type = printable(headers.get(hdrs.CONTENT_TYPE, ""))
        if status == 101:
            raise FetchError("bad_response", "a change of protocol that nobody requested")
        if status not in _COMPLETE and status not in _REDIRECTS:
            wait_s = retry_after_s(headers.get(hdrs.RETRY_AFTER))
            return Response(http_reason(status), http_status=status, content_type=content_type, retry_after_s=wait_s)
        found = Response(OK, http_status=status, content_type=content_type)
        if self.settings.respect_opt_out and "X-Robots-Tag" in headers:
            directive = opt_out(headers.getall("X-Robots-Tag"), self.settings.agent)
            if directive is not None:
                found.reason, found.detail = "opted_out", f"X-Robots-Tag: {directive}"
                return found
        if status in _REDIRECTS:
            found.location = headers.get(hdrs.LOCATION) or None
            found.reason = "" if found.location else http_reason(status)
            return found
        length = headers.get(hdrs.CONTENT_LENGTH, "")
        if length.isdigit() and int(length) > self.settings.max_bytes:
            found.reason, found.detail = "too_large", f"{length} bytes"
        found.encoding = headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
        return found

    def body(self, encoding: str) -> Body:
        """Where the body of a response goes."""
        if self._spool is not None:
            return SpooledBody(self._spool, encoding, self.settings.max_bytes)
        return MemoryBody(encoding, self.settings.max_bytes)


class Session:
    """A worker's session: at most one open connection, kept from one exchange to the next."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._settings = settings = client.settings
        self._connector = Connector(settings, client.policy, client.names)
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
        """GET `url` once, without following redirects. `last`: nothing more is wanted from this host for now.

        Never raises for what the URL, its name servers or its server do. OSError and MemoryError where this machine
        has no room for a connection or a response; SettingsError for a proxy that can't be used.
        """
        proxy = proxy_of(url) if self._settings.trust_env else None
        try:
            with self._watchdog.limit(timeout_s):
                return await self._exchange(url, proxy, last)
        except FetchError as error:
            return Response(error.reason, str(error))
        except ValueError as error:  # of a host that TLS or a resolver doesn't take for a name
            return Response("bad_url", printable(str(error)))

    def hang_up(self) -> None:
        """Drop the connection: nothing more is wanted from its host."""
        self._connector.hang_up()

    async def close(self) -> None:
        """End the session."""
        self._watchdog.close()
        self._connector.hang_up()
        await self._http.close()

    async def _exchange(self, url: HttpUrl, proxy: Proxy | None, last: bool) -> Response:
        self._connector.aim(url, proxy.url if proxy else None)
        response = await self._send(url, proxy, last)
        try:
            found = self._client.judge(response)
            if found.reason == OK:
                await self._read(response, found)
                self._check_that_nothing_follows(response)
        except BaseException:
            response.close()
            raise
        response.release()
        if self._connector.link is not None:
            self._connector.link.end()
        return found

    async def _send(self, url: HttpUrl, proxy: Proxy | None, last: bool) -> aiohttp.ClientResponse:
        """Send the request; again only if the connection was closed for its idleness while the first was on its way."""
        # All of the target goes in as the path: a query's "?" would be lost where nothing follows it.
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
                link = self._connector.link
                if error.reason != "connection_reset" or not is_reused or link is None or not link.untouched:
                    raise

    async def _read(self, response: aiohttp.ClientResponse, found: Response) -> None:
        """Read the body, within the limits."""
        content = response.content
        if self._connector.link is not None:
            self._connector.link.read(content)
        body = self._client.body(found.encoding)
        try:
            while data := await content.readany():
                body.write(data)
            body.finish(found)
        except BaseException as error:
            body.close()
            if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                _raise_memory_error(error)
                raise FetchError("truncated", printable(str(error))) from error
            raise

    def _check_that_nothing_follows(self, response: aiohttp.ClientResponse) -> None:
        """Two responses to one request are none: nobody can tell which of them is meant.

        aiohttp takes the first one, and closes the connection where there is no other cause to.
        """
        link = self._connector.link
        if link is not None and not link.is_open and not link.ended and _is_kept_alive(response):
            raise FetchError("bad_response", "more than one response to one request")


class _Watchdog:
    """Ends an exchange that runs out of time, or whose server is silent.

    There is one timer for all exchanges of a session, and what is received doesn't set it again, but moves its next
    check. asyncio's and aiohttp's timeouts set one for each exchange and for each segment that is received, which
    costs a tenth of a download.
    """

    def __init__(self, connector: Connector, settings: FetchSettings) -> None:
        self._connector = connector
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._deadline = 0.0
        self._overdue = ""

    def limit(self, timeout_s: float) -> _Watchdog:
        """Set the time for an exchange, which a `with` block holds. FetchError("timeout") where it is over before."""
        self._deadline = self._loop.time() + timeout_s
        return self

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        assert task is not None
        self._cancelling, self._overdue = task.cancelling(), ""
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer(min(self._deadline, self._loop.time() + self._settings.read_timeout_s))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        task, self._task = self._task, None
        assert task is not None
        if self._overdue and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise FetchError("timeout", self._overdue) from error

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._task is None:
            return
        now, link = self._loop.time(), self._connector.link
        silent_at = (now if link is None else link.heard) + self._settings.read_timeout_s  # no link: it connects
        if now >= self._deadline:
            self._overdue = f"not done in {self._settings.total_timeout_s:g} s"
        elif now >= silent_at:
            self._overdue = f"silent for {self._settings.read_timeout_s:g} s"
        else:
            self._set_timer(min(self._deadline, silent_at))
            return
        self._task.cancel()


@functools.cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()  # reads all certificates: once is enough
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_kept_alive(response: aiohttp.ClientResponse) -> bool:
    """Whether the server keeps the connection after this response (RFC 9112, 9.3)."""
    options = [
        option.strip().lower()
        for name in ("Connection", "Proxy-Connection")
        for line in response.headers.getall(name, ())
        for option in line.split(",")
    ]
    if response.version is not None and response.version < aiohttp.HttpVersion11:
        return "keep-alive" in options
    return "close" not in options


def _raise_memory_error(error: BaseException) -> None:
    """Raise the MemoryError that led to an error of aiohttp's: it is no fault of the server."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise cause
        cause = cause.__cause__
