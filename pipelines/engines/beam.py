"""The beam engine runs jobs as pipelines on any Beam runner, by default on Beam's own in this process.

A runner returns results to the program that starts it through files only: outcomes and reduced tables are written to a
scratch folder in the workspace, read when the pipeline has ended, and removed. Retries are the runner's: it runs a
failed bundle again, or fails the pipeline; `Job.on_worker_lost` is not called. Items are elements of the pipeline, so
they should be small.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import BoundedSemaphore
from typing import Any, TypeVar
from uuid import uuid4

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

import rzen_corpus
from corpus.execution import Job, Outcome, close_function
from corpus.storage import Store
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.queues import FIRST
from pipelines.engines.scheduler import WorkerSession
from pipelines.engines.shuffle import from_ipc, partition_rows, split_batch, to_ipc

_I = TypeVar("_I")

_FILES = 16  # outcomes of one pipeline
_PIECE_BYTES = 4 * 1024 * 1024  # runners refuse much larger elements, or run out of memory on them


class BeamEngine:
    """Runs each job as a pipeline. `scratch` is a folder (or URL) that every worker can reach."""

    streams = False

    def __init__(self, settings: EngineSettings, scratch: str) -> None:
        self._scratch = scratch
        self._runner: Any = settings.runner
        flags: list[str] = []
        if settings.runner == "FnApiRunner":  # by its class: DirectRunner would look for an external binary first
            self._runner = FnApiRunner()
            flags = [f"--direct_num_workers={settings.workers or 1}"]
            if settings.workers > 1:
                flags.append("--direct_running_mode=multi_processing")
        self._flags = [*flags, *settings.options]

    def map(self, job: Job[_I, Outcome], items: Sequence[_I], priority: int = FIRST) -> Iterator[Outcome]:
        """See `Engine.map`. The outcomes are yielded when all items are done."""
        with self._folder() as store:
            self._run(items, _Map(job), _WriteOutcomes(store))
            for name in store.names(""):
                yield from map(Outcome.from_json, store.read(name).splitlines())

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int, priority: int = FIRST
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. Rows go through the runner's GroupByKey."""
        with self._folder() as store:
            self._run(items, _Emit(job, partitions), _Reduce(reduce, store))
            for name in store.names(""):
                yield from_ipc([store.read(name)])

    def close(self) -> None:
        """Removes the scratch folder; nothing else outlives a pipeline."""
        _remove(Store(self._scratch))

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Store]:
        store = Store(f"{self._scratch}/{uuid4().hex}")
        try:
            yield store
        finally:
            _remove(store)

    def _run(self, items: Sequence[Any], job_fn: _JobFn, write: beam.DoFn) -> None:
        if not items:
            return
        try:
            with _importable(), beam.Pipeline(runner=self._runner, options=PipelineOptions(self._flags)) as pipeline:
                _ = (
                    pipeline
                    | "Items" >> beam.Create(list(enumerate(items)))
                    | "Spread" >> beam.Reshuffle()
                    | "Run" >> beam.ParDo(job_fn).with_output_types(tuple[int, bytes])
                    | "Gather" >> beam.GroupByKey()
                    | "Write" >> beam.ParDo(write)
                )
        except RuntimeError as error:  # a runner passes an error in a job on as a text
            if "KeyboardInterrupt" in str(error):
                raise KeyboardInterrupt from error
            raise


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Makes processes that a runner starts on this machine import this package from where this one did."""
    added = rzen_corpus.environment()
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _remove(store: Store) -> None:
    if store.exists(""):
        store.fs.rm(store.full(""), recursive=True)


class _JobFn(beam.DoFn):
    """A DoFn that runs a job over items, as many at once as it may have in flight."""

    def __init__(self, job: Job[Any, Any]) -> None:
        self.job = job
        self.origin = rzen_corpus.origin()
        self._shared = Shared()

    def setup(self) -> None:
        rzen_corpus.require(self.origin)
        if self.job.resources.holds_model:  # once in a process, in however many threads the runner works there
            self._function = self._shared.acquire(partial(_open_guarded, self.job))
        else:
            self._function = self.job.open()

    def start_bundle(self) -> None:
        self._session = WorkerSession(self._function, self.job.resources.in_flight)

    def process(self, element: tuple[int, Any]) -> Iterator[tuple[int, bytes]]:
        for position, result in self._session.start(*element).items():
            yield from self.keyed(position, result)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        while finished := self._session.finish():
            for position, result in finished.items():
                for pair in self.keyed(position, result):
                    yield WindowedValue(pair, window.max_timestamp(), (window,))
        self._session.stop()

    def teardown(self) -> None:
        if not self.job.resources.holds_model:  # a shared one may be in use by others
            close_function(self._function)

    def keyed(self, position: int, result: Any) -> Iterable[tuple[int, bytes]]:
        """Yields a result as (number of a group, bytes)."""
        raise NotImplementedError


def _open_guarded(job: Job[Any, Any]) -> Callable[[Any], Any]:
    function, slots = job.open(), BoundedSemaphore(job.resources.in_flight)

    def guarded(item: Any) -> Any:
        with slots:
            return function(item)

    return guarded


class _Map(_JobFn):
    def keyed(self, position: int, result: Outcome) -> Iterable[tuple[int, bytes]]:
        yield position % _FILES, result.to_json().encode()


class _Emit(_JobFn):
    def __init__(self, job: Job[Any, pa.Table], partitions: int) -> None:
        super().__init__(job)
        self.partitions = partitions

    def keyed(self, position: int, result: pa.Table) -> Iterable[tuple[int, bytes]]:
        for partition, batch in enumerate(partition_rows(result, self.partitions)):
            for piece in split_batch(batch, _PIECE_BYTES):
                yield partition, to_ipc([piece], piece.schema)


class _WriteOutcomes(beam.DoFn):
    def __init__(self, store: Store) -> None:
        self.store = store

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        number, lines = element
        self.store.publish(f"{number:02}.jsonl", b"\n".join(lines))


class _Reduce(beam.DoFn):
    def __init__(self, reduce: Reduce, store: Store) -> None:
        self.reduce = reduce
        self.store = store

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        partition, streams = element
        reduced = self.reduce(from_ipc(streams))
        self.store.publish(f"{partition:06}.arrow", to_ipc(reduced.to_batches(), reduced.schema))
