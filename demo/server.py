"""The demo's web server: HTTP on the loopback interface, with the files of a world, and faults that the URL selects.

    /images/NAME                  the file FOLDER/www/NAME, unchanged
    /BEHAVIOUR[/ARGUMENT...]/NAME what the function of that name below does, most of them to the same file
    /-/requests, /-/reset         the number of requests for each path, as JSON; resets the counts

A path that recovers does so by its count, and fails again after a reset. A second port, "inside", stands for an
internal service: a redirect to it works, so a fetcher that follows it is counted, as `inside:PATH`.

Only the standard library is imported, so that the server starts in a fraction of a second, also as a script.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import signal
import socket
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote
from urllib.request import urlopen

_TIMEOUT_S = 30.0
MAX_REQUEST_BYTES = 64 * 1024
# What ends a conversation. The cancellation when the server stops is one: Python 3.11 would print it as an error.
DISCONNECTS = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
HTML = b"<!doctype html><html><head><title>Gone</title></head><body><h1>This image has moved</h1></body></html>"
ELSEWHERE = {"private": "http://10.0.0.1/secret.jpg", "metadata": "http://169.254.169.254/latest/meta-data/"}
ELSEWHERE["file"] = "file:///etc/passwd"
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".svg": "image/svg+xml"}
SIGNED_PATH = "/signed/as%20written%2C%7E%28so%29/"  # in escapes that a client might think it may undo
SIGNED_QUERY = "?X-Amz-Credential=demo%2F20260101%2Fs3&note=%7e%3D+%41/:"
REASON_PHRASES = {200: "OK", 302: "Found", 403: "Forbidden", 404: "Not Found", 410: "Gone", 429: "Too Many Requests"}
REASON_PHRASES |= {500: "Internal Server Error", 503: "Service Unavailable"}


def with_signature(target: str) -> str:
    """Appends a signature over all characters of a request's target (path and query), as object stores do."""
    return f"{target}&X-Amz-Signature={hmac.digest(b'demo', target.encode(), 'sha256').hex()}"


@dataclass(frozen=True)
class RunningServer:
    """A running server."""

    base_url: str
    inside_url: str

    def requests(self) -> dict[str, int]:
        """Returns the number of requests for each path (percent-decoded) since the start or the last reset."""
        with urlopen(f"{self.base_url}/-/requests", timeout=_TIMEOUT_S) as response:
            return json.load(response)

    def reset(self) -> None:
        """Resets all counts: paths that recovered fail again."""
        with urlopen(f"{self.base_url}/-/reset", timeout=_TIMEOUT_S) as response:
            response.read()


@contextlib.contextmanager
def serve(folder: str | Path, port: int = 0) -> Iterator[RunningServer]:
    """Serves a world's folder from a process of its own for as long as the block runs. Port 0 takes a free one.

    The folder may be filled later. The process ends with the block, and also when this process is killed.
    Raises OSError if the port cannot be had.
    """
    from corpus.processes import ChildProcess  # here: the server itself needs none of the project

    with ChildProcess([__file__, str(folder), "--port", str(port)], stdout=subprocess.PIPE) as process:
        line = process.output.readline()
        if not line:
            raise OSError(f"the demo's server did not start on port {port} (exit code {process.wait()})")
        yield RunningServer(**json.loads(line))


@dataclass
class Exchange:
    """A request and the connection of the response. Behaviours return whether the connection may be kept."""

    folder: Path
    target: str  # as the request line has it
    count: int  # of requests for this path so far, this one included
    inside_url: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, body: bytes, status: int = 200, kind: str = "text/plain", **headers: str) -> bool:
        self.head(status, content_type=kind, content_length=str(len(body)), **headers)
        self.writer.write(body)
        await self.writer.drain()
        return True

    def head(self, status: int = 200, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} {REASON_PHRASES.get(status, 'Status')}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def file(self, name: str, kind: str = "", **headers: str) -> bool:
        body = self.read(name)
        if body is None:
            return await self.send(b"no such file", 404)
        kind = kind or TYPES.get(Path(name).suffix, "application/octet-stream")
        return await self.send(body, 200, kind, **headers)

    def read(self, name: str) -> bytes | None:
        if ".." in name.split("/"):
            return None
        try:
            return (self.folder / "www" / name).read_bytes()
        except OSError:
            return None


async def images(exchange: Exchange, name: str) -> bool:
    return await exchange.file(name)


async def status(exchange: Exchange, code: str, name: str) -> bool:
    """Sends an error. 429 has a Retry-After of a second."""
    if code == "429":
        return await exchange.send(b"no", 429, retry_after="1")
    return await exchange.send(b"no", int(code))


async def recovers(exchange: Exchange, code: str, times: str, name: str) -> bool:
    """Sends an error to the first `times` requests, with Retry-After; then the file."""
    if exchange.count <= int(times):
        return await exchange.send(b"not now", int(code), retry_after="1")
    return await exchange.file(name)


async def redirect(exchange: Exchange, name: str) -> bool:
    return await exchange.send(b"", 302, location=f"/images/{name}")


async def redirect_signed(exchange: Exchange, name: str) -> bool:
    return await exchange.send(b"", 302, location=with_signature(SIGNED_PATH + quote(name) + SIGNED_QUERY))


async def signed(exchange: Exchange, folder: str, name: str) -> bool:
    """Sends the file, if the target is exactly the one that was signed."""
    if exchange.target != with_signature(exchange.target.rpartition("&X-Amz-Signature=")[0]):
        return await exchange.send(b"the signature is of another request", 403)
    return await exchange.file(name)


async def loop(exchange: Exchange, side: str, name: str) -> bool:
    return await exchange.send(b"", 302, location=f"/loop/{'b' if side == 'a' else 'a'}/{name}")


async def elsewhere(exchange: Exchange, where: str, name: str) -> bool:
    """Redirects to an address that no fetcher may request."""
    target = f"{exchange.inside_url}/{name}" if where == "inside" else ELSEWHERE[where]
    return await exchange.send(b"", 302, location=target)


async def stall(exchange: Exchange, name: str) -> bool:
    """Sends nothing."""
    await exchange.reader.read()  # ends when the other side gives up
    return False


async def drip(exchange: Exchange, name: str) -> bool:
    """Sends one byte a second."""
    body = exchange.read(name) or b""
    exchange.head(content_type="image/jpeg", content_length=str(len(body)))
    for at in range(len(body)):
        exchange.writer.write(body[at : at + 1])
        await exchange.writer.drain()
        await asyncio.sleep(1)
    return True


async def endless(exchange: Exchange, name: str) -> bool:
    """Sends a body without a length that begins with the file and never ends."""
    exchange.head(content_type="image/jpeg", connection="close")
    exchange.writer.write(exchange.read(name) or b"")
    return await _send_forever(exchange, bytes(64 * 1024))


async def declared_huge(exchange: Exchange, name: str) -> bool:
    """Announces a body of 50 GB."""
    exchange.head(content_type="image/jpeg", content_length=str(50 * 10**9))
    return await _send_forever(exchange, bytes(64 * 1024))


async def gzip_bomb(exchange: Exchange, name: str) -> bool:
    """Sends a megabyte that decompresses to a gigabyte of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the packer has no memory, so this block may follow itself. The checksum at the end would be
    # that of two megabytes, but nobody should get that far.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return await exchange.send(head + 1023 * block + packer.flush(), 200, "image/jpeg", content_encoding="gzip")


async def short(exchange: Exchange, name: str) -> bool:
    """Sends half of the announced body, then closes the connection."""
    body = exchange.read(name) or b""
    exchange.head(content_type="image/jpeg", content_length=str(len(body)))
    exchange.writer.write(body[: len(body) // 2])
    await exchange.writer.drain()
    return False


async def reset(exchange: Exchange, when: str, name: str) -> bool:
    """Resets the TCP connection, `first` thing or `midway` through the body."""
    if when == "midway":
        body = exchange.read(name) or b""
        exchange.head(content_type="image/jpeg", content_length=str(len(body)))
        exchange.writer.write(body[: len(body) // 2])
        await exchange.writer.drain()
    linger_for_no_time = struct.pack("ii", 1, 0)
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
    exchange.writer.transport.abort()
    return False


async def html(exchange: Exchange, name: str) -> bool:
    """Sends a web page with the content type of a JPEG."""
    return await exchange.send(HTML, kind="image/jpeg")


async def empty(exchange: Exchange, name: str) -> bool:
    return await exchange.send(b"", kind="image/jpeg")


async def unlabelled(exchange: Exchange, name: str) -> bool:
    """Sends the file with a generic content type."""
    return await exchange.file(name, kind="application/octet-stream")


async def robots(exchange: Exchange, directive: str, name: str) -> bool:
    """Sends the file with this X-Robots-Tag."""
    return await exchange.file(name, x_robots_tag=directive)


async def unsized(exchange: Exchange, name: str) -> bool:
    """Sends the file without its length: it ends with the connection, as in HTTP/1.0."""
    exchange.head(content_type="image/jpeg", connection="close")
    exchange.writer.write(exchange.read(name) or b"")
    await exchange.writer.drain()
    return False


async def chunked(exchange: Exchange, name: str) -> bool:
    """Sends the file in chunks."""
    body = exchange.read(name) or b""
    exchange.head(content_type="image/jpeg", transfer_encoding="chunked")
    for at in range(0, len(body), 10_000):
        part = body[at : at + 10_000]
        exchange.writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    exchange.writer.write(b"0\r\n\r\n")
    await exchange.writer.drain()
    return True


async def _send_forever(exchange: Exchange, block: bytes) -> bool:
    while True:  # until the other side has had enough: then drain raises
        exchange.writer.write(block)
        await exchange.writer.drain()


BEHAVIOURS: dict[str, Callable[..., Awaitable[bool]]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        *(
            images,
            status,
            recovers,
            redirect,
            redirect_signed,
            signed,
            loop,
            elsewhere,
            stall,
            drip,
            endless,
            declared_huge,
            gzip_bomb,
        ),
        *(short, reset, html, empty, unlabelled, robots, unsized, chunked),
    )
}


@dataclass
class Server:
    """The server: two listening ports, with shared counts."""

    folder: Path
    inside_url: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, port: int) -> None:
        """Serves until SIGTERM or SIGINT. Prints both URLs as JSON."""
        stopped = asyncio.Event()
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, stopped.set)
        inside = await asyncio.start_server(self._inside, "127.0.0.1", 0)
        self.inside_url = _url(inside)
        outside = await asyncio.start_server(
            self._serve_connection, "127.0.0.1", port, limit=MAX_REQUEST_BYTES, backlog=4096
        )
        print(json.dumps({"base_url": _url(outside), "inside_url": self.inside_url}), flush=True)
        await stopped.wait()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*DISCONNECTS):
            keep_alive = True
            while keep_alive:
                request = await reader.readuntil(b"\r\n\r\n")
                target = request.split(b" ", 2)[1].decode("latin-1")
                keep_alive = await self._respond(target, reader, writer) and b"connection: close" not in request.lower()
        writer.close()

    async def _respond(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        written = target.partition("?")[0]
        path = unquote(written)
        behaviour, *arguments = [unquote(part) for part in written.removeprefix("/").split("/")]
        exchange = Exchange(self.folder, target, self.counts[path] + 1, self.inside_url, reader, writer)
        if path == "/-/requests":
            return await exchange.send(json.dumps(self.counts).encode())
        if path == "/-/reset":
            self.counts.clear()
            return await exchange.send(b"")
        self.counts[path] += 1
        if behaviour not in BEHAVIOURS:
            return await exchange.send(b"no such path", 404)
        try:
            response = BEHAVIOURS[behaviour](exchange, *arguments)
        except TypeError:  # too few or too many arguments in the path
            return await exchange.send(b"no such path", 404)
        return await response

    async def _inside(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*DISCONNECTS):
            request = await reader.readuntil(b"\r\n\r\n")
            target = request.split(b" ", 2)[1].decode("latin-1")
            self.counts[f"inside:{target}"] += 1
            await Exchange(self.folder, target, 1, self.inside_url, reader, writer).send(b"a secret")
        writer.close()


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()
    return f"http://{host}:{port}"


def main() -> None:
    """Command line: `python -m demo.server FOLDER --port N`."""
    parser = argparse.ArgumentParser(description="Serve a demo world, and misbehave by URL.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(Server(options.folder).run(options.port))


if __name__ == "__main__":
    main()
