"""Proxies of the environment, which here are servers on loopback that log what they are asked for."""

import base64
import contextlib
import socket
import threading

import pytest

from corpus.settings import SettingsError
from pipelines.fetch import FetchSettings, fetch
from pipelines.fetch.connection import proxy_of
from pipelines.fetch.url import parse_url

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Sets the variables that name proxies, and only these."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def set_variables(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def names(monkeypatch):
    """Name -> address; all others don't exist."""
    table = {}

    def lookup(host, port, *args, **kwargs):
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (table[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return table


def test_without_the_setting_no_proxy_is_used(server, get, environment):
    environment(http_proxy="http://127.0.0.1:1")
    server.answer("/a", b"direct")
    assert get(server.url("/a")).body == b"direct"


@pytest.mark.parametrize("host", ["8.8.8.8", "public.test", "unknown.test"])
def test_a_proxy_is_asked_for_the_url_as_it_is_written(server, get, environment, names, host):
    """The proxy itself has a private address; a name that this machine can't look up is the proxy's to look up."""
    names |= {"public.test": "93.184.216.34", "proxy.test": "127.0.0.1"}
    environment(http_proxy=f"http://user:word@proxy.test:{server.port}")
    target = f"http://{host}/a%2Fb?c=%7E&d?"
    server.answer(target, b"through")
    result = get(target, trust_env=True, private_allowlist=())
    assert (result.reason, result.body, result.final_url) == ("ok", b"through", target)
    (head,) = server.heads
    assert head.startswith(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n")
    assert f"\r\nProxy-Authorization: Basic {base64.b64encode(b'user:word').decode()}\r\n" in head
    assert "\r\nAuthorization:" not in head


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/a", "http://inner.test/a", "http://127.1/", "https://169.254.169.254/"]
)
def test_a_proxy_is_not_asked_for_what_is_inside(server, get, environment, names, url):
    names["inner.test"] = "10.0.0.1"
    environment(all_proxy=f"http://{server.address}")
    result = get(url, trust_env=True, private_allowlist=(), max_attempts=3)
    assert (result.reason, result.attempts) == ("private_address", 1)
    assert server.connections == 0


def test_a_redirect_that_leads_inside_is_not_asked_of_a_proxy(server, get, environment):
    environment(http_proxy=f"http://{server.address}")
    server.answer("http://8.8.8.8/a", status="302 Found", Location="http://10.0.0.1/b")
    assert get("http://8.8.8.8/a", trust_env=True, private_allowlist=()).reason == "private_address"
    assert [head.split(" ")[1] for head in server.heads] == ["http://8.8.8.8/a"]


def test_hosts_of_no_proxy_are_asked_directly(server, get, environment):
    environment(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1,example.com")
    server.answer("/a", b"direct")
    assert get(server.url("/a"), trust_env=True).body == b"direct"


def test_one_connection_to_a_proxy_serves_the_urls_of_a_host(server, settings, fetch_all, environment):
    environment(http_proxy=server.address)  # as curl takes it, too
    urls = [f"http://8.8.8.8/{number}" for number in range(10)]
    for url in urls:
        server.answer(url, url.encode())
    results = fetch_all(urls, settings(trust_env=True, concurrency=1, private_allowlist=()))
    assert [result.body.decode() for result in results] == urls
    assert server.connections == 1


@pytest.fixture
def tunnel():
    """A proxy that does nothing but CONNECT; gives its port and the heads of the requests."""
    heads = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve():
        with contextlib.suppress(OSError):  # the listener is closed at the end
            while True:
                near, _ = listener.accept()
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += near.recv(1)
                heads.append(head.decode())
                far = socket.create_connection(("127.0.0.1", int(head.split(b" ")[1].rpartition(b":")[2])))
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(source, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], heads
    listener.close()


def test_https_goes_through_a_tunnel(server, settings, fetch_all, environment, certified, tunnel):
    """The proxy sees no more than the host's name and port; the certificate is the host's to show."""
    port, heads = tunnel
    environment(https_proxy=f"http://127.0.0.1:{port}")
    server.answer("/secret?token=1", b"x" * 90_000)
    urls = [f"https://localhost:{certified}/secret?token=1"] * 5 + [f"https://127.0.0.1:{certified}/"]
    results = fetch_all(urls, settings(trust_env=True, concurrency=1, private_allowlist=("127.0.0.1", "::1")))
    assert [(result.reason, len(result.body)) for result in results[:5]] == [("ok", 90_000)] * 5
    assert results[5].reason == "tls_failed"  # the certificate is another name's
    assert [head.split("\r\n")[0] for head in heads[:2]] == [
        f"CONNECT localhost:{certified} HTTP/1.1",
        f"CONNECT 127.0.0.1:{certified} HTTP/1.1",
    ]


def test_a_proxy_that_refuses_or_is_not_there_is_a_failed_connection(server, get, environment):
    environment(https_proxy=f"http://{server.address}", http_proxy="http://127.0.0.1:1")
    server.answer("8.8.8.8:443", status="407 Proxy Authentication Required")
    refused = get("https://8.8.8.8/", trust_env=True)
    absent = get("http://8.8.8.8/", trust_env=True)
    assert (refused.reason, refused.detail) == ("connection_failed", "the proxy answered 407")
    assert (absent.reason, absent.retryable) == ("connection_failed", True)


def test_a_proxy_that_cannot_be_used_is_named_without_its_password(environment):
    environment(http_proxy="socks5://user:secret@127.0.0.1:1080")
    with pytest.raises(SettingsError, match=r"socks5.*http:// and https:// proxies work") as raised:
        fetch(["http://8.8.8.8/"], FetchSettings(trust_env=True), print)
    assert "secret" not in str(raised.value)


def test_the_proxy_of_a_url_is_that_of_its_scheme(environment):
    assert proxy_of(parse_url("http://8.8.8.8/")) is None
    environment(https_proxy="https://one.test:8443", ALL_PROXY="two.test")
    assert str(proxy_of(parse_url("https://8.8.8.8/")).url) == "https://one.test:8443/"
    assert str(proxy_of(parse_url("http://8.8.8.8/")).url) == "http://two.test/"
