"""The demo's web: a real HTTP server on the loopback that serves a world's files, and misbehaves by URL.

    /images/NAME                  the file FOLDER/www/NAME, as it is
    /BEHAVIOUR[/ARGUMENT...]/NAME what the function of that name below does, most of them to the same file
    /-/requests, /-/reset         how often each path was asked for, as JSON; forget all of it

Whatever recovers does so per path, and a reset makes it fail again. A second port, "inside", stands for a service
that nobody outside may reach: the redirect to it works, so a fetcher that follows it shows up in the counts, as
`inside:PATH`.

Only the standard library is imported, so that the server starts in a fraction of a second, as a file of its own too.
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

MAX_REQUEST_BYTES = 64 * 1024
# What ends a conversation. The cancellation when the server stops is one: Python 3.11 would print it as an error.
ENDINGS = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
HTML = b"<!doctype html><html><head><title>Gone</title></head><body><h1>This image has moved</h1></body></html>"
ELSEWHERE = {"private": "http://10.0.0.1/secret.jpg", "metadata": "http://169.254.169.254/latest/meta-data/"}
ELSEWHERE["file"] = "file:///etc/passwd"
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".svg": "image/svg+xml"}
SIGNED_PATH = "/signed/as%20written%2C%7E%28so%29/"  # in escapes that a client might think it may undo
SIGNED_QUERY = "?X-Amz-Credential=demo%2F20260101%2Fs3&note=%7e%3D+%41/:"
REASONS = {200: "OK", 302: "Found", 403: "Forbidden", 404: "Not Found", 410: "Gone", 429: "Too Many Requests"}
REASONS |= {500: "Internal Server Error", 503: "Service Unavailable"}


def with_signature(target: str) -> str:
    """The target of a request (path and query) with a signature over its characters, as stores sign their URLs."""
    return f"{target}&X-Amz-Signature={hmac.digest(b'demo', target.encode(), 'sha256').hex()}"


@dataclass(frozen=True)
class Serving:
    """A server that is up."""

    base_url: str
    inside_url: str

    def requests(self) -> dict[str, int]:
        """How often each path (percent-decoded) was asked for since the start or the last reset."""
        with urlopen(f"{self.base_url}/-/requests") as answer:
            return json.load(answer)

    def reset(self) -> None:
        """Forget all counts: what recovered fails again."""
        with urlopen(f"{self.base_url}/-/reset") as answer:
            answer.read()


@contextlib.contextmanager
def serve(folder: str | Path, port: int = 0) -> Iterator[Serving]:
    """Serve a world's folder from a process of its own for as long as the block runs. Port 0 takes a free one.

    The folder may be filled later. The process ends with the block, and also when this process is killed.
    Raises OSError if the port cannot be had.
    """
    from corpus.processes import ChildProcess  # here: the server itself needs none of the project

    with ChildProcess([__file__, str(folder), "--port", str(port)], stdout=subprocess.PIPE) as process:
        line = process.output.readline()
        if not line:
            raise OSError(f"the demo's server did not start on port {port} (exit code {process.wait()})")
        yield Serving(**json.loads(line))


@dataclass
class Exchange:
    """One request and the connection to answer it on. Behaviours return whether the connection may go on."""

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
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
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


async def images(to: Exchange, name: str) -> bool:
    return await to.file(name)


async def status(to: Exchange, code: str, name: str) -> bool:
    """An error for ever. 429 asks to come back in a second."""
    if code == "429":
        return await to.send(b"no", 429, retry_after="1")
    return await to.send(b"no", int(code))


async def recovers(to: Exchange, code: str, times: str, name: str) -> bool:
    """An error for the first so many requests, with Retry-After; then the file."""
    if to.count <= int(times):
        return await to.send(b"not now", int(code), retry_after="1")
    return await to.file(name)


async def redirect(to: Exchange, name: str) -> bool:
    return await to.send(b"", 302, location=f"/images/{name}")


async def redirect_signed(to: Exchange, name: str) -> bool:
    return await to.send(b"", 302, location=with_signature(SIGNED_PATH + quote(name) + SIGNED_QUERY))


async def signed(to: Exchange, folder: str, name: str) -> bool:
    """The file, if it is asked for by the very characters that were signed."""
    if to.target != with_signature(to.target.rpartition("&X-Amz-Signature=")[0]):
        return await to.send(b"the signature is of another request", 403)
    return await to.file(name)


async def loop(to: Exchange, side: str, name: str) -> bool:
    return await to.send(b"", 302, location=f"/loop/{'b' if side == 'a' else 'a'}/{name}")


async def elsewhere(to: Exchange, where: str, name: str) -> bool:
    """A redirect to where no fetcher may go."""
    target = f"{to.inside_url}/{name}" if where == "inside" else ELSEWHERE[where]
    return await to.send(b"", 302, location=target)


async def stall(to: Exchange, name: str) -> bool:
    """Never a word."""
    await to.reader.read()  # ends when the other side gives up
    return False


async def drip(to: Exchange, name: str) -> bool:
    """One byte a second."""
    body = to.read(name) or b""
    to.head(content_type="image/jpeg", content_length=str(len(body)))
    for at in range(len(body)):
        to.writer.write(body[at : at + 1])
        await to.writer.drain()
        await asyncio.sleep(1)
    return True


async def endless(to: Exchange, name: str) -> bool:
    """A body without a length that begins like the file and never ends."""
    to.head(content_type="image/jpeg", connection="close")
    to.writer.write(to.read(name) or b"")
    return await _pour(to, bytes(64 * 1024))


async def declared_huge(to: Exchange, name: str) -> bool:
    """Says at once that 50 GB are coming."""
    to.head(content_type="image/jpeg", content_length=str(50 * 10**9))
    return await _pour(to, bytes(64 * 1024))


async def gzip_bomb(to: Exchange, name: str) -> bool:
    """A megabyte on the wire that unpacks to a gigabyte of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the packer has no memory, so this block may follow itself. The checksum at the end would be
    # that of two megabytes, but nobody should get that far.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return await to.send(head + 1023 * block + packer.flush(), 200, "image/jpeg", content_encoding="gzip")


async def short(to: Exchange, name: str) -> bool:
    """Half of what Content-Length promises, then the connection is closed."""
    body = to.read(name) or b""
    to.head(content_type="image/jpeg", content_length=str(len(body)))
    to.writer.write(body[: len(body) // 2])
    await to.writer.drain()
    return False


async def reset(to: Exchange, when: str, name: str) -> bool:
    """A TCP reset, `first` thing or `midway` through the body."""
    if when == "midway":
        body = to.read(name) or b""
        to.head(content_type="image/jpeg", content_length=str(len(body)))
        to.writer.write(body[: len(body) // 2])
        await to.writer.drain()
    linger_for_no_time = struct.pack("ii", 1, 0)
    to.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
    to.writer.transport.abort()
    return False


async def html(to: Exchange, name: str) -> bool:
    """A web page that is called a JPEG."""
    return await to.send(HTML, kind="image/jpeg")


async def empty(to: Exchange, name: str) -> bool:
    return await to.send(b"", kind="image/jpeg")


async def unlabelled(to: Exchange, name: str) -> bool:
    """The file, under a content type that says nothing."""
    return await to.file(name, kind="application/octet-stream")


async def robots(to: Exchange, directive: str, name: str) -> bool:
    """The file, with that X-Robots-Tag."""
    return await to.file(name, x_robots_tag=directive)


async def unsized(to: Exchange, name: str) -> bool:
    """The file without its length: it ends when the connection does, as in HTTP/1.0."""
    to.head(content_type="image/jpeg", connection="close")
    to.writer.write(to.read(name) or b"")
    await to.writer.drain()
    return False


async def chunked(to: Exchange, name: str) -> bool:
    """The file in chunks."""
    body = to.read(name) or b""
    to.head(content_type="image/jpeg", transfer_encoding="chunked")
    for at in range(0, len(body), 10_000):
        part = body[at : at + 10_000]
        to.writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    to.writer.write(b"0\r\n\r\n")
    await to.writer.drain()
    return True


async def _pour(to: Exchange, block: bytes) -> bool:
    while True:  # until the other side has had enough: then drain raises
        to.writer.write(block)
        await to.writer.drain()


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
    """The two listening ports and the counts they share."""

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
        outside = await asyncio.start_server(self._converse, "127.0.0.1", port, limit=MAX_REQUEST_BYTES, backlog=4096)
        print(json.dumps({"base_url": _url(outside), "inside_url": self.inside_url}), flush=True)
        await stopped.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*ENDINGS):
            going_on = True
            while going_on:
                request = await reader.readuntil(b"\r\n\r\n")
                target = request.split(b" ", 2)[1].decode("latin-1")
                going_on = await self._answer(target, reader, writer) and b"connection: close" not in request.lower()
        writer.close()

    async def _answer(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
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
            answer = BEHAVIOURS[behaviour](exchange, *arguments)
        except TypeError:  # too few or too many arguments in the path
            return await exchange.send(b"no such path", 404)
        return await answer

    async def _inside(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*ENDINGS):
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
