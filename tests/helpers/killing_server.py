"""A web server of small images that counts its requests, and kills a process at one of them."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.helpers.small_worlds import picture


class KillingServer:
    """Serves /N.png for N below `images`, each another picture; every tenth is missing."""

    def __init__(self, images: int) -> None:
        self.images = images
        self._bodies = [picture(number, "PNG", (6, 5)) for number in range(images)]
        self._lock = threading.Lock()
        self._victim: tuple[int, int] | None = None
        self.requests: Counter[int] = Counter()
        self.address = ""

    def urls(self) -> list[str]:
        return [f"http://{self.address}/{number}.png" for number in range(self.images)]

    def kill_at(self, request: int, pid: int) -> None:
        """Sends SIGKILL to a process when so many requests have come."""
        with self._lock:
            self._victim = request, pid

    def body(self, number: int) -> bytes | None:
        with self._lock:
            self.requests[number] += 1
            if self._victim is not None and self.requests.total() >= self._victim[0]:
                os.kill(self._victim[1], signal.SIGKILL)
                self._victim = None
        return None if number % 10 == 3 else self._bodies[number]


@contextmanager
def killing_server(images: int) -> Iterator[KillingServer]:
    found = KillingServer(images)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = found.body(int(self.path.strip("/").partition(".")[0]))
            head = f"HTTP/1.1 {404 if body is None else 200} -\r\nContent-Length: {len(body or b'')}\r\n\r\n"
            self.wfile.write(head.encode() + (body or b""))

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        found.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
