"""One exchange: ask one URL of a checked address, and judge what comes back."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl

import aiohappyeyeballs

from corpus.faults import NO_ROOM
from corpus.printable import printable
from pipelines.fetch.address import IP, AddressPolicy
from pipelines.fetch.answer import Answer, FetchError
from pipelines.fetch.connection import Connection, Headers, out_of_time
from pipelines.fetch.dns import DnsCache, Resolver
from pipelines.fetch.encoding import decoded
from pipelines.fetch.optout import opt_out
from pipelines.fetch.reasons import OK, http_reason
from pipelines.fetch.retry import retry_after_s
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.spool import Spool
from pipelines.fetch.url import HttpUrl

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE = frozenset({200, 203})  # 206 is a part, 204 and 205 are nothing
_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: the delay after which another address is tried beside the first


class Client:
    """What all exchanges of a run have in common."""

    def __init__(self, settings: FetchSettings, dns: DnsCache, spool: Spool | None = None) -> None:
        self._settings = settings
        self._spool = spool
        self._policy = AddressPolicy(settings.allow)
        self._resolver = Resolver(settings, self._policy, dns)
        self._headers = f"User-Agent: {settings.user_agent}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n".encode(
            "ascii"
        )

    def close(self) -> None:
        """Give up what is under way beside the exchanges."""
        self._resolver.close()

    def request(self, url: HttpUrl, last: bool) -> bytes:
        """A GET for the URL."""
        asked = f"GET {url.target} HTTP/1.1\r\nHost: {url.authority}\r\n".encode("ascii")
        return b"".join((asked, self._headers, b"Connection: close\r\n\r\n" if last else b"\r\n"))

    async def connect(self, url: HttpUrl) -> Connection:
        """A connection to a permitted address of the URL's host; FetchError if there is none to be had."""
        settings, host, port = self._settings, url.host, url.port
        addresses = await self._resolver.addresses(host, port)
        tls, name = (_tls(), host.rstrip(".")) if url.scheme == "https" else (None, None)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                sock = await self._reach(addresses, host, port)
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(settings, self.judge, self._spool), sock=sock, ssl=tls, server_hostname=name
                )
                return connection
        except TimeoutError as error:
            raise FetchError("connect_timeout", f"no connection in {settings.connect_timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise FetchError("tls_failed", printable(str(error))) from error
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            raise FetchError("connection_failed", printable(str(error))) from error

    async def _reach(self, addresses: list[IP], host: str, port: int) -> socket.socket:
        """A socket to one of the addresses; names are out of the game here, so it leads where the check said."""
        targets = [_as_getaddrinfo(ip, port) for ip in addresses]
        sock = await aiohappyeyeballs.start_connection(targets, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        try:
            reached = ipaddress.ip_address(sock.getpeername()[0])
            if not self._policy.check(reached, port, host):
                raise FetchError("refused_address", f"{host} turned out to be {reached}")
        except (OSError, FetchError):
            sock.close()
            raise
        return sock

    def judge(self, status: int, headers: Headers) -> Answer:
        """What status and headers say; "ok" if the body is wanted."""
        content_type = printable(headers.get("Content-Type", ""))
        if status not in _WHOLE and status not in _REDIRECTS:
            wait_s = retry_after_s(headers.get("Retry-After"))
            return Answer(http_reason(status), http_status=status, content_type=content_type, retry_after_s=wait_s)
        answer = Answer(OK, http_status=status, content_type=content_type)
        if self._settings.respect_opt_out and "X-Robots-Tag" in headers:
            directive = opt_out(headers.getall("X-Robots-Tag"), self._settings.agent)
            if directive is not None:
                answer.reason, answer.detail = "opted_out", f"X-Robots-Tag: {directive}"
                return answer
        if status in _REDIRECTS:
            answer.location = headers.get("Location") or None
            answer.reason = "" if answer.location else http_reason(status)
            return answer
        length = headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._settings.max_bytes:
            answer.reason, answer.detail = "too_large", f"{length} bytes"
        answer.encoding = headers.get("Content-Encoding", "").strip().lower()
        return answer


class Line:
    """A worker's line to a host: at most one open connection, kept from one exchange to the next."""

    def __init__(self, client: Client, settings: FetchSettings) -> None:
        self._client = client
        self._settings = settings
        self._connection: Connection | None = None
        self._leads_to: tuple[str, str, int] | None = None

    async def ask(self, url: HttpUrl, timeout_s: float, last: bool) -> Answer:
        """GET `url` once, without following redirects. `last`: nothing more is wanted from this host for now.

        Never raises for what the URL, its name servers or its server do. OSError and MemoryError where this machine
        has no room for a connection or an answer.
        """
        try:
            request = self._client.request(url, last)
            answer = await self._exchange(url, request, asyncio.get_running_loop().time() + timeout_s)
        except FetchError as error:
            return Answer(error.reason, str(error))
        except TimeoutError:
            return out_of_time(self._settings)
        except ValueError as error:  # of a host that TLS or a resolver doesn't take for a name
            return Answer("bad_url", printable(str(error)))
        return decoded(answer, self._settings.max_bytes) if answer.encoding and answer.reason == OK else answer

    async def _exchange(self, url: HttpUrl, request: bytes, deadline: float) -> Answer:
        loop = asyncio.get_running_loop()
        leads_to = (url.scheme, url.host, url.port)
        connection = self._connection
        if connection is not None and connection.open and self._leads_to == leads_to:
            answer = await connection.ask(request, deadline - loop.time())
            if answer.reason != "connection_reset" or not connection.untouched:
                return answer
            # Closed for its idleness while the request was on its way: no answer to the request.
        self.close()
        async with asyncio.timeout_at(deadline):
            connection = await self._client.connect(url)
        self._connection, self._leads_to = connection, leads_to
        return await connection.ask(request, deadline - loop.time())

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@functools.cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()  # reads all certificates: once is enough
    context.set_alpn_protocols(["http/1.1"])
    return context


def _as_getaddrinfo(ip: IP, port: int) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    if ip.version == 6:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(ip), port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(ip), port))
