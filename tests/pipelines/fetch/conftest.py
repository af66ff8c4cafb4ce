"""A real server on loopback that does exactly what a test tells it, good or bad."""

import asyncio
import datetime
import socket
import ssl
import threading
from collections import Counter

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipelines.fetch import FetchSettings, fetch

# Short limits, so that what must run into one does so at once.
QUICK = {
    "total_timeout_s": 5.0,
    "connect_timeout_s": 2.0,
    "read_timeout_s": 3.0,
    "max_bytes": 100_000,
    "max_attempts": 1,
    "backoff_s": 0.01,
    "max_backoff_s": 0.02,
}


class Server:
    """`routes[path]` is an async function of (writer, nth request of that path, request head)."""

    def __init__(self):
        self.routes = {}
        self.heads = []
        self.counts = Counter()
        self.connections = 0
        self.greeting = b""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        plain = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._listeners = [plain]
        self.port = plain.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def listen(self, context):
        """Serve the same over TLS on another port, which is returned."""
        secure = self._call(asyncio.start_server(self._serve, "localhost", 0, ssl=context, family=socket.AF_INET))
        self._listeners.append(secure)
        return secure.sockets[0].getsockname()[1]

    def url(self, path):
        return f"http://{self.address}{path}"

    def answer(self, path, body=b"", status="200 OK", close=False, **headers):
        """Serve a whole response; header names are written with _ for -."""
        head = {"Content-Length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.raw(path, response_bytes(status, head, body), close)

    def raw(self, path, data, close=True):
        """Serve these bytes, whatever they are."""

        async def route(writer, nth, head):
            writer.write(data)
            await writer.drain()
            return not close

        self.routes[path] = route

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            writer.write(self.greeting)
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ")[1]
                self.heads.append(head)
                self.counts[path] += 1
                route = self.routes.get(path)
                if route is None:
                    writer.write(response_bytes("404 Not Found", {"Content-Length": 0}))
                elif not await route(writer, self.counts[path], head):
                    break
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()

    def stop(self):
        async def end():
            for listener in self._listeners:
                listener.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for listener in self._listeners:
                await listener.wait_closed()

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def response_bytes(status="200 OK", headers=None, body=b""):
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture
def server():
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def settings(server):
    """Makes settings that may reach the server and nothing else."""

    def make(**changes):
        return FetchSettings(**(QUICK | {"private_allowlist": (server.address,)} | changes))

    return make


@pytest.fixture
def get(settings):
    """Fetches one URL with the given settings changed."""

    def one(url, **changes):
        (result,) = fetch_all([url], settings(**changes))
        return result

    return one


def fetch_all(urls, settings, **options):
    """All results, in the order of the URLs."""
    results = []
    fetch(urls, settings, results.append, **options)
    assert sorted(result.index for result in results) == list(range(len(urls)))
    return sorted(results, key=lambda result: result.index)


@pytest.fixture(name="fetch_all")
def _fetch_all():
    return fetch_all


@pytest.fixture(name="response_bytes")
def _response_bytes():
    return response_bytes


@pytest.fixture
def certified(tmp_path, server, monkeypatch):
    """Puts TLS before the server, with a certificate for "localhost" that the fetcher trusts; gives the port."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "both.pem"
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, *plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=file)
    monkeypatch.setattr("pipelines.fetch.client._tls", lambda: trusting)
    return server.listen(context)
