"""Connections to web servers, directly or through a proxy: aiohttp opens them, to permitted addresses only.

The address policy is applied at three points: where a name is resolved, where a socket is created for an address, and
to the peer of the connected socket. DNS cannot change in between, because aiohttp gets the checked addresses.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from corpus.faults import NO_ROOM
from corpus.printable import printable
from corpus.settings import SettingsError
from pipelines.fetch.address import IP, AddressPolicy
from pipelines.fetch.dns import Resolver
from pipelines.fetch.response import FetchError
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.url import HttpUrl, parse_url

_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: the delay after which a second address is tried in parallel


class ProtocolGuard(asyncio.Protocol):
    """The protocol between a transport and aiohttp's protocol. It closes two gaps of aiohttp's.

    aiohttp's pool reuses a connection over which data came while it was idle, and would take that data for the response
    to the next request: here such a connection is closed. And a reader of a body waits forever where the data that
    follows is not valid HTTP: here the body ends with an error.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._body: aiohttp.StreamReader | None = None
        self._idle = False
        self._time = asyncio.get_running_loop().time
        self.last_activity = 0.0  # the loop's time when something was received, or a request sent
        self.unanswered = True  # nothing was received since the last request
        self.closed_by_peer = False  # by the server, or the network

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return not self._transport.is_closing()

    def request_started(self) -> None:
        """Prepares for a request that is about to be sent."""
        self._idle, self.unanswered, self._body = False, True, None
        self.last_activity = self._time()

    def body_started(self, body: aiohttp.StreamReader) -> None:
        """Guards the body of the response, whose head was received."""
        self._body = body
        self._fail_if_closed()

    def response_finished(self) -> None:
        """Marks the connection as idle: the response was read."""
        self._idle, self._body = True, None

    def abort(self) -> None:
        """Drops the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self.abort()
            return
        self.unanswered = False
        self.last_activity = self._time()
        self._protocol.data_received(data)
        if self._body is not None:
            self._fail_if_closed()

    def eof_received(self) -> bool | None:
        self.closed_by_peer = True
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._body is not None and not self._body.is_eof():
            # aiohttp takes a reset for the end of a body that has no length.
            self._body.set_exception(aiohttp.ClientPayloadError(str(exc)))
        if self._body is None and not self._idle:
            # For an error of its own, aiohttp would send the request a second time, whatever became of the first.
            exc = FetchError("connection_reset", printable(str(exc or "closed by the server")))
        self.closed_by_peer = True
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def _fail_if_closed(self) -> None:
        """Fails the body where aiohttp closed the transport for invalid HTTP, which it does not report."""
        body = self._body
        if body is not None and self._transport.is_closing() and not body.is_eof() and body.exception() is None:
            body.set_exception(FetchError("bad_response", "the body is not valid HTTP"))


class Connector(aiohttp.TCPConnector):
    """The connector of one worker: at most one connection is open, and reused while requests go to the same host."""

    def __init__(self, settings: FetchSettings, policy: AddressPolicy, resolver: Resolver) -> None:
        self._addresses = _CheckedAddresses()
        super().__init__(
            resolver=self._addresses,
            use_dns_cache=False,
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
            socket_factory=self._create_socket,
        )
        self._timeout_s = settings.connect_timeout_s
        self._policy = policy
        self._name_resolver = resolver
        self._url: HttpUrl | None = None
        self._proxy: HttpUrl | None = None
        self._endpoint: tuple[str, str, int, HttpUrl | None] | None = None
        self._resource_error: OSError | None = None
        self.guard: ProtocolGuard | None = None

    def set_target(self, url: HttpUrl, proxy: HttpUrl | None) -> None:
        """Sets the target of the next request; drops a connection to another one."""
        self._url, self._proxy = url, proxy
        if self._endpoint != (url.scheme, url.host, url.port, proxy):
            self.disconnect()

    @property
    def is_connected(self) -> bool:
        """Whether the next request reuses a connection."""
        return self.guard is not None and self.guard.is_open

    def disconnect(self) -> None:
        """Drops the connection, if there is one."""
        if self.guard is not None:
            self.guard.abort()
            self.guard = None

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        """Returns aiohttp's connection for a request. Raises FetchError where none can be opened.

        Raises OSError where this machine is out of sockets or memory.
        """
        url, proxy = self._url, self._proxy
        assert url is not None
        if not self.is_connected:
            self.disconnect()
            self._addresses.set(await self._permitted(url, proxy))
            connection = await self._within_deadline(req, traces, timeout)
        else:
            connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        if self.guard is None or transport.get_protocol() is not self.guard:
            self.disconnect()
            if proxy is None:
                peer = ipaddress.ip_address(transport.get_extra_info("peername")[0])
                if not self._policy.check(peer, url.port, url.host):
                    connection.close()
                    raise FetchError("private_address", f"{url.host} is connected to {peer}")
            self.guard = ProtocolGuard(transport, transport.get_protocol())
            transport.set_protocol(self.guard)
            self._endpoint = (url.scheme, url.host, url.port, proxy)
        self.guard.request_started()
        return connection

    async def _permitted(self, url: HttpUrl, proxy: HttpUrl | None) -> list[IP]:
        """Returns the addresses to connect to.

        With a proxy they are the proxy's, which the user chose; those of the host are checked where it can be resolved
        here, and else the proxy resolves it.
        """
        if proxy is None:
            return await self._name_resolver.addresses(url.host, url.port)
        try:
            await self._name_resolver.addresses(url.host, url.port)
        except FetchError as error:
            if error.reason == "private_address":
                raise
        return await self._name_resolver.unchecked_addresses(proxy.host)

    async def _within_deadline(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        self._resource_error = None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await super().connect(req, traces, timeout)
        except TimeoutError as error:
            raise FetchError("connect_timeout", f"no connection in {self._timeout_s:g} s") from error
        except aiohttp.ClientHttpProxyError as error:
            raise FetchError("connection_failed", f"the proxy answered {error.status}") from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise FetchError("tls_failed", printable(str(error.__cause__ or error))) from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            if self._resource_error is not None:  # aiohttp reports the error of another of several addresses
                raise self._resource_error from error
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise OSError(*error.args) from error
            raise FetchError("connection_failed", printable(str(error.__cause__ or error))) from error

    def _create_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, (host, *_) = address
        url = self._url
        assert url is not None
        if self._proxy is None and not self._policy.check(ipaddress.ip_address(host), url.port, url.host):
            raise FetchError("private_address", f"{url.host} is {host}: neither public nor allowed")
        try:
            return socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno in NO_ROOM:
                self._resource_error = error
            raise


class _CheckedAddresses(AbstractResolver):
    """The resolver that returns the checked addresses of a connection to aiohttp."""

    def __init__(self) -> None:
        self._addresses: list[IP] = []

    def set(self, addresses: list[IP]) -> None:
        """Sets the addresses of the next connection."""
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(ip),
                port=port,
                family=socket.AF_INET6 if ip.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in self._addresses
        ]

    async def close(self) -> None:
        """Does nothing: no resources are held."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: `url` has no credentials, `full_url` has them."""

    url: HttpUrl
    full_url: URL


def proxy_of(url: HttpUrl) -> Proxy | None:
    """Returns the proxy that the environment names for a URL; None for a direct connection.

    It is that of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, in either case, unless NO_PROXY excludes the host. Raises
    SettingsError for one that can't be used.
    """
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or proxy_bypass(url.host):
        return None
    return _parse_proxy(address)


@functools.lru_cache(16)
def _parse_proxy(text: str) -> Proxy:
    text = text if "://" in text else f"http://{text}"
    try:
        return Proxy(parse_url(text), URL(text))
    except (FetchError, ValueError) as error:
        scheme, _, rest = text.partition("://")
        address = f"{scheme}://{rest.rpartition('@')[2]}"  # without credentials
        raise SettingsError(f"the environment's proxy {address}: {error}; http:// and https:// proxies work") from None
