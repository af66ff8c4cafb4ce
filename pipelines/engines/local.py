"""The local engine: a pool of processes on this machine, the embedded default.

One worker means this process itself: nothing is started, a debugger works, and a `memory://` workspace is seen. With
more, each worker is a process that ends with this one, however it ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

import pyarrow as pa

from corpus.stages import Resources
from corpus.work import Outcome, Work
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.crew import Answers, run_items
from pipelines.engines.opened import OpenedWork
from pipelines.engines.process import ProcessWorker
from pipelines.engines.spill import Gather, Spill

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


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
            spill = Spill(work, folder, partitions)
            spilled = [path for path in self._run(spill, list(enumerate(items))) if path]
            gather = Gather(reduce, folder, tuple(spilled))
            for path in self._run(gather, range(partitions)):
                if path:
                    yield pa.ipc.open_file(pa.memory_map(path)).read_all()

    def close(self) -> None:
        """Stop the workers, whatever they do."""
        while self._started:
            self._started.pop().stop()
        self._idle.clear()

    def _run(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        return self._here(work, items) if self.workers == 1 else self._in_processes(work, items)

    def _here(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        if not items:
            return
        opened = OpenedWork.of(work)
        try:
            for position, item in enumerate(items):
                yield from opened.start(position, item).values()
            while finished := opened.finish():
                yield from finished.values()
        finally:
            opened.close()

    def _in_processes(self, work: Work[I, O], items: Sequence[I]) -> Iterator[O]:
        crew = [self._hire() for _ in range(min(self._places(work.resources), len(items)))]
        try:
            yield from run_items(crew, _first_done, work, items)
        finally:
            self._dismiss(crew, keep=not work.resources.holds_model)

    def _places(self, resources: Resources) -> int:
        if resources.gpus:  # every process would see the same ones; spreading over several is the ray engine's
            return 1
        return max(1, int(self.workers / max(1.0, resources.cpus)))

    def _hire(self) -> ProcessWorker:
        if self._idle:
            return self._idle.pop()
        worker = ProcessWorker(self._threads)
        self._started.append(worker)
        return worker

    def _dismiss(self, crew: list[ProcessWorker], keep: bool) -> None:
        """Keep the crew for later works, save those that are at work still, or that hold a model's memory."""
        for worker in crew:
            if worker not in self._started:
                continue  # the engine was closed meanwhile
            if keep and not worker.held:
                self._idle.append(worker)
            else:
                self._started.remove(worker)
                worker.stop()


def _first_done(calls: Collection[Future[Answers]]) -> Future[Answers]:
    return next(iter(wait(calls, return_when=FIRST_COMPLETED).done))
