"""Readers of the web: URLs and redirects, answers of servers, single headers."""

from __future__ import annotations

import gzip
import socket
import threading
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.printable import printable
from corpus.retry_after import retry_after_s
from corpus.urls import published_url, urls_without_credentials, without_credentials
from pipelines.fetch import FetchSettings, Spool, fetch
from pipelines.fetch.headers import OPT_OUTS, opt_out
from pipelines.fetch.response import FetchError
from pipelines.fetch.url import parse_url, resolve

from ..formats import TEXT
from ..target import Reader, Target, Unexpected

_TIMES = {
    "total_timeout_s": 3.0,
    "connect_timeout_s": 1.0,
    "read_timeout_s": 2.0,
    "dns_timeout_s": 1.0,
    "max_attempts": 1,
}


def _no_network() -> None:
    """From now on no name has an address, and nothing outside this machine is reached: nobody is disturbed."""
    connect = BaseSelectorEventLoop.sock_connect

    async def local_only(loop: Any, sock: socket.socket, address: Any) -> None:
        if address[0] not in ("127.0.0.1", "::1"):
            raise OSError("no network here")
        await connect(loop, sock, address)

    def no_names(host: object, *_: object, **__: object) -> list:
        raise socket.gaierror(socket.EAI_NONAME, "no names here")

    BaseSelectorEventLoop.sock_connect = local_only  # type: ignore[method-assign]
    socket.getaddrinfo = no_names


class _Server:
    """A web server on this machine that answers every request with the same bytes, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                try:
                    connection.recv(1 << 16)
                    connection.sendall(self.answer)
                except OSError:  # the fetcher has heard enough
                    continue


def _fetched(urls: list[str], settings: FetchSettings, spool: Spool | None = None) -> list[str]:
    """Why each of the URLs ended."""
    ends: list[str] = []

    def sink(found: object) -> None:
        ends.append(found.reason)  # type: ignore[attr-defined]

    fetch(urls, settings, sink, spool=spool)
    if len(ends) != len(urls):
        raise Unexpected(f"{len(ends)} results for {len(urls)} URLs")
    return ends


_URLS = [
    b"http://example.com/a%20b/%E9.jpg?x=%2F&y=a+b#c\nhttps://user:pw@example.com:8443/a?X-Amz-Signature=ab%2Bcd",
    "http://bücher.example/é ü.jpg?q=日本\n//example.com/a\nhttp:/example.com\nHTTP://EXAMPLE.COM./..//a".encode(),
    b"http://[::1]:80/a\nhttp://[fe80::1%25eth0]/\nhttp://127.0.0.1/\nhttp://0x7f.1/\nhttp://10.0.0.1:99999/",
    b"ftp://example.com/a\ndata:image/png;base64,AAAA\nfile:///etc/passwd\njavascript:alert(1)\n\nhttp://",
    b" http://xn--nxasmq6b.example/\xff%zz%\nhttp://a_b.example\nhttp://-a.example\nhttp://a..example\thttp://b",
]


def _url(folder: Path) -> Reader:
    """Each line a URL, the next one a redirect from it."""

    def read(data: bytes) -> object:
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        return [_asked(line, following) for line, following in zip(lines, [*lines[1:], "../x"], strict=True)]

    return Reader(read, _URLS, (), TEXT)


def _asked(text: str, location: str) -> str:
    """What is asked for at last. Of a URL that can be asked for, the parts are ASCII, and make the same URL again."""
    try:
        url = parse_url(text)
        if str(parse_url(str(url))) != str(url):
            raise Unexpected(f"{url} is {parse_url(str(url))}")
        following = str(resolve(url, location))
    except FetchError as error:
        return error.reason
    if not following.isascii() or not following.isprintable():
        raise Unexpected(f"{following!r} is no URL")
    return following


def _written_urls(folder: Path) -> Reader:
    """A cell of a table: what of a URL is stored, published, and shown."""

    def read(data: bytes) -> object:
        text = data.decode("utf-8", "replace")
        stored, _ = urls_without_credentials(pa.array([text, None, text], pa.string()))
        if not printable(text).isprintable():
            raise Unexpected(f"{printable(text)!r} is not printable")
        return stored, published_url(stored[0].as_py()), without_credentials(text)

    return Reader(read, [seed.split(b"\n")[0] for seed in _URLS], (), TEXT)


def _urls(folder: Path) -> Reader:
    """Each line a URL of one run of the fetcher. None of them is reached."""
    _no_network()
    settings = FetchSettings(**_TIMES)

    def read(data: bytes) -> object:
        return _fetched(data.decode("utf-8", "surrogateescape").split("\n"), settings)

    return Reader(read, _URLS, (), TEXT)


def _answers(spooled: bool) -> Callable[[Path], Reader]:
    """What a server sends: status line, headers, body, chunked and compressed, and redirects."""

    def open_reader(folder: Path) -> Reader:
        _no_network()
        server = _Server()
        host = f"127.0.0.1:{server.port}"
        settings = FetchSettings(**_TIMES, private_allowlist=(host,), max_bytes=1 << 20, max_redirects=3)
        spool = Spool(threshold_bytes=64, folder=str(folder)) if spooled else None

        def read(data: bytes) -> object:
            server.answer = data
            return _fetched([f"http://{host}/a.jpg"], settings, spool)

        return Reader(read, _answer_seeds(), (), TEXT)

    return open_reader


def _answer_seeds() -> list[bytes]:
    body = b"\xff\xd8" + bytes(range(256)) + b"\xff\xd9"
    packed, bomb = gzip.compress(body, mtime=0), gzip.compress(bytes(8 << 20), mtime=0)
    length = b"Content-Length: %d\r\n"
    return [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n" + length % len(body) + b"\r\n" + body,
        b"HTTP/1.0 200 OK\r\n\r\n" + body,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\xff\xd8ab\r\n3;x=y\r\ncde\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length % len(packed) + b"\r\n" + packed,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length % len(bomb) + b"\r\n" + bomb,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /other?a=%2F\xe9#x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1]@example.com:80/a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 T\r\nLocation: //b\xfccher.example/\xe9 \xe2\x80\xae/../x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Robots-Tag: otherbot: noindex, nofollow\r\nX-Robots-Tag: noai\r\n\r\nabc",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ]


def _robots(folder: Path) -> Reader:
    seeds = [
        b"noindex, nofollow",
        b"otherbot: noai\nunavailable_after: 25 Jun 2010 15:00:00 PST",
        b"rzen-corpus:none, all",
    ]

    def read(data: bytes) -> object:
        found = opt_out(data.decode("latin-1").split("\n"), "rzen-corpus")
        if found is not None and found not in OPT_OUTS:
            raise Unexpected(f"{found!r} is no directive")
        return found

    return Reader(read, seeds, (), TEXT)


def _retry_after(folder: Path) -> Reader:
    seeds = [b"120", b"1.5", b"..", b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wed, 21 Oct 2015 07:28:00 +9999", b"-1", b"1e9"]

    def read(data: bytes) -> object:
        seconds = retry_after_s(data.decode("latin-1"))
        if seconds is not None and not 0 <= seconds < 1e13:
            raise Unexpected(f"{seconds} s")
        return seconds

    return Reader(read, seeds, (), TEXT)


TARGETS = (
    Target("web.url", 80_000, _url),
    Target("web.written_urls", 30_000, _written_urls),
    Target("web.urls_fetched", 10_000, _urls),
    Target("web.answers", 25_000, _answers(spooled=False)),
    Target("web.answers_spooled", 10_000, _answers(spooled=True)),
    Target("web.robots_tag", 50_000, _robots),
    Target("web.retry_after", 30_000, _retry_after),
)
