"""Bodies that go to files keep the rules of those in memory."""

import asyncio
import gzip
import hashlib
import zlib

import pytest

from corpus.storage import StorageError
from pipelines.fetch import Spool, fetch
from pipelines.fetch import fetcher as fetch_run
from pipelines.fetch.response import SpooledBody
from tests.helpers.cases import cases
from tests.helpers.delays import dripping
from tests.helpers.memory import traced

PHOTO = bytes(range(256)) * 100
MIB = 2**20
BLOCKS = [bytes([number]) * 2**16 for number in range(120)] * 4  # 30 MiB


@pytest.fixture
def bodies(monkeypatch):
    """All bodies that were begun; `_file` of each is looked at."""
    begun = []

    class Watched(SpooledBody):
        def __init__(self, *args):
            super().__init__(*args)
            begun.append(self)

    monkeypatch.setattr("pipelines.fetch.client.SpooledBody", Watched)
    return begun


@pytest.fixture
def get_spooled(settings, tmp_path):
    """Fetches one URL; gives the result and the bytes of its file."""

    def one(url, threshold_bytes=1000, **changes):
        found = []

        def sink(fetched):
            found.append((fetched, fetched.spooled and fetched.spooled.file.read()))

        fetch([url], settings(**changes), sink, spool=Spool(threshold_bytes, str(tmp_path)))
        return found[0]

    return one


@pytest.mark.parametrize("threshold_bytes", [1, 1000, 100_000])
@pytest.mark.parametrize("body", [b"", b"short", PHOTO])
def test_a_body_comes_whole_with_its_size_and_digest(server, get_spooled, bodies, body, threshold_bytes):
    server.answer("/a", body)
    result, data = get_spooled(server.url("/a"), threshold_bytes)
    assert (result.reason, result.body, data) == ("ok", b"", body)
    assert (result.spooled.size, result.spooled.sha256) == (len(body), hashlib.sha256(body).digest())
    assert result.spooled.file.closed
    assert [spooled._file._rolled for spooled in bodies] == [len(body) > threshold_bytes]


def test_without_a_spool_nothing_is_one(server, get):
    server.answer("/a", PHOTO)
    assert get(server.url("/a")).spooled is None


def spool_blocks(url, settings, folder):
    """Fetch a URL three times, at once; the reason, the size and whether the bytes are those of BLOCKS, of each."""
    fetch_run.keep_freed_blocks = lambda: None  # takes 8 MiB for a moment
    found = []

    def sink(fetched):
        file = fetched.spooled.file
        same = all(file.read(len(block)) == block for block in BLOCKS) and not file.read()
        found.append((fetched.reason, fetched.spooled.size, same))

    fetch([url] * 3, settings, sink, spool=Spool(MIB, folder))
    return found


@pytest.mark.parametrize("framing", ["sized", "chunked", "to the end"])
def test_a_large_body_needs_no_memory(server, settings, tmp_path, framing):
    async def large(writer, nth, head):
        heads = {"sized": f"Content-Length: {30 * MIB}", "chunked": "Transfer-Encoding: chunked", "to the end": "X: y"}
        writer.write(f"HTTP/1.1 200 OK\r\n{heads[framing]}\r\n\r\n".encode())
        for block in BLOCKS:
            writer.write(b"10000\r\n%b\r\n" % block if framing == "chunked" else block)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if framing == "chunked" else b"")
        return False

    server.routes["/large"] = large
    server.answer("/small", b"body")
    small, large = ((server.url(path), settings(max_bytes=30 * MIB), str(tmp_path)) for path in ("/small", "/large"))
    found, peak = traced(spool_blocks, *large, warm=small)
    assert found == [("ok", 30 * MIB, True)] * 3
    assert 0 < peak < 6 * MIB  # three at a time
    assert list(tmp_path.iterdir()) == []


@cases(
    ("encoding", "sent", "reason"),
    [
        ("gzip", gzip.compress(PHOTO), "ok"),
        ("deflate", zlib.compress(PHOTO), "ok"),
        ("identity", PHOTO, "ok"),
        ("video/mp4", PHOTO, "ok"),
        ("gzip", gzip.compress(bytes(10_000_000)), "too_large"),
        ("gzip", gzip.compress(PHOTO)[:-20], "truncated"),
        ("gzip", b"", "truncated"),
        ("gzip", gzip.compress(PHOTO) + b"more", "bad_encoding"),
        ("gzip", PHOTO, "bad_encoding"),
        ("br", PHOTO, "bad_encoding"),
        ("br", b"", "bad_encoding"),
        ("gzip, gzip", gzip.compress(gzip.compress(PHOTO)), "bad_encoding"),
    ],
)
def test_encodings_are_undone_on_the_way(server, get, get_spooled, bodies, encoding, sent, reason):
    server.answer("/a", sent, Content_Encoding=encoding)
    result, data = get_spooled(server.url("/a"))
    assert (result.reason, data) == (reason, PHOTO if reason == "ok" else None)
    assert result.reason == get(server.url("/a")).reason, "as in memory"
    assert all(body._file.closed for body in bodies)


def test_an_encoded_body_is_undone_in_pieces(server, get_spooled, monkeypatch):
    monkeypatch.setattr("pipelines.fetch.response._PIECE_BYTES", 1000)
    body = PHOTO + bytes(60_000)  # a piece ends here and there just with the input
    server.answer("/a", gzip.compress(body), Content_Encoding="gzip")
    result, data = get_spooled(server.url("/a"))
    assert (result.reason, data) == ("ok", body)


def test_what_does_not_come_whole_leaves_no_file(server, get_spooled, bodies, tmp_path):
    async def endless(writer, nth, head):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async def silent(writer, nth, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 4000)
        await asyncio.Event().wait()

    server.routes |= {"/endless": endless, "/silent": silent}
    server.routes["/drip"] = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 4000)
    server.raw("/short", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 4000)
    server.raw("/broken", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
    ends = {
        "/endless": ("too_large", {}),
        "/silent": ("timeout", {"read_timeout_s": 0.1}),
        "/drip": ("timeout", {"total_timeout_s": 0.2}),
        "/short": ("truncated", {}),
        "/broken": ("bad_response", {}),
    }
    for path, (reason, changes) in ends.items():
        result, data = get_spooled(server.url(path), **changes)
        assert (result.reason, data) == (reason, None), path
    assert len(bodies) >= 4  # nonsense may come together with the head
    assert all(body._file.closed for body in bodies)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_wanted_is_not_spooled(server, get_spooled, bodies):
    server.answer("/gone", b"sorry", status="404 Not Found")
    server.answer("/opted", PHOTO, X_Robots_Tag="noai")
    server.answer("/large", bytes(100_001))
    server.answer("/from", b"moved", status="302 Found", Location="/to")
    server.answer("/to", PHOTO)
    assert get_spooled(server.url("/gone"))[0].reason == "http_404"
    assert get_spooled(server.url("/opted"))[0].reason == "opted_out"
    assert get_spooled(server.url("/large"))[0].reason == "too_large"
    assert bodies == []
    assert get_spooled(server.url("/from"))[1] == PHOTO
    assert len(bodies) == 1


def test_another_attempt_begins_anew(server, get_spooled, bodies):
    async def recovering(writer, nth, head):
        body = PHOTO if nth == 2 else PHOTO[:5000]
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PHOTO)}\r\n\r\n".encode() + body)
        return nth == 2

    server.routes["/a"] = recovering
    result, data = get_spooled(server.url("/a"), max_attempts=3)
    assert (result.reason, result.attempts, data) == ("ok", 2, PHOTO)
    assert [body._file.closed for body in bodies] == [True, True]


def test_a_connection_serves_one_body_after_the_other(server, settings, tmp_path):
    wanted = {f"/{number}": bytes([number]) * 3000 * number for number in range(10)}
    for path, body in wanted.items():
        server.answer(path, body)
    found = {}

    def process(fetched):
        return fetched.index, fetched.spooled.file.read()

    def sink(result):
        found[f"/{result[0]}"] = result[1]

    urls = [server.url(path) for path in wanted]
    spool = Spool(1000, str(tmp_path))
    fetch(urls, settings(concurrency=1), sink, process=process, threads=1, spool=spool)
    assert found == wanted
    assert server.connections == 1


def test_a_file_that_cannot_be_written_is_no_fault_of_the_url(server, settings, tmp_path):
    server.answer("/a", PHOTO)
    folder = tmp_path / "absent"
    results = []
    with pytest.raises(StorageError, match=r"absent: the temporary file of a download"):
        fetch([server.url("/a")], settings(max_attempts=3), results.append, spool=Spool(1000, str(folder)))
    assert results == []
    assert server.counts["/a"] == 1
