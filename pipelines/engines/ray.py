"""The ray engine runs jobs on a cluster: as tasks where they are stateless, as actors where they hold a model.

The processes of the cluster must be able to import this package with the same code as the driver: from the same
folder, or as it is installed there. They never import another package of this name from the working directory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar, cast
from uuid import uuid4

import pyarrow as pa
import ray

import rzen_corpus
from corpus.execution import Job
from corpus.stage import Resources
from pipelines.engines import EngineSettings, Reduce, ray_tasks
from pipelines.engines.item_queue import item_label, number_job
from pipelines.engines.queue_engine import QueueEngine
from pipelines.engines.ray_cluster import REFRESH_S, Cluster, StallMonitor, get_result, join, to_pickle
from pipelines.engines.ray_heartbeats import StallLimit
from pipelines.engines.ray_host import CRASH_ERRORS, Calls, RayDispatcher, RayHost, resource_options
from pipelines.engines.retry_tracker import MAX_CRASHES
from pipelines.engines.workers import Notify, print_to_stderr

_I = TypeVar("_I")

# Ray keeps results under 100 KiB in the driver's memory, larger ones in the object store, where the parts belong.
_PART_BYTES = 256 * 1024
_SPLIT_BYTES = 64 * 1024 * 1024


class RayEngine(QueueEngine):
    """Runs jobs on a Ray cluster: an existing one, or one on this machine that ends with the engine."""

    def __init__(self, settings: EngineSettings, notify: Notify = print_to_stderr) -> None:
        self._workers = settings.workers
        limit = StallLimit(uuid4().hex, settings.stall_timeout_s) if settings.stall_timeout_s else None
        self._calls = Calls(rzen_corpus.origin(), limit)
        self._connected = join(settings)
        self._cluster = Cluster(settings, self._calls.origin, notify)
        try:
            self._cluster.check()
        except BaseException:
            self._leave()
            raise
        self._stalls = StallMonitor(self._cluster, limit) if limit else None
        self._stop = threading.Event()
        self._monitor = threading.Thread(target=self._monitor_cluster, name="ray cluster", daemon=True)
        self._monitor.start()
        self._host = RayHost(self._cluster, self._calls, settings.workers)
        self._queue_dispatcher = RayDispatcher(self._host, notify)
        super().__init__(self._queue_dispatcher)

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. Rows go through Ray's object store, which spills to disk.

        Emitted tables are split in batches, not one by one: a part of one table is often too small for the store.
        """
        split = self._calls.task(ray_tasks.split, num_returns=partitions)
        parts: list[list[ray.ObjectRef]] = [[] for _ in range(partitions)]
        for tables in self._emit(job, items, min(_SPLIT_BYTES, _PART_BYTES * partitions)):
            refs = split("rows of a shuffle", (partitions,), *tables)
            for part, ref in zip(parts, refs if partitions > 1 else [refs], strict=True):
                part.append(ref)
        shared, reduced = ray.put(to_pickle(reduce)), self._calls.task(ray_tasks.reduce_part)
        calls = (reduced("rows of a shuffle", (), shared, *parts.pop()) for _ in range(partitions if parts[0] else 0))
        for call in self._as_done(calls, Resources()):
            table = get_result(call)
            if table is not None:
                yield table

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        self._stop.set()
        super().close()
        self._monitor.join()
        self._leave()

    def _leave(self) -> None:
        if self._connected:
            ray.shutdown()

    def _emit(self, job: Job[_I, pa.Table], items: Sequence[_I], batch_bytes: int) -> Iterator[list[ray.ObjectRef]]:
        """Yields references to the items' tables, in lists of at least `batch_bytes` together, save the last."""
        number, shared = number_job(job).number, ray.put(to_pickle(job))
        options = resource_options(job.resources)
        emit = self._calls.task(ray_tasks.emit, num_returns=2, max_retries=MAX_CRASHES - 1, **options)
        pending: dict[ray.ObjectRef, tuple[_I, ray.ObjectRef]] = {}

        def submit(item: _I) -> ray.ObjectRef:
            size, table = cast(list[ray.ObjectRef], emit(item_label(item), (number, item), shared))
            pending[size] = (item, table)
            return size

        tables: list[ray.ObjectRef] = []
        total = 0
        for call in self._as_done(map(submit, items), job.resources):
            item, table = pending.pop(call)
            try:
                size = get_result(call)
            except CRASH_ERRORS as error:
                substitute = job.on_worker_lost(item, f"its worker died {MAX_CRASHES} times: {error}")
                size, table = substitute.nbytes if substitute.num_rows else 0, ray.put(substitute)
            if size:
                tables.append(table)
                total += size
            if total >= batch_bytes:
                yield tables
                tables, total = [], 0
        if tables:
            yield tables

    def _as_done(self, calls: Iterator[ray.ObjectRef], resources: Resources) -> Iterator[ray.ObjectRef]:
        """Yields calls as they end, as many in flight as there is room for. Advancing the iterator makes the next.

        While there are any, so much less of the queues' items starts.
        """
        running: list[ray.ObjectRef] = []
        try:
            while True:
                # One waits where there is no room: it is the demand that an autoscaler sees.
                slots = self._workers or 1 + self._cluster.room(resources)
                submitted = list(islice(calls, max(0, slots - len(running))))
                running += submitted
                self._host.count_shuffle(resources, len(submitted))
                if not running:
                    return
                done, running = ray.wait(running, num_returns=1, timeout=REFRESH_S, fetch_local=False)
                self._host.count_shuffle(resources, -len(done))
                yield from done
        finally:
            self._host.count_shuffle(resources, -len(running))
            self._queue_dispatcher.wake()

    def _monitor_cluster(self) -> None:
        """Takes stock of the cluster until the engine is closed."""
        try:
            while not self._stop.wait(REFRESH_S if self._stalls is None else min(REFRESH_S, self._stalls.interval_s)):
                self._cluster.refresh()
                if self._stalls is not None:
                    self._stalls.poll()
        except Exception as error:  # noqa: BLE001 - those who wait for room get it
            self._cluster.fail(error)
