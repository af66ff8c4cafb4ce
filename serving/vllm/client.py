"""The client `vllm`: sends requests to an engine in a process of its own, and restarts it when it dies or hangs.

It has two threads: one starts the engine and sends it requests; the watchdog of each engine receives the responses and
kills the engine when none come. Requests in flight are then sent again (see `serving.vllm.queue`).

Why not `vllm serve` as the child process, behind an OpenAI-compatible client? `python -m benchmarks.vllm_serve`
compares both under the same supervision, on two CPU cores with the test VLM. Captions are the same, a killed engine is
replaced in the same time, memory is equal (2.5 GB), and small images are at least as fast (1.2 times, on a busy
machine). But an image of 768 × 768 costs 100 ms of processor time on its way to the engine (PNG and base64, encoded and
decoded), against 27 ms as raw pixels: a GPU that captions a hundred images a second would need ten cores instead of
three, or other pixels (JPEG). More than half of the code would remain: the queue, the watchdog, the process group and
its reaper; and a slow request could be distinguished from a hang only by polling the server's metrics.
"""

from __future__ import annotations

import atexit
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from serving.request import BackendError, ModelRequest, ModelResponse, SamplingSettings
from serving.vllm.queue import QueuedRequest, RequestQueue
from serving.vllm.server import EngineConfig
from serving.vllm.settings import VllmEngineSettings
from serving.vllm.supervisor import EngineHandle, EngineProcess, Watchdog

VLLM = "serving.vllm.engine:open_vllm"
POOLING = "serving.vllm.pooling:open_pooling"  # for PoolingModelSettings


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Statistics of a client's engine, summed over all its starts."""

    images: int = 0  # of answered requests
    prompt_tokens: int = 0
    completion_tokens: int = 0
    busy_s: float = 0.0  # with requests, as the engine reports every second
    started_s: float = 0.0  # of all starts, from the process to the loaded model
    restarts: int = 0


class VllmClient:
    """A `ModelClient` of one replica of a model, on the GPUs that this process sees. The first request starts it.

    `settings.model` is a repository or a folder, as vLLM loads it. `images`: the maximum in a request. `chat_template`
    (Jinja) is for a model without one, `stop_token_ids` add to the model's. `engine` names the function that opens the
    engine in its process, `start` starts that process.
    """

    def __init__(
        self,
        settings: VllmEngineSettings,
        sampling: SamplingSettings | None = None,
        *,
        images: int = 1,
        chat_template: str = "",
        stop_token_ids: Sequence[int] = (),
        engine: str = VLLM,
        start: Callable[[EngineConfig], EngineProcess] = EngineHandle,
    ) -> None:
        self._settings = settings
        self._start_process = start
        self._config: EngineConfig = {
            "engine": engine,
            "settings": settings.model_dump(mode="json"),
            "sampling": (sampling or SamplingSettings()).model_dump(mode="json"),
            "images": images,
            "chat_template": chat_template,
            "stop_token_ids": list(stop_token_ids),
        }
        self._changed = threading.Condition()  # its lock guards all that follows
        self._queue = RequestQueue()
        self._numbers = itertools.count()
        self._closed = ""  # why no more requests are accepted
        self._thread: threading.Thread | None = None
        self._watchdog: Watchdog | None = None  # of the engine, from its start to its end
        self._failed_starts = 0  # since the last response
        self._found_poison = False  # since the last response
        self._started_once = False
        self._stats = EngineStats(restarts=-1)  # of earlier engines; the first start makes it 0
        atexit.register(self.close)

    def submit(self, request: ModelRequest) -> Future[ModelResponse[Any]]:
        """Enqueues a request, and waits while `max_in_flight` are. Raises BackendError once the client has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._queue) < self._settings.capacity)
            if self._closed:
                raise BackendError(self._closed)
            queued = QueuedRequest(next(self._numbers), request)
            queued.future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
            self._queue.add(queued)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run_loop, name="engine client", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return queued.future

    def stats(self) -> EngineStats:
        """Returns the statistics of all engines so far."""
        with self._changed:
            busy_s = self._stats.busy_s + (self._watchdog.busy_s if self._watchdog else 0.0)
            return replace(self._stats, busy_s=busy_s, restarts=max(0, self._stats.restarts))

    @property
    def process_group(self) -> int | None:
        """The process group of the engine; None while there is none."""
        watchdog = self._watchdog
        return watchdog.engine.group if watchdog else None

    def close(self) -> None:
        """Stops the engine. Requests in flight end with BackendError. A second call does nothing."""
        self._close("the client was closed")
        for thread in (self._thread, self._watchdog):
            if thread is not None and thread is not threading.current_thread():
                thread.join()
        atexit.unregister(self.close)

    def _close(self, reason: str) -> None:
        with self._changed:
            self._closed = self._closed or reason
            removed, watchdog = self._queue.clear(), self._watchdog
            self._changed.notify_all()
        for queued in removed:
            queued.future.set_exception(BackendError(self._closed))
        if watchdog is not None:
            watchdog.engine.stop()

    def _run_loop(self) -> None:
        """Starts an engine when requests wait for one, and sends requests while there is an engine."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._can_start() or self._can_send())
                if self._closed:
                    return
                watchdog, queued = self._watchdog, self._queue.send_next() if self._watchdog else None
                if watchdog is not None and len(self._queue.in_flight) == 1:
                    watchdog.reset()  # idle time is no stall
                fault = "" if watchdog else self._start()
            if watchdog is not None and queued is not None:
                watchdog.engine.submit(queued.number, queued.request)
            elif fault:
                self._close(fault)

    def _can_start(self) -> bool:
        return self._watchdog is None and bool(self._queue.waiting)

    def _can_send(self) -> bool:
        return self._watchdog is not None and self._watchdog.ready and self._queue.can_send

    def _start(self) -> str:
        """Starts an engine; returns "", or why that is impossible."""
        self._failed_starts += 1
        self._stats = replace(self._stats, restarts=self._stats.restarts + 1)
        try:
            engine = self._start_process(self._config)
        except OSError as error:
            return f"vLLM: no process could be started: {error}"
        self._watchdog = Watchdog(engine, self._settings, self)
        self._watchdog.start()
        return ""

    # `WatchdogListener`, called from the watchdog's thread.

    def has_requests(self) -> bool:
        """Returns whether the engine has any request in flight."""
        return bool(self._queue.in_flight)

    def on_ready(self, seconds: float) -> None:
        """Counts a start that took so many seconds, and lets requests be sent."""
        with self._changed:
            self._started_once = True
            self._stats = replace(self._stats, started_s=self._stats.started_s + seconds)
            self._changed.notify_all()

    def on_responses(self, responses: list[tuple[int, ModelResponse[Any]]]) -> None:
        """Completes the futures of requests by their numbers."""
        with self._changed:
            received = [(self._queue.in_flight.pop(number, None), response) for number, response in responses]
            done = [(queued, response) for queued, response in received if queued is not None]  # None: it was closed
            self._failed_starts, self._found_poison = 0, False
            images = sum(len(queued.request.images) for queued, response in done if not response.error)
            self._stats = replace(
                self._stats,
                images=self._stats.images + images,
                prompt_tokens=self._stats.prompt_tokens + sum(response.prompt_tokens for _, response in done),
                completion_tokens=self._stats.completion_tokens
                + sum(response.completion_tokens for _, response in done),
            )
            self._changed.notify_all()
        for queued, response in done:
            queued.future.set_result(response)

    def on_end(self, watchdog: Watchdog, log_end: str) -> None:
        """Enqueues the requests of a dead engine again; ends the client after too many failed starts."""
        with self._changed:
            self._watchdog = None
            self._stats = replace(self._stats, busy_s=self._stats.busy_s + watchdog.busy_s)
            poison = self._queue.engine_died() if watchdog.ready else None
            max_restarts = self._settings.max_restarts
            if poison is not None and not self._found_poison:
                self._found_poison = True
                self._failed_starts = min(self._failed_starts, max_restarts)  # one more start, without the poison
            hopeless = self._failed_starts > max_restarts or (watchdog.failed_to_load and not self._started_once)
            self._changed.notify_all()
        if poison is not None:
            poison.future.set_result(ModelResponse(error="engine_died", detail=watchdog.reason))
        if hopeless:
            count = f"{self._failed_starts} starts without a response" if self._started_once else "it never started"
            self._close(f"vLLM: {watchdog.reason} ({count}). Its log ends with:\n{log_end}")
