"""The client `vllm`: feeds an engine in a process of its own, and starts it again when it dies or hangs.

Two threads work for it: one starts the engine and sends it requests, the watchdog of each engine takes the responses
and ends the engine when none come. What was in flight then is sent again (see `serving.vllm.queue`).

Why not `vllm serve` as the child, behind an OpenAI-compatible client? `python -m benchmarks.vllm_serve` compares both
under the same supervision, on two CPU cores with the test VLM. Captions are the same, a killed engine is replaced in
the same time, memory is equal (2.5 GB), and small pictures come out at least as fast (1.2 times, on a busy machine).
But an image of 768 × 768 costs 100 ms of processor time on its way to the engine (PNG and base64, there and back),
against 27 ms as raw pixels: a GPU that captions a hundred images a second would need ten cores to be fed instead of
three, or other pixels (JPEG). And more than half of the code would stay: the queue, the watchdog, the process group and
its reaper; a slow request could be told from a hang only by polling the server's metrics.
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
from serving.vllm.server import Config
from serving.vllm.settings import VllmSettings
from serving.vllm.supervisor import EngineHandle, EngineProcess, Watchdog

VLLM = "serving.vllm.engine:open_engine"


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What a client's engine has done so far, over all its starts."""

    images: int = 0  # of requests that were answered
    prompt_tokens: int = 0
    completion_tokens: int = 0
    busy_s: float = 0.0  # in which the engine had requests, as it reports every second
    started_s: float = 0.0  # that all starts took, from an empty process to a loaded model
    restarts: int = 0


class VllmClient:
    """A `ModelClient`: one replica of a model, on the GPUs that this process sees. Starts with the first request.

    `settings.model` is what vLLM loads: a repository or a folder. `images`: how many a request may have, at most.
    `chat_template` (Jinja) and `stop_token_ids` are for a model that is published without; the latter add to its own.
    `engine` names what opens the engine in its process, `start` starts that process.
    """

    def __init__(
        self,
        settings: VllmSettings,
        sampling: SamplingSettings | None = None,
        *,
        images: int = 1,
        chat_template: str = "",
        stop_token_ids: Sequence[int] = (),
        engine: str = VLLM,
        start: Callable[[Config], EngineProcess] = EngineHandle,
    ) -> None:
        self._settings = settings
        self._start_process = start
        self._config: Config = {
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
        self._closed = ""  # why no more requests are taken
        self._thread: threading.Thread | None = None
        self._watchdog: Watchdog | None = None  # of the engine, from its start to its end
        self._failed_starts = 0  # since the last response
        self._found_poison = False  # since then
        self._started_once = False
        self._stats = EngineStats(restarts=-1)  # of engines that are gone; the first start makes it 0
        atexit.register(self.close)

    def submit(self, request: ModelRequest) -> Future[ModelResponse[Any]]:
        """Enqueue a request. Waits while `max_in_flight` of them are under way. Raises BackendError at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._queue) < self._settings.capacity)
            if self._closed:
                raise BackendError(self._closed)
            queued = QueuedRequest(next(self._numbers), request)
            queued.future.set_running_or_notify_cancel()  # it is under way: nobody can cancel it
            self._queue.add(queued)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run_loop, name="engine client", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return queued.future

    def stats(self) -> EngineStats:
        """What was done so far."""
        with self._changed:
            busy_s = self._stats.busy_s + (self._watchdog.busy_s if self._watchdog else 0.0)
            return replace(self._stats, busy_s=busy_s, restarts=max(0, self._stats.restarts))

    @property
    def process_group(self) -> int | None:
        """The group of all processes of the engine; None while there is none."""
        watchdog = self._watchdog
        return watchdog.engine.group if watchdog else None

    def close(self) -> None:
        """Stop the engine. What is not answered ends with BackendError. A second call does nothing."""
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
        """Start an engine where there are requests for one, and send requests where there is an engine."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._can_start() or self._can_send())
                if self._closed:
                    return
                watchdog, queued = self._watchdog, self._queue.send_next() if self._watchdog else None
                if watchdog is not None and len(self._queue.in_flight) == 1:
                    watchdog.reset()  # the time in which it had nothing to do is no stall
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
        """Start an engine; "", or why there can be none."""
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
        """Whether the engine has any request in flight."""
        return bool(self._queue.in_flight)

    def on_ready(self, seconds: float) -> None:
        """The engine has loaded its model."""
        with self._changed:
            self._started_once = True
            self._stats = replace(self._stats, started_s=self._stats.started_s + seconds)
            self._changed.notify_all()

    def on_responses(self, responses: list[tuple[int, ModelResponse[Any]]]) -> None:
        """Some requests are answered."""
        with self._changed:
            received = [(self._queue.in_flight.pop(number, None), response) for number, response in responses]
            done = [(queued, response) for queued, response in received if queued is not None]  # None: closed meanwhile
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
        """The engine is gone, and all its processes with it."""
        with self._changed:
            self._watchdog = None
            self._stats = replace(self._stats, busy_s=self._stats.busy_s + watchdog.busy_s)
            poison = self._queue.engine_died() if watchdog.ready else None
            max_restarts = self._settings.max_restarts
            if poison is not None and not self._found_poison:
                self._found_poison = True
                self._failed_starts = min(self._failed_starts, max_restarts)  # the next start shows if it was alone
            hopeless = self._failed_starts > max_restarts or (watchdog.refused and not self._started_once)
            self._changed.notify_all()
        if poison is not None:
            poison.future.set_result(ModelResponse(error="engine_died", detail=watchdog.reason))
        if hopeless:
            count = f"{self._failed_starts} starts without an answer" if self._started_once else "it never started"
            self._close(f"vLLM: {watchdog.reason} ({count}). Its log ends with:\n{log_end}")
