"""The local engine runs jobs in a pool of processes on this machine; it is the default.

One worker means this process itself: no process is started, a debugger works, and a `memory://` workspace is shared.
With more, each worker is a process that ends with this one, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import pyarrow as pa

from corpus.child_process import exit_with_parent
from corpus.execution import Job, Outcome
from corpus.printable import escape_messages
from corpus.processes import ParentPipe
from corpus.stage import Resources
from corpus.storage import drop_pending
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.queues import FIRST
from pipelines.engines.scheduler import ResultsByPosition, WorkerCrashed, WorkerSession, run_items
from pipelines.engines.shuffle import ShuffleRead, ShuffleWrite

_I = TypeVar("_I")
_O = TypeVar("_O")

# Libraries would otherwise start a thread per core in every worker. They read these once, when they are loaded.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")

_session: WorkerSession[Any, Any] | None = None  # in the worker process: of the job that it has open


class LocalEngine:
    """Runs jobs in processes of this machine, or in this one."""

    streams = False

    def __init__(self, settings: EngineSettings) -> None:
        cores = os.cpu_count() or 1
        self.workers = settings.workers or cores
        self._threads = max(1, cores // self.workers)
        self._started: list[ProcessWorker] = []
        self._idle: list[ProcessWorker] = []

    def map(self, job: Job[_I, Outcome], items: Sequence[_I], priority: int = FIRST) -> Iterator[Outcome]:
        """See `Engine.map`. With one worker, an item that kills its process ends the run."""
        return self._run(job, items)

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int, priority: int = FIRST
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. The rows wait in temporary files; each worker holds one partition in memory."""
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-shuffle-") as folder:
            write = ShuffleWrite(job, folder, partitions)
            spilled = [path for path in self._run(write, list(enumerate(items))) if path]
            read = ShuffleRead(reduce, folder, tuple(spilled))
            for path in self._run(read, range(partitions)):
                if path:
                    yield pa.ipc.open_file(pa.memory_map(path)).read_all()

    def close(self) -> None:
        """Stops the workers, in the midst of an item too."""
        while self._started:
            self._started.pop().stop()
        self._idle.clear()

    def _run(self, job: Job[_I, _O], items: Sequence[_I]) -> Iterator[_O]:
        return self._run_inline(job, items) if self.workers == 1 else self._in_processes(job, items)

    def _run_inline(self, job: Job[_I, _O], items: Sequence[_I]) -> Iterator[_O]:
        if not items:
            return
        session = WorkerSession.of(job)
        try:
            for position, item in enumerate(items):
                yield from session.start(position, item).values()
            while finished := session.finish():
                yield from finished.values()
        finally:
            session.close()

    def _in_processes(self, job: Job[_I, _O], items: Sequence[_I]) -> Iterator[_O]:
        workers = [self._acquire() for _ in range(min(self._slots(job.resources), len(items)))]
        try:
            yield from run_items(workers, _first_done, job, items)
        finally:
            self._release(workers, keep=not job.resources.holds_model)

    def _slots(self, resources: Resources) -> int:
        if resources.gpus:  # every process would see the same ones; spreading over several is the ray engine's
            return 1
        return max(1, int(self.workers / max(1.0, resources.cpus)))

    def _acquire(self) -> ProcessWorker:
        if self._idle:
            return self._idle.pop()
        worker = ProcessWorker(self._threads)
        self._started.append(worker)
        return worker

    def _release(self, workers: list[ProcessWorker], keep: bool) -> None:
        """Keeps the workers for later jobs, but stop those that still run items, or (`keep` is false) hold a model."""
        for worker in workers:
            if worker not in self._started:
                continue  # the engine was closed meanwhile
            if keep and not worker.assigned:
                self._idle.append(worker)
            else:
                self._started.remove(worker)
                worker.stop()


def _first_done(calls: Collection[Future[ResultsByPosition]]) -> Future[ResultsByPosition]:
    return next(iter(wait(calls, return_when=FIRST_COMPLETED).done))


class ProcessWorker:
    """A worker process. It has an executor of its own, which tells which items it had when it crashed."""

    def __init__(self, threads: int) -> None:
        self.assigned: set[int] = set()
        self._threads = threads
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._parent_pipe = ParentPipe()
        arguments = (self._parent_pipe.child_end, drop_pending)
        self._pool = ProcessPoolExecutor(1, spawn, initializer=exit_with_parent, initargs=arguments)

    def open(self, job: Job[Any, Any]) -> Future[ResultsByPosition]:
        """Opens the job, in place of the one before. Starts the process where it is not running."""
        with _child_environment(self._threads):
            return self._call(_open, job)

    def start(self, position: int, item: Any) -> Future[ResultsByPosition]:
        """See `Worker.start`."""
        return self._call(_start, position, item)

    def finish(self) -> Future[ResultsByPosition]:
        """See `Worker.finish`."""
        return self._call(_finish)

    def _call(self, function: Callable[..., ResultsByPosition], *args: Any) -> Future[ResultsByPosition]:
        try:
            return self._pool.submit(function, *args)
        except BrokenProcessPool as error:  # it crashed while it was idle
            failed: Future[ResultsByPosition] = Future()
            failed.set_exception(error)
            return failed

    def result(self, call: Future[ResultsByPosition]) -> ResultsByPosition:
        """See `Worker.result`."""
        try:
            return call.result()
        except BrokenProcessPool as error:
            raise WorkerCrashed(str(error)) from error

    def replace(self) -> None:
        """Starts a new process in place of a crashed one."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """Ends the process at once, in the midst of an item too: publishing is atomic."""
        self._parent_pipe.close()
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _child_environment(threads: int) -> Iterator[None]:
    """Limits the threads of the processes that are started inside, and leaves Ctrl-C to the parent."""
    added = {name: str(threads) for name in _THREAD_LIMITS if name not in os.environ}
    os.environ.update(added)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            del os.environ[name]


def _open(job: Job[Any, Any]) -> ResultsByPosition:
    global _session
    escape_messages()
    if _session is not None:
        _session.close()
    _session = None  # frees the last model before the next one is loaded
    _session = WorkerSession.of(job)
    return {}


def _start(position: int, item: Any) -> ResultsByPosition:
    assert _session is not None
    return _session.start(position, item)


def _finish() -> ResultsByPosition:
    assert _session is not None
    return _session.finish()
