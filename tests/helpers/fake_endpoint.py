"""A real HTTP server that speaks /v1/chat/completions, can read numbers in images, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from serving.request import Pixels

_BITS, _BLOCK_PX = 16, 8  # a number is 4×4 blocks, black or white: no JPEG makes them illegible


def picture(number: int) -> Pixels:
    """An image that shows a number from 0 to 65535, uint8 (32, 32, 3)."""
    bits = (number >> np.arange(_BITS)) & 1
    blocks = (bits.reshape(4, 4) * 255).astype(np.uint8)
    return np.repeat(blocks.repeat(_BLOCK_PX, 0).repeat(_BLOCK_PX, 1)[..., None], 3, 2)


def number_in(pixels: Pixels) -> int:
    """The number that an image of `picture` shows."""
    middles = pixels[_BLOCK_PX // 2 :: _BLOCK_PX, _BLOCK_PX // 2 :: _BLOCK_PX, 0].ravel() > 127
    return int((middles.astype(np.int64) << np.arange(_BITS)).sum())


def caption_of(*numbers: int) -> str:
    """What the server says of pictures of these numbers, in this order."""
    return "numbers " + " ".join(map(str, numbers))


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; `nth` counts from 1."""

    nth: int
    raw: bytes
    headers: dict[str, str]
    http: web.Request

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def parts(self) -> list[dict[str, Any]]:
        (message,) = self.body["messages"]
        assert message["role"] == "user"
        return message["content"]

    @property
    def images(self) -> list[tuple[str, Pixels]]:
        """Media type and RGB pixels of each."""
        urls = [part["image_url"]["url"] for part in self.parts if part["type"] == "image_url"]
        found = []
        for url in urls:
            head, _, data = url.partition(";base64,")
            stored = np.frombuffer(base64.b64decode(data, validate=True), np.uint8)
            pixels = cv2.imdecode(stored, cv2.IMREAD_COLOR_RGB)
            assert pixels is not None
            found.append((head.removeprefix("data:"), pixels.astype(np.uint8, copy=False)))
        return found

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(number_in(pixels) for _, pixels in self.images)


Behave = Callable[[Asked], Awaitable[web.StreamResponse | None]]


class FakeEndpoint:
    """Captions what it is asked, unless `behave` gives another response. `peak` is the most it had in flight."""

    def __init__(self, behave: Behave | None = None) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.in_flight = self.peak = 0
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._open())

    def wait_until(self, state: Callable[[], bool]) -> None:
        """Return once `state()`, which is looked at whenever a request comes or goes."""
        with self._changed:
            assert self._changed.wait_for(state, 20), "the server waited in vain"

    def soon(self, call: Callable[[], object]) -> None:
        """Have something called in the server's thread, such as an asyncio.Event's `set`."""
        self._loop.call_soon_threadsafe(call)

    def stop(self) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _open(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        for path in ("chat/completions", "embeddings"):
            app.router.add_post(f"/v1/{path}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        with self._counted():
            raw = await request.read()
            with self._changed:
                asked = Asked(len(self.asked) + 1, raw, dict(request.headers), request)
                self.asked.append(asked)
                self._changed.notify_all()
            response = await self.behave(asked) if self.behave else None
            return completion(caption_of(*asked.numbers)) if response is None else response

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.in_flight -= 1
                self._changed.notify_all()


def completion(text: str | None, finish_reason: str = "stop") -> web.Response:
    """A good answer."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 70, "completion_tokens": 5, "total_tokens": 75}
    return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})


def failure(status: int, message: str = "planted", **headers: str) -> web.Response:
    """An error as vLLM and OpenAI say it; header names are written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=named)


@contextmanager
def refusing_port() -> Iterator[str]:
    """The base URL of a port where nobody listens, and nobody else will as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"
