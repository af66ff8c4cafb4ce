"""The local engine: a pool of processes on this machine, the embedded default.

One worker means this process itself: nothing is started, a debugger works, and a `memory://` workspace is seen. With
more, each worker is a process that ends with this one, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

import pyarrow as pa

from corpus.execution import Outcome, Work
from corpus.printable import escape_messages
from corpus.stage import Resources
from corpus.storage import drop_pending
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.scheduler import Results, WorkerCrashed, WorkerSession, run_items
from pipelines.engines.shuffle import partition_rows

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

# Libraries would otherwise start a thread per core in every worker. They look once, when they are loaded.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")

_session: WorkerSession[Any, Any] | None = None  # in the worker process: of the work that it has open


class LocalEngine:
    """Runs works in processes of this machine, or in this one."""

    def __init__(self, settings: EngineSettings) -> None:
        cores = os.cpu_count() or 1
        self.workers = settings.workers or cores
        self._threads = max(1, cores // self.workers)
        self._started: list[ProcessWorker] = []
        self._idle: list[ProcessWorker] = []

    def map(self, work: Work[I, Outcome], items: Sequence[I]) -> Iterator[Outcome]:
        """See `Engine.map`. With one worker, an item that kills its process kills the run."""
        return self._run(work, items)

    def map_reduce(
        self, work: Work[I, pa.Table], items: Sequence[I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. The rows wait in temporary files; each worker holds one partition in memory."""
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-shuffle-") as folder:
            write = ShuffleWrite(work, folder, partitions)
            spilled = [path for path in self._run(write, list(enumerate(items))) if path]
            read = ShuffleRead(reduce, folder, tuple(spilled))
            for path in self._run(read, range(partitions)):
                if path:
                    yield pa.ipc.open_file(pa.memory_map(path)).read_all()

    def close(self) -> None:
        """Stop the workers, whatever they do."""
        while self._started:
            self._started.pop().stop()
        self._idle.clear()

    def _run(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        return self._run_inline(work, items) if self.workers == 1 else self._in_processes(work, items)

    def _run_inline(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        if not items:
            return
        session = WorkerSession.of(work)
        try:
            for position, item in enumerate(items):
                yield from session.start(position, item).values()
            while finished := session.finish():
                yield from finished.values()
        finally:
            session.close()

    def _in_processes(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        workers = [self._acquire() for _ in range(min(self._slots(work.resources), len(items)))]
        try:
            yield from run_items(workers, _first_done, work, items)
        finally:
            self._release(workers, keep=not work.resources.holds_model)

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
        """Keep the workers for later works, but stop those that still run items, or (`keep` is false) hold a model."""
        for worker in workers:
            if worker not in self._started:
                continue  # the engine was closed meanwhile
            if keep and not worker.held:
                self._idle.append(worker)
            else:
                self._started.remove(worker)
                worker.stop()


def _first_done(calls: Collection[Future[Results]]) -> Future[Results]:
    return next(iter(wait(calls, return_when=FIRST_COMPLETED).done))


@dataclass(frozen=True)
class ShuffleWrite(Generic[I]):
    """The first half of a shuffle, as a work: it writes an item's rows to a file; record batch n is partition n."""

    work: Work[I, pa.Table]
    folder: str
    partitions: int

    @property
    def resources(self) -> Resources:
        return self.work.resources

    def open(self) -> Callable[[tuple[int, I]], str]:
        function = self.work.open()
        return lambda entry: self._write(entry[0], function(entry[1]))

    def lost(self, item: tuple[int, I], why: str) -> str:
        return self._write(item[0], self.work.lost(item[1], why))

    def _write(self, position: int, table: pa.Table) -> str:
        if not table.num_rows:
            return ""
        path = f"{self.folder}/{position}.arrow"
        with pa.ipc.new_file(path, table.schema) as writer:
            for batch in partition_rows(table, self.partitions):
                writer.write_batch(batch)
        return path


@dataclass(frozen=True)
class ShuffleRead:
    """The second half of a shuffle, as a work: it reads a partition from each spilled file and reduces it."""

    reduce: Reduce
    folder: str
    spilled: tuple[str, ...]

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[int], str]:
        return self._reduce

    def lost(self, item: int, why: str) -> str:
        raise RuntimeError(f"partition {item} of a shuffle: {why}")

    def _reduce(self, partition: int) -> str:
        batches = []
        for path in self.spilled:
            with pa.OSFile(path) as file:
                batches.append(pa.ipc.open_file(file).get_batch(partition))
        if not any(batch.num_rows for batch in batches):
            return ""
        reduced = self.reduce(pa.Table.from_batches(batches))
        path = f"{self.folder}/reduced-{partition}.arrow"
        with pa.ipc.new_file(path, reduced.schema) as writer:
            writer.write_table(reduced)
        return path


class ProcessWorker:
    """A worker process. It has an executor to itself, so that when it crashes it is known with which items."""

    def __init__(self, threads: int) -> None:
        self.held: set[int] = set()
        self._threads = threads
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._parent_pipe: tuple[Connection, Connection] = spawn.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_exit_with_parent, initargs=(self._parent_pipe[0],))

    def open(self, work: Work[Any, Any]) -> Future[Results]:
        """Open the work, in place of the one before. Starts the process if need be."""
        with _child_environment(self._threads):
            return self._call(_open, work)

    def start(self, position: int, item: Any) -> Future[Results]:
        """Start an item; the call ends when there is room for another."""
        return self._call(_start, position, item)

    def finish(self) -> Future[Results]:
        """Wait for one of the items that it holds."""
        return self._call(_finish)

    def _call(self, function: Callable[..., Results], *args: Any) -> Future[Results]:
        try:
            return self._pool.submit(function, *args)
        except BrokenProcessPool as error:  # it crashed while it was idle
            failed: Future[Results] = Future()
            failed.set_exception(error)
            return failed

    def result(self, call: Future[Results]) -> Results:
        """See `Worker.result`."""
        try:
            return call.result()
        except BrokenProcessPool as error:
            raise WorkerCrashed(str(error)) from error

    def replace(self) -> None:
        """Start a new process in place of a crashed one."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process now, whatever it does: everything that is published is published whole."""
        for end in self._parent_pipe:
            end.close()
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _child_environment(threads: int) -> Iterator[None]:
    """Processes that are started inside inherit few threads, and ignore Ctrl-C, which is the parent's."""
    added = {name: str(threads) for name in _THREAD_LIMITS if name not in os.environ}
    os.environ.update(added)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            del os.environ[name]


def _exit_with_parent(parent_pipe: Connection) -> None:
    """Exit the process as soon as the other end of the pipe is closed: by `stop`, or because the parent is no more."""

    def watch() -> None:
        with contextlib.suppress(EOFError):
            parent_pipe.recv_bytes()
        drop_pending()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _open(work: Work[Any, Any]) -> Results:
    global _session
    escape_messages()
    if _session is not None:
        _session.close()
    _session = None  # before the next model is loaded, the last one goes
    _session = WorkerSession.of(work)
    return {}


def _start(position: int, item: Any) -> Results:
    assert _session is not None
    return _session.start(position, item)


def _finish() -> Results:
    assert _session is not None
    return _session.finish()
