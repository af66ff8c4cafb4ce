"""An engine's process, as the captioner that started it sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from recaption.engine_process import Config
from recaption.engine_wire import Header, WireClosed, receive, request_frame, send, socket_pair, tick_every
from recaption.requests import Request

TICK_S = 0.5

_LOG_BYTES = 4 << 20  # of the engine's output; beyond that its beginning is forgotten
_STOP_S = 10.0  # for the engine to clean up behind itself
# A new interpreter with this one's path, and not a process of `multiprocessing`: that would run the main module again,
# whatever that imports; and a worker of a pool may have no children.
_PROGRAM = """
import json, runpy, sys
sys.path[:] = json.loads(sys.argv.pop(1))
runpy.run_module("recaption.engine_main", run_name="__main__", alter_sys=True)
"""


class EngineHandle:
    """Starts the process; the engine is there when `receive` has given a header with `ready`."""

    def __init__(self, config: Config) -> None:
        self.started_at = time.monotonic()
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed in `close`
        self._wire, theirs = socket_pair()
        tick_every(self._wire, TICK_S)
        try:
            arguments = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno())]
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
            )
        except OSError:
            self._wire.close()
            self._log.close()
            raise
        finally:
            theirs.close()
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._ended = threading.Event()
        self.stopped = False  # on purpose
        self._send({"config": config})

    @property
    def group(self) -> int:
        """The process group of the engine and all that it starts."""
        return self._process.pid

    def submit(self, number: int, request: Request) -> None:
        """Send a request, waiting while the engine doesn't read. When it is gone nothing happens: `receive` says so."""
        self._send(*request_frame(number, request))

    def receive(self, tick: Callable[[], None]) -> Header:
        """The next header; `tick` is called every TICK_S while none comes. Raises WireClosed when it is gone."""
        return receive(self._wire, tick)[0]

    def stop(self) -> None:
        """Ask the engine to clean up and go, wait shortly, kill what is left. Someone must be in `receive`."""
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
            # Before the leader is waited for: until then the group's number is nobody else's. (macOS refuses where only
            # the dead leader is left.)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, signal.SIGKILL)
            self._process.kill()  # it may not have come so far as to make the group
            self._process.wait()
            self._ended.set()

    def close(self) -> None:
        """`kill`, and let go of the wire and the log. For the one who is in `receive`, after it."""
        self.kill()
        with self._sending:
            self._wire.close()
        self._log.close()

    def _send(self, header: Header, body: list[memoryview] | None = None) -> None:
        with self._sending, suppress(WireClosed):
            send(self._wire, header, body or [])

    def trim_log(self) -> None:
        """Keep the log from growing without end."""
        if os.fstat(self._log.fileno()).st_size > _LOG_BYTES:
            end = self.log_end(_LOG_BYTES // 4)
            self._log.truncate(0)
            self._log.write(end.encode())
            self._log.flush()

    def log_end(self, length: int = 4000) -> str:
        """The last of what the engine's processes have said, at most `length` bytes."""
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), length, max(0, size - length))
        return data.decode(errors="replace").strip()
