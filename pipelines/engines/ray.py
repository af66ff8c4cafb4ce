"""The ray engine: tasks for stateless works, actors for those that hold a model; for a cluster, and for GPUs.

The cluster's processes must be able to import this package, with the very code that the driver has: from the same
folder, or as it is installed there. They never take another that lies in the working directory for it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import pyarrow as pa
import ray

import rzen_corpus
from corpus.stages import Resources
from corpus.work import Outcome, Work
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.crew import DEATHS, run_items
from pipelines.engines.remote import (
    DEATH_ERRORS,
    ActorWorker,
    TaskWorker,
    dumped,
    fetched,
    needs,
    task,
)

I = TypeVar("I")  # noqa: E741

# Ray keeps results under 100 KiB in the driver's memory, larger ones in the object store: there the parts belong.
_PART_BYTES = 256 * 1024
_SPLIT_BYTES = 64 * 1024 * 1024


def start_local(**options: Any) -> Any:
    """Start Ray on this machine; once more where that fails, which it does now and then for no lasting reason."""
    try:
        return ray.init("local", include_dashboard=False, **options)
    except Exception:  # noqa: BLE001 - of a node that did not come up Ray raises anything; the second time it is raised
        ray.shutdown()
        return ray.init("local", include_dashboard=False, **options)


class RayEngine:
    """Runs works on a Ray cluster: an existing one, or one on this machine that ends with the engine."""

    def __init__(self, settings: EngineSettings) -> None:
        self.workers = settings.workers
        self._origin = rzen_corpus.origin()
        self._connected = not ray.is_initialized()
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if settings.address:
            ray.init(settings.address, ignore_reinit_error=True, **quiet)
        elif self._connected:
            start_local(**quiet)

    def map(self, work: Work[I, Outcome], items: Sequence[I]) -> Iterator[Outcome]:
        """See `Engine.map`."""
        resources, shared = work.resources, ray.put(dumped(work))
        kind = ActorWorker if resources.holds_model else TaskWorker
        crew = [kind(self._origin, shared, resources) for _ in range(min(self._places(resources), len(items)))]
        try:
            yield from run_items(crew, _first_done, work, items)
        finally:
            for worker in crew:
                worker.stop()

    def map_reduce(
        self, work: Work[I, pa.Table], items: Sequence[I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. Rows go through Ray's object store, which spills to disk.

        Emitted tables are split in batches, not one by one: a part of one table is often too small for the store.
        """
        split = task(self._origin, "split", num_returns=partitions)
        parts: list[list[ray.ObjectRef]] = [[] for _ in range(partitions)]
        for tables in self._emit(work, items, min(_SPLIT_BYTES, _PART_BYTES * partitions)):
            found = split((partitions,), *tables)
            for part, ref in zip(parts, found if partitions > 1 else [found], strict=True):
                part.append(ref)
        shared, reduced = ray.put(dumped(reduce)), task(self._origin, "reduce_part")
        calls = (reduced((), shared, *parts.pop()) for _ in range(partitions if parts[0] else 0))
        for call in _as_done(calls, self._places(Resources())):
            table = fetched(call)
            if table is not None:
                yield table

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._connected:
            ray.shutdown()

    def _emit(self, work: Work[I, pa.Table], items: Sequence[I], batch_bytes: int) -> Iterator[list[ray.ObjectRef]]:
        """The items' tables, where they lie, in lists of at least `batch_bytes` together, save the last."""
        shared = ray.put(dumped(work))
        emit = task(self._origin, "emit", num_returns=2, max_retries=DEATHS - 1, **needs(work.resources))
        asked: dict[ray.ObjectRef, tuple[I, ray.ObjectRef]] = {}

        def submit(item: I) -> ray.ObjectRef:
            size, table = cast(list[ray.ObjectRef], emit((shared.hex(), item), shared))
            asked[size] = (item, table)
            return size

        tables: list[ray.ObjectRef] = []
        total = 0
        for call in _as_done(map(submit, items), self._places(work.resources)):
            item, table = asked.pop(call)
            try:
                size = fetched(call)
            except DEATH_ERRORS as error:
                made = work.lost(item, f"its worker died {DEATHS} times: {error}")
                size, table = made.nbytes if made.num_rows else 0, ray.put(made)
            if size:
                tables.append(table)
                total += size
            if total >= batch_bytes:
                yield tables
                tables, total = [], 0
        if tables:
            yield tables

    def _places(self, resources: Resources) -> int:
        """How many workers: as the settings say, or as many as the cluster has room for now."""
        if self.workers:
            return self.workers
        have = ray.cluster_resources()
        wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
        room = int(min((have.get(name, 0.0) / amount for name, amount in wanted.items() if amount), default=1.0))
        if not room:
            raise RuntimeError(f"one worker needs {wanted}, the whole Ray cluster has {have}")
        # A task that waits for its turn is there when one ends; an actor that waits would hold items up.
        return room if resources.holds_model else 2 * room


def _first_done(calls: Collection[ray.ObjectRef]) -> ray.ObjectRef:
    return ray.wait(list(calls), num_returns=1)[0][0]


def _as_done(calls: Iterator[ray.ObjectRef], most: int) -> Iterator[ray.ObjectRef]:
    """The calls as they end, `most` of them in flight. They are made by advancing the iterator."""
    running = list(islice(calls, most))
    while running:
        done, running = ray.wait(running, num_returns=1, fetch_local=False)
        running += islice(calls, 1)
        yield from done
