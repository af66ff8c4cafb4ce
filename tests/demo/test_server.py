"""Every behaviour of the demo's server, seen through the standard library's client and bare sockets."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from demo.server import RunningServer, serve, with_signature

BODY = bytes(range(256)) * 200
STARTED_BY_ANOTHER = """
import sys
from demo.server import serve
with serve(sys.argv[1]) as server:
    print(server.base_url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "www").mkdir()
    (folder / "secret.txt").write_bytes(b"not for you")
    for name in ("a.jpg", "a photo é.png"):
        (folder / "www" / name).write_bytes(BODY)
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[RunningServer]:
    with serve(folder) as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> RunningServer:
    running.reset()
    return running


def connect(server: RunningServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)


def get(server: RunningServer, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = connect(server)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def bare(server: RunningServer, path: str) -> socket.socket:
    url = urlsplit(server.base_url)
    connection = socket.create_connection((url.hostname, url.port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize(
    "path",
    [
        *("/images/a.jpg", "/images/a.jpg?width=3", "/recovers/503/0/a.jpg"),
        *("/unlabelled/a.jpg", "/robots/otherbot%3A%20noindex/a.jpg", "/unsized/a.jpg", "/chunked/a.jpg"),
        "/images/" + quote("a photo é.png"),
    ],
)
def test_serves_whole_files(server: RunningServer, path: str) -> None:
    answer, body = get(server, path)
    assert (answer.status, body) == (200, BODY)


def test_content_types(server: RunningServer) -> None:
    assert get(server, "/images/a.jpg")[0].headers["content-type"] == "image/jpeg"
    assert get(server, "/images/" + quote("a photo é.png"))[0].headers["content-type"] == "image/png"
    assert get(server, "/unlabelled/a.jpg")[0].headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "path", ["/images/none.jpg", "/images/..%2Fsecret.txt", "/nothing/a.jpg", "/status/a.jpg", "/"]
)
def test_unknown_paths_are_404(server: RunningServer, path: str) -> None:
    assert get(server, path)[0].status == 404


def test_one_connection_serves_many_requests(server: RunningServer) -> None:
    connection = connect(server)
    for _ in range(3):
        connection.request("GET", "/images/a.jpg")
        assert connection.getresponse().read() == BODY
    connection.close()
    assert server.requests() == {"/images/a.jpg": 3}


@pytest.mark.parametrize("code", [403, 404, 410, 429, 500, 503])
def test_errors_stay(server: RunningServer, code: int) -> None:
    answers = [get(server, f"/status/{code}/x.jpg")[0] for _ in range(3)]
    assert [answer.status for answer in answers] == [code] * 3
    assert answers[0].headers["retry-after"] == ("1" if code == 429 else None)


def test_recovery_is_counted_per_path_until_a_reset(server: RunningServer) -> None:
    first = [get(server, "/recovers/429/2/a.jpg")[0] for _ in range(4)]
    assert [answer.status for answer in first] == [429, 429, 200, 200]
    assert first[0].headers["retry-after"] == "1"
    assert get(server, "/recovers/429/2/other.jpg")[0].status == 429
    server.reset()
    assert get(server, "/recovers/429/2/a.jpg")[0].status == 429


def test_redirects(server: RunningServer) -> None:
    def target(path: str) -> str | None:
        answer, _ = get(server, path)
        assert answer.status == 302
        return answer.headers["location"]

    assert target("/redirect/a.jpg") == "/images/a.jpg"
    assert target("/loop/a/x.jpg") == "/loop/b/x.jpg"
    assert target("/loop/b/x.jpg") == "/loop/a/x.jpg"
    assert target("/elsewhere/private/x.jpg") == "http://10.0.0.1/secret.jpg"
    assert target("/elsewhere/file/x.jpg") == "file:///etc/passwd"
    assert target("/elsewhere/inside/x.jpg") == f"{server.inside_url}/x.jpg"
    assert urlsplit(server.inside_url).port != urlsplit(server.base_url).port


def test_visits_inside_are_seen(server: RunningServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.inside_url).netloc, timeout=10)
    connection.request("GET", "/x.jpg")
    assert connection.getresponse().read() == b"a secret"
    connection.close()
    assert server.requests() == {"inside:/x.jpg": 1}


def test_stall_says_nothing(server: RunningServer) -> None:
    with bare(server, "/stall/a.jpg") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def first_of_body(connection: socket.socket) -> bytes:
    received = b""
    while not received.partition(b"\r\n\r\n")[2]:
        received += connection.recv(4096)
    return received.partition(b"\r\n\r\n")[2]


def test_drip_begins_with_one_byte(server: RunningServer) -> None:
    with bare(server, "/drip/a.jpg") as connection:
        assert first_of_body(connection) == BODY[:1]


@pytest.mark.parametrize("path", ["/endless/a.jpg", "/declared_huge/a.jpg"])
def test_bodies_that_do_not_end(server: RunningServer, path: str) -> None:
    connection = connect(server)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert len(answer.read(3_000_000)) == 3_000_000
    connection.close()
    assert get(server, "/images/a.jpg")[1] == BODY  # the server survives the disconnection


def test_gzip_bomb_unpacks_to_a_thousand_times_its_size(server: RunningServer) -> None:
    answer, body = get(server, "/gzip_bomb/a.jpg")
    assert answer.headers["content-encoding"] == "gzip"
    unpacked = zlib.decompressobj(wbits=31).decompress(body[:50_000])
    assert len(unpacked) > 900 * 50_000 and len(body) > 1_000_000


def test_short_body_breaks_its_promise(server: RunningServer) -> None:
    with pytest.raises(http.client.IncompleteRead) as broken:
        get(server, "/short/a.jpg")
    assert broken.value.partial == BODY[: len(BODY) // 2]


@pytest.mark.parametrize("when", ["first", "midway"])
def test_reset_is_a_reset(server: RunningServer, when: str) -> None:
    with pytest.raises(ConnectionResetError):
        get(server, f"/reset/{when}/a.jpg")


def test_bodies_that_are_no_images(server: RunningServer) -> None:
    answer, body = get(server, "/html/a.jpg")
    assert answer.headers["content-type"] == "image/jpeg" and body.startswith(b"<!doctype html>")
    assert get(server, "/empty/a.jpg")[1] == b""


def test_opt_out_headers(server: RunningServer) -> None:
    assert get(server, "/robots/noai%2C%20noimageai/a.jpg")[0].headers["x-robots-tag"] == "noai, noimageai"


def test_stops_with_the_block(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(folder) as server:
        waiting = bare(server, "/drip/a.jpg")
        first_of_body(waiting)
    assert waiting.recv(1) == b""
    waiting.close()
    with pytest.raises(ConnectionRefusedError):
        bare(server, "/images/a.jpg")
    assert capfd.readouterr().err == ""


def test_dies_with_the_process_that_started_it(folder: Path) -> None:
    command = [sys.executable, "-c", STARTED_BY_ANOTHER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = RunningServer(starter.stdout.readline().strip(), "")
        with bare(server, "/drip/a.jpg") as waiting:
            first_of_body(waiting)
            os.kill(starter.pid, signal.SIGKILL)
            assert waiting.recv(1) == b""  # closed by the server's own end


def test_port_in_use_is_an_error(folder: Path, server: RunningServer) -> None:
    port = urlsplit(server.base_url).port
    assert port is not None
    with pytest.raises(OSError, match=f"did not start on port {port}"), serve(folder, port):
        pass


def test_a_signed_url_is_served_only_as_it_is_written(server: RunningServer) -> None:
    target = with_signature("/signed/as%20written%2C%7E/a.jpg?Credential=a%2Fb&x=%7e")
    assert get(server, target)[1] == BODY
    for other in (
        target.replace("%2C", ","),
        target.replace("%7E", "~"),
        target.replace("%2F", "/"),
        target.replace("%7e", "%7E"),
        target.replace("&x=%7e", ""),
        target.partition("&X-Amz")[0],
        "/signed/as/a.jpg",
    ):
        assert get(server, other)[0].status == 403, other
    location = get(server, "/redirect_signed/" + quote("a photo é.png"))[0].headers["location"]
    assert "%2C" in location
    assert get(server, location)[1] == BODY
