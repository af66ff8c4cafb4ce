"""Connections to web servers: made by aiohttp, to permitted addresses only, and watched for what nobody requested.

The address policy holds at three points: where a name is resolved, where a socket is created for an address, and on
the peer that the socket turned out to have. DNS cannot change in between, for aiohttp is given the checked addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from corpus.faults import NO_ROOM
from corpus.printable import printable
from pipelines.fetch.address import IP, AddressPolicy
from pipelines.fetch.dns import Resolver
from pipelines.fetch.response import FetchError
from pipelines.fetch.settings import FetchSettings
from pipelines.fetch.url import HttpUrl

_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: the delay after which another address is tried beside the first


class Link(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol, for what aiohttp does otherwise.

    Its pool hands a connection on without a look at what came over it meanwhile, which would be taken for the response
    to the next request: a connection that speaks while it is idle is closed here. And whoever reads a body waits for
    more of it when what comes next is not valid HTTP: here the body ends with an error.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._body: aiohttp.StreamReader | None = None
        self._idle = False
        self._time = asyncio.get_running_loop().time
        self.heard = 0.0  # the loop's time when something was received, or a request sent
        self.untouched = True  # nothing was received since the last request
        self.ended = False  # by the server, or the network

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return not self._transport.is_closing()

    def begin(self) -> None:
        """A request is about to be sent."""
        self._idle, self.untouched, self._body = False, True, None
        self.heard = self._time()

    def read(self, body: aiohttp.StreamReader) -> None:
        """A response has come, and this is its body."""
        self._body = body
        self._fail_if_closed()

    def end(self) -> None:
        """The response was read; nothing more is expected."""
        self._idle, self._body = True, None

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self.abort()
            return
        self.untouched = False
        self.heard = self._time()
        self._protocol.data_received(data)
        if self._body is not None:
            self._fail_if_closed()

    def eof_received(self) -> bool | None:
        self.ended = True
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._body is not None and not self._body.is_eof():
            # aiohttp takes a reset for the end of a body that has no length.
            self._body.set_exception(aiohttp.ClientPayloadError(str(exc)))
        if self._body is None and not self._idle:
            # For an error of its own, aiohttp would send the request a second time, whatever became of the first.
            exc = FetchError("connection_reset", printable(str(exc or "closed by the server")))
        self.ended = True
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def _fail_if_closed(self) -> None:
        """aiohttp closes the transport where it can't make sense of what came, and says so to nobody."""
        body = self._body
        if body is not None and self._transport.is_closing() and not body.is_eof() and body.exception() is None:
            body.set_exception(FetchError("bad_response", "the body is not valid HTTP"))


class Connector(aiohttp.TCPConnector):
    """Connections of one worker: at most one is open, and kept from one exchange to the next."""

    def __init__(self, settings: FetchSettings, policy: AddressPolicy, names: Resolver) -> None:
        self._addresses = _CheckedAddresses()
        super().__init__(
            resolver=self._addresses,
            use_dns_cache=False,
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
            socket_factory=self._create_socket,
        )
        self._timeout_s = settings.connect_timeout_s
        self._policy = policy
        self._names = names
        self._url: HttpUrl | None = None
        self._proxy: HttpUrl | None = None
        self._leads_to: tuple[str, str, int, HttpUrl | None] | None = None
        self._no_room: OSError | None = None
        self.link: Link | None = None

    def aim(self, url: HttpUrl, proxy: HttpUrl | None) -> None:
        """Say what the next request is for; a connection that leads elsewhere is dropped."""
        self._url, self._proxy = url, proxy
        if self._leads_to != (url.scheme, url.host, url.port, proxy):
            self.hang_up()

    @property
    def is_connected(self) -> bool:
        """Whether the next request goes over a connection that earlier ones were sent over."""
        return self.link is not None and self.link.is_open

    def hang_up(self) -> None:
        """Drop the connection, if there is one."""
        if self.link is not None:
            self.link.abort()
            self.link = None

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        """aiohttp's connection for a request; FetchError if there is none to be had.

        OSError where this machine has no room for one.
        """
        url, proxy = self._url, self._proxy
        assert url is not None
        if not self.is_connected:
            self.hang_up()
            self._addresses.set(await self._permitted(url, proxy))
            connection = await self._within_deadline(req, traces, timeout)
        else:
            connection = await super().connect(req, traces, timeout)
        transport = connection.transport
        if self.link is None or transport.get_protocol() is not self.link:
            self.hang_up()
            if proxy is None:
                peer = ipaddress.ip_address(transport.get_extra_info("peername")[0])
                if not self._policy.check(peer, url.port, url.host):
                    connection.close()
                    raise FetchError("refused_address", f"{url.host} turned out to be {peer}")
            self.link = Link(transport, transport.get_protocol())
            transport.set_protocol(self.link)
            self._leads_to = (url.scheme, url.host, url.port, proxy)
        self.link.begin()
        return connection

    async def _permitted(self, url: HttpUrl, proxy: HttpUrl | None) -> list[IP]:
        """The addresses to connect to. Behind a proxy they are the proxy's, which the user chose; the host's own are
        checked where they can be found, and the proxy may look up what can't."""
        if proxy is None:
            return await self._names.addresses(url.host, url.port)
        try:
            await self._names.addresses(url.host, url.port)
        except FetchError as error:
            if error.reason == "refused_address":
                raise
        return await self._names.unchecked_addresses(proxy.host)

    async def _within_deadline(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        self._no_room = None
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
            if self._no_room is not None:  # the error of one address of several hides it
                raise self._no_room from error
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise OSError(*error.args) from error
            raise FetchError("connection_failed", printable(str(error.__cause__ or error))) from error

    def _create_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, (host, *_) = address
        url = self._url
        assert url is not None
        if self._proxy is None and not self._policy.check(ipaddress.ip_address(host), url.port, url.host):
            raise FetchError("refused_address", f"{url.host} is {host}: neither public nor allowed")
        try:
            return socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno in NO_ROOM:
                self._no_room = error
            raise


class _CheckedAddresses(AbstractResolver):
    """Gives aiohttp the addresses that were found and checked for a connection."""

    def __init__(self) -> None:
        self._addresses: list[IP] = []

    def set(self, addresses: list[IP]) -> None:
        """What the next connection goes to."""
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
        """Nothing is held."""
