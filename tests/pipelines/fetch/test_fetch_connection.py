import asyncio
import contextlib
import errno
import gzip
import random
import re
import socket
import struct

import pytest
from delays import dripping

from pipelines.fetch import REASONS, DnsCache, FetchSettings, Spool, fetch
from pipelines.fetch.answer import Answer, FetchError
from pipelines.fetch.client import Client
from pipelines.fetch.connection import Connection
from pipelines.fetch.encoding import decoded
from pipelines.fetch.url import parse_url, resolve


def test_a_drip_ends_at_the_total_deadline(server, get):
    server.routes["/drip"] = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    result = get(server.url("/drip"), total_timeout_s=0.2)
    assert (result.reason, result.retryable) == ("timeout", True)
    assert "0.2 s" in result.detail


def test_a_dripping_head_ends_at_the_total_deadline(server, get):
    server.routes["/drip"] = dripping(b"HTTP/1.1 200 OK\r\nX-Long: ")
    assert get(server.url("/drip"), total_timeout_s=0.2).reason == "timeout"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"])
def test_silence_ends_at_the_read_deadline(server, get, start):
    async def silent(writer, nth, head):
        writer.write(start)
        await asyncio.Event().wait()

    server.routes["/silent"] = silent
    result = get(server.url("/silent"), read_timeout_s=0.1)
    assert (result.reason, result.detail) == ("timeout", "silent for 0.1 s")


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
def test_an_endless_body_ends_at_the_byte_limit(server, get, framing):
    async def endless(writer, nth, head):
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        chunk = b"x" * 4096
        while True:
            writer.write(b"1000\r\n" + chunk + b"\r\n" if "chunked" in framing else chunk)
            await writer.drain()

    server.routes["/endless"] = endless
    result = get(server.url("/endless"))
    assert (result.reason, result.body, result.retryable) == ("too_large", b"", False)


@pytest.mark.parametrize("declared", [100_001, 10**15])
def test_a_body_declared_too_large_is_not_read(server, get, declared):
    async def declaring(writer, nth, head):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n".encode())
        await asyncio.Event().wait()

    server.routes["/a"] = declaring
    assert get(server.url("/a")).reason == "too_large"


def test_a_body_of_just_the_limit_is_taken(server, get):
    server.answer("/a", b"x" * 100_000)
    assert get(server.url("/a")).reason == "ok"


def test_lying_content_lengths(server, get, response_bytes):
    server.raw("/short", response_bytes(headers={"Content-Length": 1000}, body=b"x" * 500))
    server.raw("/long", response_bytes(headers={"Content-Length": 500}, body=b"x" * 1000))
    server.raw("/negative", response_bytes(headers={"Content-Length": -5}, body=b"x"))
    server.raw("/twice", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
    assert get(server.url("/short")).reason == "truncated"
    long = get(server.url("/long"))  # hangs on whether the rest arrives together with the body
    assert (long.reason, len(long.body)) in (("bad_response", 0), ("ok", 500))
    assert get(server.url("/negative")).reason == "bad_response"
    assert get(server.url("/twice")).reason == "bad_response"


def test_a_chunked_body_that_breaks_off_is_truncated(server, get):
    server.raw("/a", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe")
    assert get(server.url("/a")).reason == "truncated"


def test_a_body_that_ends_with_the_connection_is_whole(server, get):
    server.raw("/a", b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert get(server.url("/a")).body == b"hello"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"])
def test_a_reset_connection(server, get, sent):
    async def reset(writer, nth, head):
        writer.write(sent)
        await writer.drain()
        now = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        writer.transport.abort()

    server.routes["/reset"] = reset
    result = get(server.url("/reset"))
    assert result.reason in (("truncated", "connection_reset") if sent else ("connection_reset",))
    assert server.counts["/reset"] == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\r\n\r\n",
        b"HELO smtp\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 banana OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    ],
)
def test_what_is_not_http(server, get, sent):
    server.raw("/a", sent)
    assert get(server.url("/a")).reason in ("bad_response", "truncated")


def test_no_garbled_response_breaks_the_run(server, settings, fetch_all, response_bytes):
    dice = random.Random(7)
    good = response_bytes(
        headers={"Content-Length": 20, "Content-Type": "image/png", "X-Robots-Tag": "a: b", "Content-Encoding": "gzip"},
        body=gzip.compress(b"")[:20],
    )
    for number in range(150):
        garbled = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            garbled[dice.randrange(len(garbled))] = dice.randrange(256)
        server.raw(f"/{number}", bytes(garbled))
    results = fetch_all([server.url(f"/{number}") for number in range(150)], settings(read_timeout_s=0.3))
    for result in results:
        assert result.reason in REASONS or re.fullmatch(r"http_\d+", result.reason)
        assert (result.detail + result.content_type).isascii()


def test_interim_answers_are_passed_over(server, get, response_bytes):
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    server.raw("/a", hints + response_bytes(headers={"Content-Length": 4}, body=b"body"))
    assert get(server.url("/a")).body == b"body"


def test_a_change_of_protocol_is_no_answer(server, get):
    server.raw("/a", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    assert get(server.url("/a")).reason == "bad_response"


def test_a_connection_that_closed_while_it_was_idle_costs_no_attempt(server, settings, fetch_all, response_bytes):
    served = set()

    async def once_per_connection(writer, nth, head):
        if writer in served:
            return False
        served.add(writer)
        writer.write(response_bytes(headers={"Content-Length": 4}, body=b"body"))
        return True

    server.routes["/a"] = once_per_connection
    results = fetch_all([server.url("/a")] * 3, settings(concurrency=1))
    assert [(result.reason, result.attempts) for result in results] == [("ok", 1)] * 3
    assert server.connections == 3


def test_two_answers_to_one_request_are_none(server, settings, fetch_all, response_bytes):
    async def twice(writer, nth, head):
        body = head.split(" ")[1].encode()
        extra = response_bytes(headers={"Content-Length": 5}, body=b"extra")
        writer.write(response_bytes(headers={"Content-Length": len(body)}, body=body) + extra)  # one segment
        return True

    paths = [f"/{number}" for number in range(20)]
    server.routes |= dict.fromkeys(paths, twice)
    results = fetch_all([server.url(path) for path in paths], settings(concurrency=1))
    assert [(result.reason, result.body) for result in results] == [("bad_response", b"")] * len(paths)
    assert server.connections == len(paths)


class FakeTransport(asyncio.Transport):
    """Where a test itself says what is received, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra", b"\r\n", b"noise"])
def test_a_connection_that_speaks_unasked_is_not_used_again(settings, response_bytes, extra):
    """Later than this, after the next request, nobody can tell: HTTP/1.1 does not number its answers."""

    async def idle_then_extra() -> tuple[Answer, bool, bool]:
        connection, transport = Connection(settings(), lambda code, headers: Answer("ok")), FakeTransport()
        connection.connection_made(transport)
        waiting = connection.ask(b"GET / HTTP/1.1\r\n\r\n", 5.0)
        connection.data_received(response_bytes(headers={"Content-Length": 4}, body=b"body"))
        answer, kept = await waiting, connection.open
        connection.data_received(extra)
        return answer, kept, connection.open or not transport.aborted

    answer, kept, still_open = asyncio.run(idle_then_extra())
    assert (answer.reason, answer.body, kept, still_open) == ("ok", b"body", True, False)


def test_an_error_page_is_not_read_and_the_connection_not_kept(server, settings, fetch_all):
    async def endless_page(writer, nth, head):
        writer.write(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"5\r\nsorry\r\n")
            await writer.drain()

    server.routes["/a"] = endless_page
    results = fetch_all([server.url("/a")] * 3, settings(concurrency=1))
    assert [result.reason for result in results] == ["http_404"] * 3
    assert server.connections == 3


SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: image/jpeg\r\n\r\nhello",
    b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://host.example:80/a%2Fb?c=d\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: //[::1]@/\xe9\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 No\r\nRetry-After: 120\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nX-Robots-Tag: a: noindex, unavailable_after: 25 Jun 2010 15:00:00 PST\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 31\r\n\r\n" + gzip.compress(b"hello hello", mtime=0),
]
PIECES = [b"\r\n", b"\0", b"\x1b[31m", b":", b"\xff", b"\xe2\x82", b"\xb2", b"9" * 5000, b"-1", b"chunked", b"\r\n\r\n"]
PIECES += [b"Location: ", b"Retry-After: ", b"Content-Length: ", b"X-Robots-Tag: ", b"Mon, 99 Foo 9999 99:99:99 +9999"]


def mutated(chance):
    """A response, cut, spliced, with odd pieces put in."""
    data = chance.choice(SEEDS)
    for _ in range(chance.randrange(5)):
        start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        deed = chance.randrange(4)
        if deed == 0:
            data = data[:start] + data[end:]
        elif deed == 1:
            data = data[:start] + chance.choice(PIECES) + data[start:]
        elif deed == 2:
            data = data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]
        else:
            data = data[:end] + chance.choice(SEEDS)[-chance.randrange(1, 60) :]
    return data


def test_whatever_a_server_sends_is_an_answer():
    async def answers(count):
        chance = random.Random(3)
        settings = FetchSettings(max_bytes=1000)
        client, base = Client(settings, DnsCache()), parse_url("http://host.example/x")
        for _ in range(count):
            connection = Connection(settings, client.judge, chance.choice((None, Spool(100))))
            connection.connection_made(FakeTransport())
            waiting, data = connection.ask(b"", 30.0), mutated(chance)
            while data and connection.open:
                size = chance.choice((1, 7, 1000))
                connection.data_received(data[:size])
                data = data[size:]
            if not waiting.done():
                connection.connection_lost(chance.choice((None, ConnectionResetError("by peer"))))
            answer = waiting.result()
            if answer.encoding and answer.reason == "ok":
                answer = decoded(answer, 1000)
            if answer.spooled is not None:
                answer.spooled.file.close()
            if answer.location is not None:
                with contextlib.suppress(FetchError):  # and nothing else
                    assert resolve(base, answer.location).target.isascii()
            connection.close()
            yield answer

    async def judged():
        return [answer async for answer in answers(3000)]

    found = asyncio.run(judged())
    assert all(re.fullmatch(r"http_\d+|", answer.reason) or answer.reason in REASONS for answer in found)
    assert all(answer.detail.isprintable() and answer.content_type.isprintable() for answer in found)
    reasons = {"ok", "", "bad_response", "truncated", "http_503", "http_429", "connection_reset", "bad_encoding"}
    assert {answer.reason for answer in found} >= reasons


def test_memory_that_runs_out_is_no_fault_of_the_server(server, settings, monkeypatch):
    def no_memory(*args):
        raise MemoryError

    server.answer("/a", b"body")
    monkeypatch.setattr("pipelines.fetch.client.Client.judge", no_memory)
    with pytest.raises(MemoryError):
        fetch([server.url("/a")], settings(), print)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_files_that_run_out_are_no_fault_of_the_server(server, settings, monkeypatch, code):
    async def no_socket(*args, **kwargs):
        raise OSError(code, "Too many open files")

    monkeypatch.setattr("aiohappyeyeballs.start_connection", no_socket)
    with pytest.raises(OSError, match="Too many"):
        fetch([server.url("/a")], settings(), print)
