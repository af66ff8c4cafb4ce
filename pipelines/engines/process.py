"""A worker process of the local engine, and its other end in the parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from corpus.printable import escape_messages
from corpus.storage import drop_pending
from corpus.work import Work
from pipelines.engines.crew import Answers, WorkerDied
from pipelines.engines.opened import OpenedWork

# Libraries would otherwise start a thread per core in every worker. They look once, when they are loaded.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")

_opened: OpenedWork[Any, Any] | None = None  # in the worker process: the work that it has open


class ProcessWorker:
    """One process. It has an executor to itself, so that when it dies it is known with which items."""

    def __init__(self, threads: int) -> None:
        self.held: set[int] = set()
        self._threads = threads
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._lifeline: tuple[Connection, Connection] = spawn.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_end_with, initargs=(self._lifeline[0],))

    def open(self, work: Work[Any, Any]) -> Future[Answers]:
        """Have the work opened, in place of what was open before. Starts the process if need be."""
        with _child_environment(self._threads):
            return self._call(_open, work)

    def start(self, position: int, item: Any) -> Future[Answers]:
        """Have an item begun; answers when there is room for another."""
        return self._call(_start, position, item)

    def finish(self) -> Future[Answers]:
        """Wait for one of the items that it holds."""
        return self._call(_finish)

    def _call(self, function: Callable[..., Answers], *args: Any) -> Future[Answers]:
        try:
            return self._pool.submit(function, *args)
        except BrokenProcessPool as error:  # it died with nothing to do
            failed: Future[Answers] = Future()
            failed.set_exception(error)
            return failed

    def result(self, call: Future[Answers]) -> Answers:
        """See `Worker.result`."""
        try:
            return call.result()
        except BrokenProcessPool as error:
            raise WorkerDied(str(error)) from error

    def replace(self) -> None:
        """A new process in place of a dead one."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process now, whatever it does: everything that is published is published whole."""
        for end in self._lifeline:
            end.close()
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _child_environment(threads: int) -> Iterator[None]:
    """What a process that is started here inherits: few threads, and deafness to Ctrl-C, which is the parent's."""
    added = {name: str(threads) for name in _THREAD_LIMITS if name not in os.environ}
    os.environ.update(added)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            del os.environ[name]


def _end_with(lifeline: Connection) -> None:
    """Exit as soon as the other end of the pipe is closed: by `stop`, or because the parent is no more."""

    def watch() -> None:
        with contextlib.suppress(EOFError):
            lifeline.recv_bytes()
        drop_pending()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _open(work: Work[Any, Any]) -> Answers:
    global _opened
    escape_messages()
    if _opened is not None:
        _opened.close()
    _opened = None  # before the next model is loaded, the last one goes
    _opened = OpenedWork.of(work)
    return {}


def _start(position: int, item: Any) -> Answers:
    assert _opened is not None
    return _opened.start(position, item)


def _finish() -> Answers:
    assert _opened is not None
    return _opened.finish()
