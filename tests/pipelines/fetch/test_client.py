import asyncio
import gzip
import re
import socket
import ssl
import zlib

import pytest

from tests.helpers.cases import cases

PHOTO = bytes(range(256)) * 100


def test_a_body_comes_whole_with_what_was_said_about_it(server, get):
    server.answer("/a.jpg", PHOTO, Content_Type="image/jpeg")
    result = get(server.url("/a.jpg"))
    assert (result.reason, result.detail, result.retryable) == ("ok", "", False)
    assert result.body == PHOTO
    assert (result.http_status, result.content_type, result.attempts) == (200, "image/jpeg", 1)
    assert result.final_url == server.url("/a.jpg")


def test_the_request_names_us_and_asks_for_the_bytes_as_they_are(server, get):
    server.answer("/a")
    get(server.url("/a"), user_agent_token="testbot", contact="https://example.org/bot")
    (head,) = server.heads
    assert re.search(r"\r\nUser-Agent: testbot/\S+ \(.*\+https://example\.org/bot\)\r\n", head)
    assert "\r\nAccept-Encoding: identity\r\n" in head
    assert "Cookie" not in head


@cases("status", [204, 206, 304, 400, 403, 404, 410, 418, 429, 500, 503, 999])
def test_statuses(server, get, status):
    server.answer("/a", b"" if status in (204, 304) else b"sorry", status=f"{status} Whatever")
    result = get(server.url("/a"))
    assert (result.reason, result.http_status, result.body) == (f"http_{status}", status, b"")


def test_a_tls_handshake_that_is_not_answered_ends_at_the_connect_deadline(server, get):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    result = get(f"https://127.0.0.1:{port}/", connect_timeout_s=0.1, private_allowlist=(f"127.0.0.1:{port}",))
    listener.close()
    assert (result.reason, result.retryable) == ("connect_timeout", True)


def test_tls_with_a_server_that_speaks_none(server, get):
    server.greeting = b"220 hello, this is no TLS\r\n"
    result = get(server.url("/").replace("http:", "https:"), max_attempts=3)
    assert (result.reason, result.attempts) == ("tls_failed", 1)


def test_a_closed_port(get):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert get(f"http://127.0.0.1:{port}/", private_allowlist=(f"127.0.0.1:{port}",)).reason == "connection_failed"


@cases(
    ("encoding", "sent", "reason"),
    [
        ("gzip", gzip.compress(PHOTO), "ok"),
        ("x-gzip", gzip.compress(PHOTO), "ok"),
        ("deflate", zlib.compress(PHOTO), "ok"),
        ("identity", PHOTO, "ok"),
        ("image/jpeg", PHOTO, "ok"),
        ("gzip", gzip.compress(bytes(10_000_000)), "too_large"),
        ("deflate", zlib.compress(bytes(10_000_000)), "too_large"),
        ("gzip", gzip.compress(PHOTO)[:-20], "truncated"),
        ("gzip", gzip.compress(PHOTO) + b"more", "bad_encoding"),
        ("gzip", PHOTO, "bad_encoding"),
        ("br", PHOTO, "bad_encoding"),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(10_000_000))), "bad_encoding"),
    ],
)
def test_encodings_that_nobody_asked_for(server, get, encoding, sent, reason):
    server.answer("/a", sent, Content_Encoding=encoding)
    result = get(server.url("/a"))
    assert result.reason == reason
    assert result.body == (PHOTO if reason == "ok" else b"")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (["noai"], "opted_out"),
        (["nofollow", "noindex"], "opted_out"),
        (["otherbot: noindex"], "ok"),
        (["otherbot: noindex, rzen-corpus: noimageai"], "opted_out"),
    ],
)
def test_opt_outs_are_seen_before_the_body_is_read(server, get, tags, reason):
    async def tagged(writer, nth, head):
        lines = "".join(f"X-Robots-Tag: {tag}\r\n" for tag in tags)
        writer.write(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 4\r\n\r\n".encode())
        if reason == "ok":
            writer.write(b"body")
        await asyncio.Event().wait()

    server.routes["/a"] = tagged
    result = get(server.url("/a"))
    assert (result.reason, result.retryable) == (reason, False)


def test_an_opt_out_may_be_overruled_by_the_settings(server, get):
    server.answer("/a", b"body", X_Robots_Tag="noai")
    assert get(server.url("/a"), respect_opt_out=False).reason == "ok"


def test_an_error_is_an_error_whatever_its_tags_say(server, get):
    server.answer("/a", status="404 Not Found", X_Robots_Tag="noindex")
    assert get(server.url("/a")).reason == "http_404"


def test_strange_bytes_in_headers_come_out_printable(server, get):
    server.raw(
        "/a", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: image/\xff\xfe\r\nRetry-After: \xff\r\n\r\nx"
    )
    result = get(server.url("/a"))
    assert result.reason == "ok"
    assert result.content_type.isascii()


def test_https(server, settings, fetch_all, certified):
    server.answer("/a", PHOTO)
    urls = [f"https://localhost:{certified}/a"] * 5 + [f"https://127.0.0.1:{certified}/a"]
    results = fetch_all(urls, settings(private_allowlist=("127.0.0.1", "::1"), concurrency=1))
    assert {(result.reason, result.body) for result in results[:5]} == {("ok", PHOTO)}
    assert results[5].reason == "tls_failed"  # the certificate is another name's
    assert server.connections == 1


def test_a_certificate_from_nowhere(server, settings, fetch_all, certified, monkeypatch):
    monkeypatch.setattr("pipelines.fetch.client._tls", ssl.create_default_context)
    (result,) = fetch_all(
        [f"https://localhost:{certified}/a"], settings(private_allowlist=("127.0.0.1", "::1"), max_attempts=3)
    )
    assert (result.reason, result.attempts) == ("tls_failed", 1)
    assert not server.heads


def test_credentials_in_a_url_are_not_sent(server, get):
    server.answer("/a", b"body")
    assert get(f"http://user:secret@{server.address}/a").reason == "ok"
    assert "Authorization" not in server.heads[0]
    assert "secret" not in server.heads[0]


def test_nothing_in_a_url_reaches_the_request_as_a_line_of_its_own(server, get):
    get(server.url("/a b\r\nX-Evil: 1?\r\nX-Evil: 2#\r\nX-Evil: 3"))
    assert all("\nX-Evil" not in head for head in server.heads)


def test_a_connection_that_leads_elsewhere_than_it_should_is_not_used(get, monkeypatch):
    class Diverted(socket.socket):
        def getpeername(self):
            return ("10.0.0.1", 80)

    async def start_connection(*args, **kwargs):
        return Diverted()

    monkeypatch.setattr("aiohappyeyeballs.start_connection", start_connection)
    result = get("http://8.8.8.8/a")
    assert (result.reason, result.detail) == ("private_address", "8.8.8.8 is connected to 10.0.0.1")
