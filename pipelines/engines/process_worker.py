"""Worker processes of this machine, and the host that starts them.

Each has two threads here, one that sends and one that receives, so that a process that hangs holds up nobody. All end
with this process, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from typing import Any

from corpus.processes import ParentPipe
from corpus.stage import Resources
from pipelines.engines.process_main import run_worker
from pipelines.engines.workers import MAX_HELD, NumberedJob, Reports, Usage

# Libraries would otherwise start a thread per core in every worker. They read these once, when they are loaded.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")

_LEAVE_S = 30.0  # for a process that closes what it holds
_STOP_S = 5.0  # for one that only removes its temporary files
_POLL_S = 1.0
_MAX_HEARTBEAT_S = 10.0

_environment_lock = threading.Lock()


class ProcessHost:
    """This machine. Of its cores, each busy worker takes those that its job needs.

    What waits on a network takes none, and what has a GPU doesn't wait for one: such a process is alone with the GPUs,
    for every process would see the same ones.
    """

    reserves_cores = True

    def __init__(self, workers: int, stall_timeout_s: float) -> None:
        self._workers = workers
        self._threads = max(1, (os.cpu_count() or 1) // workers)
        self._heartbeat_s = min(stall_timeout_s / 5, _MAX_HEARTBEAT_S)
        self._processes: list[ProcessWorker] = []
        self._pickled: dict[NumberedJob, bytes] = {}
        self._reaper: Reaper | None = None

    def can_start(self, resources: Resources, usage: Usage) -> bool:
        """See `WorkerHost.can_start`."""
        return not (resources.gpus and usage.busy.gpus + usage.idle.gpus)

    def can_work(self, resources: Resources, usage: Usage) -> bool:
        """See `WorkerHost.can_work`."""
        if resources.waits_on_network:
            return usage.busy.network < self._workers
        used = usage.busy.cpus
        return bool(resources.gpus) or not used or used + min(resources.cpus, self._workers) <= self._workers

    def create(self, job: NumberedJob, reports: Reports) -> ProcessWorker:
        """See `WorkerHost.create`."""
        if self._reaper is None:
            self._reaper = Reaper()
        self._processes = [process for process in self._processes if not process.has_ended.is_set()]
        worker = ProcessWorker(self, reports, self._reaper, self._threads, self._heartbeat_s)
        self._processes.append(worker)
        return worker

    def pickle(self, job: NumberedJob) -> bytes:
        """Returns a job pickled, which is kept: it may be large, and goes to many processes."""
        if job not in self._pickled:
            self._pickled[job] = pickle.dumps(job.job)
        return self._pickled[job]

    def release(self, job: NumberedJob) -> None:
        """See `WorkerHost.release`."""
        self._pickled.pop(job, None)

    def close(self) -> None:
        """See `WorkerHost.close`."""
        deadline = time.monotonic() + 2 * _STOP_S
        for process in self._processes:
            process.stop()
        for process in self._processes:
            process.has_ended.wait(max(0.0, deadline - time.monotonic()))


class Reaper:
    """A thread that kills processes which have not ended in time."""

    def __init__(self) -> None:
        self._entries: SimpleQueue[tuple[float, ProcessWorker]] = SimpleQueue()
        threading.Thread(target=self._run, name="reaper", daemon=True).start()

    def add(self, process: ProcessWorker, seconds: float) -> None:
        """Kills a process if it has not ended in so many seconds."""
        self._entries.put((time.monotonic() + seconds, process))

    def _run(self) -> None:
        pending: list[tuple[float, ProcessWorker]] = []
        while True:
            next_s = min((deadline for deadline, _ in pending), default=None)
            with contextlib.suppress(Empty):
                timeout = None if next_s is None else max(0.0, next_s - time.monotonic())
                pending.append(self._entries.get(timeout=timeout))
            now = time.monotonic()
            for deadline, process in pending:
                if deadline <= now:
                    process.kill()
            pending = [entry for entry in pending if entry[0] > now and not entry[1].has_ended.is_set()]


class ProcessWorker:
    """A worker process."""

    def __init__(self, host: ProcessHost, reports: Reports, reaper: Reaper, threads: int, heartbeat_s: float) -> None:
        self.name = "a process that is being started"
        self.has_heartbeats = heartbeat_s > 0
        self.has_ended = threading.Event()
        self._host = host
        self._reports = reports
        self._reaper = reaper
        self._held: OrderedDict[NumberedJob, None] = OrderedDict()  # the one used last at the end
        self._outbox: SimpleQueue[tuple[str, int, Any]] = SimpleQueue()
        self._parent_pipe = ParentPipe()
        spawn = multiprocessing.get_context("spawn")
        self._connection, self._child_connection = spawn.Pipe()
        self._process = spawn.Process(
            target=run_worker, args=(self._child_connection, self._parent_pipe.child_end, heartbeat_s), name="worker"
        )
        self._state = threading.Lock()
        self._is_started = self._is_stopped = False
        threading.Thread(target=self._send_all, args=(threads,), name="to worker", daemon=True).start()

    def holds(self, job: NumberedJob) -> bool:
        """See `Worker.holds`."""
        return job in self._held

    def start(self, job: NumberedJob, number: int, item: Any) -> None:
        """See `Worker.start`."""
        if job not in self._held:
            while len(self._held) >= MAX_HELD:
                self.release(next(iter(self._held)))
            self._outbox.put(("open", job.number, job))
        self._held[job] = None
        self._held.move_to_end(job)
        self._outbox.put(("item", number, (job.number, item)))

    def release(self, job: NumberedJob) -> None:
        """See `Worker.release`."""
        if job in self._held:
            del self._held[job]
            self._outbox.put(("close", job.number, None))

    def leave(self) -> None:
        """See `Worker.leave`."""
        self._outbox.put(("leave", 0, None))
        self._reaper.add(self, _LEAVE_S)

    def stop(self) -> None:
        """See `Worker.stop`. A process that is frozen is killed a little later."""
        with self._state:
            if self._is_stopped:
                return
            self._is_stopped = True
            if self._is_started:
                self._parent_pipe.close()
        self._reaper.add(self, _STOP_S)

    def kill(self) -> None:
        """Kills the process, if there is one."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._process.kill()

    # The sending thread.

    def _send_all(self, threads: int) -> None:
        resource_tracker.ensure_running()  # started together with a process, it would let SIGINT through again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the process inherits it: Ctrl-C is its parent's
        if not self._start_process(threads):
            return
        kind = ""
        while kind != "leave":
            kind, number, content = self._outbox.get()
            try:
                payload = self._to_bytes(kind, content)
            except Exception as error:  # noqa: BLE001 - of jobs and items that can't be pickled
                self._refuse(kind, number, content, error)
                continue
            try:
                self._connection.send((kind, number, payload))
            except (OSError, ValueError):  # it has ended, which the receiving thread reports; else it has to
                self.kill()
                return

    def _start_process(self, threads: int) -> bool:
        try:
            with child_environment(threads):
                self._process.start()
        except Exception as error:  # noqa: BLE001 - a lack of memory or of processes, most likely
            for end in (self._parent_pipe, self._connection, self._child_connection):
                end.close()
            self.has_ended.set()
            self._reports.ended(f"no process could be started: {type(error).__name__}: {error}")
            return False
        self.name = f"process {self._process.pid}"
        with self._state:
            self._is_started = True
            if self._is_stopped:
                self._parent_pipe.close()
        self._child_connection.close()
        threading.Thread(target=self._receive_all, name="from worker", daemon=True).start()
        return True

    def _to_bytes(self, kind: str, content: Any) -> bytes:
        if kind == "open":
            return self._host.pickle(content)
        return pickle.dumps(content) if kind == "item" else b""

    def _refuse(self, kind: str, number: int, content: Any, error: BaseException) -> None:
        if kind == "open":
            self._reports.not_opened(content, error)
        else:
            self._reports.failed(number, error)

    # The receiving thread.

    def _receive_all(self) -> None:
        fault = ""
        try:
            while self._process.is_alive() or self._connection.poll():
                # An end is not always seen: a process that the worker forked may have the pipe as well.
                if self._connection.poll(_POLL_S):
                    self._handle(*self._connection.recv())
        except (EOFError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - what it sent can't be read
            fault = f"{type(error).__name__}: {error}"
        self._await_end()
        self._outbox.put(("leave", 0, None))  # ends the sending thread
        self.has_ended.set()
        self._reports.ended(fault or _exit_reason(self._process.exitcode))

    def _handle(self, kind: str, number: int, payload: bytes) -> None:
        reports = self._reports
        if kind == "alive":
            reports.alive()
        elif kind == "finished":
            try:
                result = pickle.loads(payload)  # noqa: S301 - of this program's own worker
            except Exception as error:  # noqa: BLE001 - of results that can't be loaded here
                reports.failed(number, error)
            else:
                reports.finished(number, result)
        elif kind == "failed":
            reports.failed(number, pickle.loads(payload))  # noqa: S301
        else:
            job = next((job for job in list(self._held) if job.number == number), None)
            if job is not None and kind == "opened":
                reports.opened(job)
            elif job is not None:
                reports.not_opened(job, pickle.loads(payload))  # noqa: S301

    def _await_end(self) -> None:
        if self._process.is_alive():  # asked first: `join` waits for a pipe, which a forked process may have as well
            self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_STOP_S)
        self._parent_pipe.close()
        self._connection.close()


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextlib.contextmanager
def child_environment(threads: int) -> Iterator[None]:
    """Limits the threads of the processes that are started inside; one thread at a time is inside."""
    with _environment_lock:
        added = {name: str(threads) for name in _THREAD_LIMITS if name not in os.environ}
        os.environ.update(added)
        try:
            yield
        finally:
            for name in added:
                del os.environ[name]
