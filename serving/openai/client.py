"""Clients of one or several OpenAI-compatible endpoints that serve the same model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic

from serving.openai.chat import chat_route, yes_no_route
from serving.openai.exchange import REFUSED, CallT, Route, post
from serving.openai.pool import EndpointPool
from serving.openai.settings import EndpointAccess, EndpointSettings
from serving.request import (
    BackendError,
    GenerateRequest,
    ModelResponse,
    PayloadT,
    SamplingSettings,
    Vector,
    YesNoRequest,
)

__all__ = ["EndpointClient", "EndpointSettings", "OpenAiClient"]

_IDLE_S = 2.0  # of an idle connection; servers close it after 5 s (uvicorn, which vLLM and lmdeploy run on)
_MAX_REFUSALS = 100  # refused requests without a single answer: then the settings are wrong, not the requests


class EndpointClient(Generic[CallT, PayloadT]):
    """A `ModelClient` that spreads requests over endpoints and retries failed calls; each request gets one response.

    A response's error is `refused_input` (the server's 400, 413, 422 ...), `timeout`, `server_error`,
    `connection_lost`, `bad_answer` (without what was requested), `rate_limited`, `unreachable` or `unencodable`. When
    the key or a URL is wrong, or no endpoint responds for `max_outage_s`, all requests end with BackendError.

    One event loop in its own thread does all network traffic and completes the futures. Their callbacks must be quick,
    and must not wait for another response or call `submit`, which may wait.
    """

    def __init__(self, settings: EndpointAccess, route: Route[CallT, PayloadT]) -> None:
        self._settings = settings
        self._route: Route[CallT, PayloadT] = route
        self._key = _read_key(settings.api_key_env)
        self._changed = threading.Condition()  # guards the three below
        self._in_flight = 0
        self._close_reason = ""  # why no more requests are accepted
        self._closed = False
        self._tasks: set[asyncio.Task[ModelResponse[PayloadT]]] = (
            set()
        )  # it and the three below are used in the loop's thread
        self._idle_since = 0.0
        self._any_answered = False
        self._refused = 0
        self._encoders = ThreadPoolExecutor(settings.encode_threads, thread_name_prefix="encode")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoints", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def submit(self, request: CallT) -> Future[ModelResponse[PayloadT]]:
        """Enqueues a request, and waits while `concurrency_per_endpoint` requests for each endpoint are in flight.

        Cancelling the future cancels the request. Raises BackendError once the client has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._close_reason or self._in_flight < self._settings.capacity)
            if self._close_reason:
                raise BackendError(self._close_reason)
            self._in_flight += 1
            future: Future[ModelResponse[PayloadT]] = Future()
            self._loop.call_soon_threadsafe(self._begin, request, future)
        return future

    def close(self) -> None:
        """Closes all connections. Requests in flight end with BackendError. A second call does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            # Set before requests in flight are ended below, so that none starts after them.
            self._close_reason = self._close_reason or "the client was closed"
            self._changed.notify_all()
        asyncio.run_coroutine_threadsafe(self._close_session(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._encoders.shutdown()

    # What follows runs in the loop's thread.

    async def _open(self) -> None:
        import aiohttp  # not at the top: see `serving.openai.exchange`

        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_s),
            headers=headers,
            auto_decompress=False,  # no encoding is accepted, and a small body could become a huge one
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._pool = EndpointPool(self._settings, self._on_exhausted)

    async def _close_session(self) -> None:
        self._end(self._close_reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def _begin(self, request: CallT, future: Future[ModelResponse[PayloadT]]) -> None:
        if not self._tasks and self._loop.time() - self._idle_since > _IDLE_S:
            self._pool.reset()
        task = self._loop.create_task(self._respond(request))
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, future))
        future.add_done_callback(partial(self._cancel, task))
        if self._close_reason:
            task.cancel()

    def _cancel(self, task: asyncio.Task[ModelResponse[PayloadT]], future: Future[ModelResponse[PayloadT]]) -> None:
        """Cancels the task of a cancelled future. Runs in the thread that cancelled it."""
        if future.cancelled():
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the task has ended
                self._loop.call_soon_threadsafe(task.cancel)

    def _finish(self, future: Future[ModelResponse[PayloadT]], task: asyncio.Task[ModelResponse[PayloadT]]) -> None:
        self._tasks.discard(task)
        self._idle_since = self._loop.time()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, BackendError):
            self._end(str(error))
        with self._changed:
            self._in_flight -= 1
            self._changed.notify()
        if not future.set_running_or_notify_cancel():
            return
        if task.cancelled():
            future.set_exception(BackendError(self._close_reason))
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())

    def _end(self, reason: str) -> None:
        """Stops accepting requests and cancels those in flight. The first reason is reported."""
        with self._changed:
            self._close_reason = self._close_reason or reason
            self._changed.notify_all()
        for task in self._tasks:
            task.cancel()

    def _on_exhausted(self, reason: str) -> None:
        if self._tasks:
            self._end(reason)
        else:  # no request came for a while
            self._pool.reset()

    async def _respond(self, request: CallT) -> ModelResponse[PayloadT]:
        try:
            body = await self._loop.run_in_executor(self._encoders, self._route.body, request)
        except ValueError as error:
            return ModelResponse(error="unencodable", detail=str(error)[:200])
        del request  # its pixels are many times the body
        answer = await self._call(body)
        if not answer.error:
            self._any_answered = True
        elif answer.error == REFUSED:
            self._refused += 1
            if self._refused >= _MAX_REFUSALS and not self._any_answered:
                raise BackendError(
                    f"all of the first {self._refused} requests were refused: {answer.detail}. "
                    f"Check {self._route.check}"
                )
        return answer

    async def _call(self, body: bytes) -> ModelResponse[PayloadT]:
        """Calls endpoints until one responds, or the request itself must be the cause of the failures."""
        settings, loop = self._settings, self._loop
        faults = failures = 0
        first = 0.0
        endpoint = None
        while True:
            endpoint = await self._pool.acquire(avoid=endpoint)
            began = loop.time()
            try:
                outcome = await post(self._session, endpoint.url, body, settings, self._key, self._route)
            finally:
                self._pool.release(endpoint)
            if isinstance(outcome, ModelResponse):
                self._pool.record_success(endpoint)
                return outcome
            self._pool.record_failure(endpoint, outcome.detail, outcome.wait_s)
            failures += 1
            first = first or loop.time()
            faults += outcome.fault == "request" or (outcome.fault == "unclear" and endpoint.last_success_at > began)
            # A request that no endpoint accepts while others are answered must end, too.
            stuck = loop.time() - first > settings.max_outage_s and not self._pool.failing
            if faults >= settings.max_attempts or stuck:
                return ModelResponse(error=outcome.error, detail=outcome.detail)
            bound_s = min(settings.max_backoff_s, settings.backoff_s * 2.0 ** min(failures - 1, 60))
            # Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
            await asyncio.sleep(random.uniform(0.0, bound_s))


class OpenAiClient(EndpointClient[GenerateRequest, str]):
    """The client `openai`, of texts."""

    def __init__(self, settings: EndpointSettings, sampling: SamplingSettings) -> None:
        super().__init__(settings, chat_route(settings, sampling))


class OpenAiYesNo(EndpointClient[YesNoRequest, Vector]):
    """The client `openai`, of questions that are answered by Yes or No."""

    def __init__(self, settings: EndpointSettings) -> None:
        super().__init__(settings, yes_no_route(settings))


def _read_key(variable: str) -> str:
    """Returns the key in an environment variable; "" for no name. Raises BackendError."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise BackendError(f"api_key_env: the environment variable {variable} is not set, or empty")
    if not key.isascii() or not key.isprintable():
        raise BackendError(f"api_key_env: the environment variable {variable} holds more than a key")
    return key
