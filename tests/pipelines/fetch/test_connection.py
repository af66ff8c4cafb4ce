import ast
import asyncio
import errno
import gzip
import random
import re
import socket
import struct
import threading
from pathlib import Path

import pytest

from pipelines.fetch import REASONS, Spool, fetch
from pipelines.fetch.response import MemoryBody, SpooledBody
from tests.helpers.delays import dripping, server_takes


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


def reset_at_close(writer):
    """Close the connection with a reset."""
    now = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    writer.transport.abort()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"])
def test_a_reset_connection(server, get, sent):
    async def reset(writer, nth, head):
        writer.write(sent)
        await writer.drain()
        reset_at_close(writer)

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


def test_heads_have_limits(server, get):
    """128 headers, a status line and headers of 8190 bytes each, and nothing less than what is in use."""
    start, end = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\nok"
    heads = {
        "/many": (start + b"X: y\r\n" * 120 + end, "ok"),
        "/too-many": (start + b"X: y\r\n" * 130 + end, "bad_response"),
        "/long": (start + b"Set-Cookie: " + b"y" * 8000 + b"\r\n" + end, "ok"),
        "/too-long": (start + b"Set-Cookie: " + b"y" * 8200 + b"\r\n" + end, "bad_response"),
        "/long-reason": (b"HTTP/1.1 200 " + b"O" * 8200 + b"\r\n" + end, "bad_response"),
    }
    for path, (sent, reason) in heads.items():
        server.raw(path, sent)
        assert get(server.url(path)).reason == reason, path


def test_odd_heads_that_servers_send(server, get):
    """What today's servers get wrong and browsers take."""
    heads = {
        "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        "no length, closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a\r\n\r\nok",
        "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "Latin-1": b"HTTP/1.1 200 OK\r\nX-Title: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
        "an odd name": b"HTTP/1.1 200 OK\r\nX_Odd.Name: y\r\nContent-Length: 2\r\n\r\nok",
        "a folded line": b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "a cookie that is none": b"HTTP/1.1 200 OK\r\nSet-Cookie: ;;=\xff; a=b\r\nContent-Length: 2\r\n\r\nok",
        "chunks with blanks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\nok\r\n0\r\n\r\n",
    }
    found = {}
    for number, (name, sent) in enumerate(heads.items()):
        server.raw(f"/{number}", sent)
        result = get(server.url(f"/{number}"))
        found[name] = (result.reason, result.body)
    assert found == dict.fromkeys(heads, ("ok", b"ok"))


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


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra", b"\r\n", b"noise"])
def test_a_connection_that_speaks_unasked_is_not_used_again(server, settings, response_bytes, extra):
    """Later than this, after the next request, nobody can tell: HTTP/1.1 does not number its answers."""
    idle, hung_up = threading.Event(), threading.Event()

    async def speaking_while_idle(writer, nth, head):
        writer.write(response_bytes(headers={"Content-Length": 4}, body=b"body"))
        await writer.drain()
        if nth == 1:
            await asyncio.to_thread(idle.wait, 10)
            try:
                while True:  # until the fetcher has hung up
                    writer.write(extra)
                    await writer.drain()
                    await server_takes(0.001)
            finally:
                hung_up.set()
        return True

    def process(fetched):
        if fetched.index == 0:
            idle.set()
            assert hung_up.wait(10)
        return fetched.reason, fetched.body, fetched.attempts

    server.routes["/a"] = speaking_while_idle
    found = []
    fetch([server.url("/a")] * 2, settings(concurrency=1), found.append, process=process)
    assert found == [("ok", b"body", 1)] * 2
    assert server.connections == 2


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


@pytest.mark.parametrize("spool", [None, Spool(100)])
def test_whatever_a_server_sends_is_an_answer(server, settings, spool):
    chance = random.Random(3)
    count = 600

    def odd_server(data, size, resets):
        async def route(writer, nth, head):
            for start in range(0, len(data), size):
                writer.write(data[start : start + size])
                await writer.drain()
            if resets:
                reset_at_close(writer)

        return route

    for number in range(count):
        data = mutated(chance)
        size = chance.choice((max(1, len(data) // 7), 1000))
        server.routes[f"/{number}"] = odd_server(data, size, chance.random() < 0.3)
    limits = {"max_bytes": 1000, "read_timeout_s": 0.5, "concurrency": 16, "max_redirects": 1, "dns_timeout_s": 0.1}
    found = []
    fetch([server.url(f"/{number}") for number in range(count)], settings(**limits), found.append, spool=spool)
    assert len(found) == count
    assert all(re.fullmatch(r"http_\d+", each.reason) or each.reason in REASONS for each in found)
    assert all(each.detail.isprintable() and each.content_type.isprintable() for each in found)
    reasons = {"ok", "bad_response", "truncated", "http_503", "http_429", "connection_reset", "bad_encoding"}
    assert {each.reason for each in found} >= reasons


@pytest.mark.parametrize("spool", [None, Spool(1)])
def test_a_body_without_a_length_that_ends_with_a_reset_is_truncated(server, settings, spool):
    """A connection that ends in order is the end of such a body; one that is lost isn't."""
    begun = threading.Event()

    async def reset(writer, nth, head):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)
        await writer.drain()
        await asyncio.to_thread(begun.wait, 10)
        reset_at_close(writer)

    class Begun(MemoryBody if spool is None else SpooledBody):
        def write(self, data):
            super().write(data)
            begun.set()

    server.routes["/a"] = reset
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"pipelines.fetch.client.{Begun.__bases__[0].__name__}", Begun)
        fetch([server.url("/a")], settings(max_bytes=10**6), found.append, spool=spool)
    assert [each.reason for each in found] == ["truncated"]


def test_a_body_that_turns_into_nonsense_ends_at_once(server, settings):
    """In a segment of its own, long after the head."""
    begun = threading.Event()

    async def garbled(writer, nth, head):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.to_thread(begun.wait, 10)
        writer.write(b"zz\r\nhello")
        await asyncio.Event().wait()

    class Begun(MemoryBody):
        def write(self, data):
            super().write(data)
            begun.set()

    server.routes["/a"] = garbled
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.fetch.client.MemoryBody", Begun)
        fetch([server.url("/a")], settings(read_timeout_s=30, total_timeout_s=30), found.append)
    assert [each.reason for each in found] == ["bad_response"]
    assert found[0].seconds < 20


def test_memory_that_runs_out_is_no_fault_of_the_server(server, settings, monkeypatch):
    def no_memory(*args):
        raise MemoryError

    server.answer("/a", b"body")
    monkeypatch.setattr("pipelines.fetch.client.classify", no_memory)
    with pytest.raises(MemoryError):
        fetch([server.url("/a")], settings(), print)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_files_that_run_out_are_no_fault_of_the_server(server, settings, monkeypatch, code):
    def no_socket(family, *rest):
        if family == socket.AF_INET:
            raise OSError(code, "Too many open files")
        return real(family, *rest)

    real = socket.socket
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.fetch.connection.socket.socket", no_socket)
        with pytest.raises(OSError, match="Too many") as raised:
            fetch([server.url("/a")], settings(), print)
    assert raised.value.errno == code


def test_files_that_run_out_are_seen_behind_the_failure_of_another_address(server, settings, monkeypatch):
    def no_socket(family, *rest):
        if family == socket.AF_INET:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(family, *rest)

    def both(host, *args, **kwargs):
        ends = ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
        return [(family, socket.SOCK_STREAM, 6, "", (ip, 0)) for family, ip in ends]

    real = socket.socket
    monkeypatch.setattr(socket, "getaddrinfo", both)
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.fetch.connection.socket.socket", no_socket)
        with pytest.raises(OSError, match="Too many"):
            fetch([f"http://name.test:{server.port}/a"], settings(private_allowlist=("::1", "127.0.0.1")), print)


def test_of_aiohttp_only_what_is_public_is_imported():
    public = {"aiohttp", "aiohttp.abc"}
    root = Path(__file__).parents[3]
    found = {}
    for folder in ("corpus", "serving", "filters", "recaption", "video", "mining", "pipelines"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                private = {name for name in names if name.split(".")[0] == "aiohttp"} - public
                found |= {str(path): private} if private else {}
    assert found == {}
