"""The functions of Beam's workers: they run a job over the elements of a pipeline, reduce rows, and write results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from threading import BoundedSemaphore
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

import rzen_corpus
from corpus.execution import Job, Outcome, close_function
from corpus.storage import Store
from pipelines.engines import Reduce
from pipelines.engines.beam_chains import ChainJob, Flow
from pipelines.engines.shuffle import from_ipc, partition_rows, split_batch, to_ipc

_FILES = 16  # outcomes of one pipeline
_PIECE_BYTES = 4 * 1024 * 1024  # runners refuse much larger elements, or run out of memory on them


class JobFn(beam.DoFn):
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
        self._session = _Session(self._function, self.job.resources.in_flight)

    def process(self, element: tuple[int, Any]) -> Iterator[tuple[int, Any]]:
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

    def keyed(self, position: int, result: Any) -> Iterable[tuple[int, Any]]:
        """Yields a result as pairs for what comes next: (number of a group, bytes), or (position, element)."""
        raise NotImplementedError


class _Session:
    """The items of one bundle that a job's function works on, by position.

    With one item at a time the function runs on the calling thread, so that an interrupt reaches it.
    """

    def __init__(self, function: Callable[[Any], Any], in_flight: int) -> None:
        self.in_flight = in_flight
        self._function = function
        self._threads = ThreadPoolExecutor(self.in_flight) if self.in_flight > 1 else None
        self._running: dict[Future[Any], int] = {}
        self._done: dict[int, Any] = {}

    def start(self, position: int, item: Any) -> dict[int, Any]:
        """Starts an item and waits until there is room for another: {position: result} of the finished ones."""
        if self._threads is None:
            self._done[position] = self._function(item)
        else:
            self._running[self._threads.submit(self._function, item)] = position
        return self._finished(max_running=self.in_flight - 1)

    def finish(self) -> dict[int, Any]:
        """Waits for one more item: {position: result} of the finished ones; empty when none was running."""
        return self._finished(max_running=max(0, len(self._running) - 1))

    def _finished(self, max_running: int) -> dict[int, Any]:
        while len(self._running) > max_running:
            for call in wait(self._running, return_when=FIRST_COMPLETED).done:
                self._done[self._running.pop(call)] = call.result()
        done, self._done = self._done, {}
        return done

    def stop(self) -> None:
        """Cancels the items that have not started."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _open_guarded(job: Job[Any, Any]) -> Callable[[Any], Any]:
    function, slots = job.open(), BoundedSemaphore(job.resources.in_flight)

    def guarded(item: Any) -> Any:
        with slots:
            return function(item)

    return guarded


class MapFn(JobFn):
    """Runs a job whose results are outcomes."""

    def keyed(self, position: int, result: Outcome) -> Iterable[tuple[int, bytes]]:
        yield position % _FILES, result.to_json().encode()


class EmitFn(JobFn):
    """Runs a job whose results are rows, and partitions these by their keys."""

    def __init__(self, job: Job[Any, pa.Table], partitions: int) -> None:
        super().__init__(job)
        self.partitions = partitions

    def keyed(self, position: int, result: pa.Table) -> Iterable[tuple[int, bytes]]:
        for partition, batch in enumerate(partition_rows(result, self.partitions)):
            for piece in split_batch(batch, _PIECE_BYTES):
                yield partition, to_ipc([piece], piece.schema)


class ChainFn(JobFn):
    """Runs a job over the chains of a pipeline, which then go on to the next."""

    def __init__(self, job: ChainJob) -> None:
        super().__init__(job)

    def keyed(self, position: int, result: Flow) -> Iterable[tuple[int, Flow]]:
        yield position, result


class FlowOutcomesFn(beam.DoFn):
    """Takes the outcomes out of chains that have been through all jobs."""

    def process(self, element: tuple[int, Flow]) -> Iterator[tuple[int, bytes]]:
        number, flow = element
        if flow.outcomes:
            yield number % _FILES, flow.to_lines(number)


class WriteOutcomesFn(beam.DoFn):
    """Writes a file of lines of each group of outcomes."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        number, lines = element
        self.store.publish(f"{number:02}.jsonl", b"\n".join(lines))


class ReduceFn(beam.DoFn):
    """Reduces the rows of a partition, and writes what comes of it."""

    def __init__(self, reduce: Reduce, store: Store) -> None:
        self.reduce = reduce
        self.store = store

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        partition, streams = element
        reduced = self.reduce(from_ipc(streams))
        self.store.publish(f"{partition:06}.arrow", to_ipc(reduced.to_batches(), reduced.schema))
