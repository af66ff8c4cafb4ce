"""The supervision of one start of an engine: a handle of its process, and the watchdog that kills it when it hangs."""

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
from serving.vllm.server import EngineConfig
from serving.vllm.settings import VllmEngineSettings

TICK_S = 0.5

_log = logging.getLogger(__name__)
_LOG_BYTES = 4 << 20  # of the engine's output; of longer output the beginning is cut off
_STOP_TIMEOUT_S = 10.0  # of a clean stop


class EngineProcess(Protocol):
    """An engine in a process of its own."""

    started_at: float  # of time.monotonic()
    stopped: bool  # by `stop`

    @property
    def group(self) -> int:
        """The process group of the engine and all its children."""
        ...

    def submit(self, number: int, request: ModelRequest) -> None:
        """Sends a request, which responses name by its number."""
        ...

    def receive(self, tick: Callable[[], None]) -> tuple[Header, bytes | bytearray]:
        """Waits for the next message, and calls `tick` meanwhile."""
        ...

    def stop(self) -> None:
        """Asks the engine to end."""
        ...

    def kill(self) -> None:
        """Kills the engine and all its children."""
        ...

    def close(self) -> None:
        """Closes the connection and the log."""
        ...

    def trim_log(self) -> None:
        """Shortens a long log to its end."""
        ...

    def log_end(self, length: int = 4000) -> str:
        """Returns the last characters of the log."""
        ...


class EngineHandle:
    """The handle of an engine's process. The engine is loaded when `receive` has returned a header with `ready`.

    The process is a new interpreter with this one's path, and none of `multiprocessing`: that would import the main
    module again, and a daemonic worker of a pool may have no children.
    """

    def __init__(self, config: EngineConfig) -> None:
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
                new_group=False,  # until it has started what cleans up behind it
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
        """The process group of the engine and all its children."""
        return self._process.pid

    def submit(self, number: int, request: ModelRequest) -> None:
        """Sends a request, and waits while the engine doesn't read. Does nothing once it is gone: `receive` raises."""
        self._send(*request_frame(number, request))

    def receive(self, tick: Callable[[], None]) -> tuple[Header, bytes | bytearray]:
        """Waits for the next frame, calling `tick` every TICK_S. Raises ConnectionClosed when the engine is gone."""
        return receive(self._connection, tick)

    def stop(self) -> None:
        """Requests a clean stop, waits shortly, then kills the group. Another thread must be in `receive`."""
        self.stopped = True
        if self._sending.acquire(timeout=TICK_S):  # an engine that hangs may block a sender
            self._sending.release()
            self._send({"stop": True})
            self._ended.wait(_STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """Kills the whole group. Safe to call twice, and from several threads."""
        with self._ending:
            if self._ended.is_set():
                return
            self._process.kill()
            self._ended.set()

    def close(self) -> None:
        """Kills the group and closes connection and log. For the thread that was in `receive`, after it."""
        self.kill()
        with self._sending:
            self._connection.close()
        self._log.close()

    def _send(self, header: Header, body: list[memoryview] | None = None) -> None:
        with self._sending, suppress(ConnectionClosed):
            send(self._connection, header, body or [])

    def trim_log(self) -> None:
        """Cuts a long log to its end."""
        if os.fstat(self._log.fileno()).st_size > _LOG_BYTES:
            end = self.log_end(_LOG_BYTES // 4)
            self._log.truncate(0)
            self._log.write(end.encode())
            self._log.flush()

    def log_end(self, length: int = 4000) -> str:
        """Returns the end of the output of the engine's processes, at most `length` bytes."""
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), length, max(0, size - length))
        return data.decode(errors="replace").strip()


class WatchdogListener(Protocol):
    """The callbacks of a watchdog, called from its thread."""

    def has_requests(self) -> bool:
        """Tells whether the engine has requests that it should respond to."""
        ...

    def on_ready(self, seconds: float) -> None:
        """Learns that the engine is ready, so many seconds after its start."""
        ...

    def on_responses(self, responses: list[tuple[int, ModelResponse[Any]]]) -> None:
        """Takes responses, each with its request's number."""
        ...

    def on_end(self, watchdog: Watchdog, log_end: str) -> None:
        """Learns that the engine has ended, with the end of its log."""
        ...


class Watchdog(threading.Thread):
    """The thread that receives an engine's frames and kills the engine when none come. Its last call is `on_end`."""

    def __init__(self, engine: EngineProcess, settings: VllmEngineSettings, listener: WatchdogListener) -> None:
        super().__init__(name="engine watchdog", daemon=True)
        self.engine = engine
        self.ready = False
        self.failed_to_load = False  # by the engine's own report: the next start would fail likewise
        self.busy_s = 0.0
        self.reason = "its process ended"
        self._settings = settings
        self._listener = listener
        self._steps = 0.0  # of the engine
        self._progress_at = time.monotonic()  # when the steps last grew

    def run(self) -> None:
        """Receives frames until the connection closes; then kills the engine and calls `on_end`."""
        try:
            while True:
                self._handle(*self.engine.receive(self._tick))
                self._tick()
        except ConnectionClosed:
            self.engine.kill()
        log_end = self.engine.log_end()
        self.engine.close()
        if not self.engine.stopped:
            _log.warning("the engine is gone: %s", self.reason)
        self._listener.on_end(self, log_end)

    def reset(self) -> None:
        """Restarts the time without progress."""
        self._progress_at = time.monotonic()

    def _handle(self, header: Header, body: bytes | bytearray) -> None:
        if "responses" in header:
            self._record_progress(header["stats"], bool(header["responses"]))
            if header["responses"]:
                self._listener.on_responses(read_responses(header, body))
        elif "ready" in header:
            self.ready = True
            self._listener.on_ready(time.monotonic() - self.engine.started_at)
        else:
            self.reason = header.get("dead") or f"it could not be started: {header['failed']}"
            self.failed_to_load = "failed" in header
            self.engine.kill()

    def _record_progress(self, stats: dict[str, float], responded: bool) -> None:
        self.busy_s = stats["busy_s"]
        if responded or stats["steps"] > self._steps:
            self._steps = stats["steps"]
            self.reset()

    def _tick(self) -> None:
        """Kills an engine that hangs, which closes its connection."""
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
