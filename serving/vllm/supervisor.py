"""One start of an engine: its process, as the client that started it sees it, and its watchdog."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from corpus.processes import ChildProcess
from serving.request import ModelRequest, ModelResponse
from serving.vllm import server_main
from serving.vllm.protocol import (
    ConnectionClosed,
    Header,
    read_responses,
    receive,
    request_frame,
    send,
    socket_pair,
    tick_every,
)
from serving.vllm.server import Config
from serving.vllm.settings import VllmSettings

TICK_S = 0.5

_log = logging.getLogger(__name__)
_LOG_BYTES = 4 << 20  # of the engine's output; beyond that its beginning is cut off
_STOP_S = 10.0  # for the engine to clean up behind itself


class EngineProcess(Protocol):
    """An engine in a process of its own."""

    started_at: float  # of time.monotonic()
    stopped: bool  # on purpose

    @property
    def group(self) -> int: ...
    def submit(self, number: int, request: ModelRequest) -> None: ...
    def receive(self, tick: Callable[[], None]) -> tuple[Header, bytes | bytearray]: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...
    def trim_log(self) -> None: ...
    def log_end(self, length: int = 4000) -> str: ...


class EngineHandle:
    """Starts the process; the engine is loaded when `receive` has given a header with `ready`.

    A new interpreter with this one's path, and not a process of `multiprocessing`: that would run the main module
    again, whatever that imports; and a worker of a pool may have no children.
    """

    def __init__(self, config: Config) -> None:
        self.started_at = time.monotonic()
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed in `close`
        self._connection, child_end = socket_pair()
        tick_every(self._connection, TICK_S)
        try:
            self._process = ChildProcess(
                [server_main.__file__, str(child_end.fileno())],
                stdout=self._log,
                stderr=self._log,
                pass_fds=[child_end.fileno()],
                path=sys.path,
                own_group=False,  # until it has started what cleans up behind it
                reaper=True,
            )
        except OSError:
            self._connection.close()
            self._log.close()
            raise
        finally:
            child_end.close()
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._ended = threading.Event()
        self.stopped = False
        self._send({"config": config})

    @property
    def group(self) -> int:
        """The process group of the engine and all that it starts."""
        return self._process.pid

    def submit(self, number: int, request: ModelRequest) -> None:
        """Send a request, waiting while the engine doesn't read. When it is gone nothing happens: `receive` raises."""
        self._send(*request_frame(number, request))

    def receive(self, tick: Callable[[], None]) -> tuple[Header, bytes | bytearray]:
        """The next frame; `tick` is called every TICK_S while none comes. Raises ConnectionClosed when it is gone."""
        return receive(self._connection, tick)

    def stop(self) -> None:
        """Request a clean end, wait shortly, kill what is left. Another thread must be in `receive`."""
        self.stopped = True
        if self._sending.acquire(timeout=TICK_S):  # not where an engine that hangs lets a request wait
            self._sending.release()
            self._send({"stop": True})
            self._ended.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """End the whole group. Safe to call twice, and from several threads."""
        with self._ending:
            if self._ended.is_set():
                return
            self._process.kill()
            self._ended.set()

    def close(self) -> None:
        """`kill`, and close the connection and the log. For the thread that was in `receive`, after it."""
        self.kill()
        with self._sending:
            self._connection.close()
        self._log.close()

    def _send(self, header: Header, body: list[memoryview] | None = None) -> None:
        with self._sending, suppress(ConnectionClosed):
            send(self._connection, header, body or [])

    def trim_log(self) -> None:
        """Keep the log from growing without end."""
        if os.fstat(self._log.fileno()).st_size > _LOG_BYTES:
            end = self.log_end(_LOG_BYTES // 4)
            self._log.truncate(0)
            self._log.write(end.encode())
            self._log.flush()

    def log_end(self, length: int = 4000) -> str:
        """The end of the output of the engine's processes, at most `length` bytes."""
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), length, max(0, size - length))
        return data.decode(errors="replace").strip()


class WatchdogListener(Protocol):
    """What a watchdog calls, from its thread."""

    def has_requests(self) -> bool: ...
    def on_ready(self, seconds: float) -> None: ...
    def on_responses(self, responses: list[tuple[int, ModelResponse[Any]]]) -> None: ...
    def on_end(self, watchdog: Watchdog, log_end: str) -> None: ...


class Watchdog(threading.Thread):
    """Takes what comes from one start of an engine, and kills it when nothing does. `on_end` is its last call."""

    def __init__(self, engine: EngineProcess, settings: VllmSettings, listener: WatchdogListener) -> None:
        super().__init__(name="engine watchdog", daemon=True)
        self.engine = engine
        self.ready = False
        self.refused = False  # the engine reported at its start why it can't: the next start would end likewise
        self.busy_s = 0.0
        self.reason = "its process ended"
        self._settings = settings
        self._listener = listener
        self._steps = 0.0  # of the engine
        self._progress_at = time.monotonic()  # when they were seen to have grown

    def run(self) -> None:
        try:
            while True:
                self._take(*self.engine.receive(self._tick))
                self._tick()
        except ConnectionClosed:
            self.engine.kill()
        log_end = self.engine.log_end()
        self.engine.close()
        if not self.engine.stopped:
            _log.warning("the engine is gone: %s", self.reason)
        self._listener.on_end(self, log_end)

    def reset(self) -> None:
        """Count from here on the time in which nothing comes."""
        self._progress_at = time.monotonic()

    def _take(self, header: Header, body: bytes | bytearray) -> None:
        if "responses" in header:
            self._advance(header["stats"], bool(header["responses"]))
            if header["responses"]:
                self._listener.on_responses(read_responses(header, body))
        elif "ready" in header:
            self.ready = True
            self._listener.on_ready(time.monotonic() - self.engine.started_at)
        else:
            self.reason = header.get("dead") or f"it could not be started: {header['failed']}"
            self.refused = "failed" in header
            self.engine.kill()

    def _advance(self, stats: dict[str, float], responded: bool) -> None:
        self.busy_s = stats["busy_s"]
        if responded or stats["steps"] > self._steps:
            self._steps = stats["steps"]
            self.reset()

    def _tick(self) -> None:
        """Kill an engine that hangs: then its connection closes."""
        self.engine.trim_log()
        now = time.monotonic()
        if not self.ready:
            if now - self.engine.started_at > self._settings.start_timeout_s:
                self._give_up(f"it was not ready after {self._settings.start_timeout_s:g} s")
        elif self._listener.has_requests() and now - self._progress_at > self._settings.stall_timeout_s:
            self._give_up(f"it hung: requests in flight, and no token for {self._settings.stall_timeout_s:g} s")

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self.engine.kill()
