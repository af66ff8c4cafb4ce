"""The ray engine runs jobs on a cluster: as tasks where they are stateless, as actors where they hold a model.

The processes of the cluster must be able to import this package with the same code as the driver: from the same
folder, or as it is installed there. They never import another package of this name from the working directory.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import pyarrow as pa
import ray
import ray.cloudpickle
from ray import exceptions

import rzen_corpus
from corpus.execution import Job, Outcome
from corpus.stage import Resources
from pipelines.engines import EngineSettings, Reduce, entry
from pipelines.engines.queues import FIRST
from pipelines.engines.scheduler import MAX_CRASHES, ResultsByPosition, WorkerCrashed, WorkerSession, run_items
from pipelines.engines.shuffle import partition_rows
from rzen_corpus import Origin

_I = TypeVar("_I")

# Ray keeps results under 100 KiB in the driver's memory, larger ones in the object store, where the parts belong.
_PART_BYTES = 256 * 1024
_SPLIT_BYTES = 64 * 1024 * 1024

CRASH_ERRORS = (
    exceptions.WorkerCrashedError,
    exceptions.RayActorError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
)

# Modules that are pickled by value: all others are imported in the cluster, after `entry` has located this package.
for _module in (rzen_corpus, entry):
    ray.cloudpickle.register_pickle_by_value(_module)

loaded_origin: Origin | None = None  # in a process of the cluster: where it imports this package from
# In a process of the cluster: the job that its last task was for.
_opened: tuple[str, Callable[[Any], Any]] | None = None


def start_local(**options: Any) -> Any:
    """Starts Ray on this machine; retries once, because a start fails now and then for no lasting reason."""
    try:
        return ray.init("local", include_dashboard=False, **options)
    except Exception:  # noqa: BLE001 - of a node that did not come up Ray raises anything; the second time it is raised
        ray.shutdown()
        return ray.init("local", include_dashboard=False, **options)


class RayEngine:
    """Runs jobs on a Ray cluster: an existing one, or one on this machine that ends with the engine."""

    streams = False

    def __init__(self, settings: EngineSettings) -> None:
        self.workers = settings.workers
        self._origin = rzen_corpus.origin()
        self._connected = not ray.is_initialized()
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if settings.address:
            ray.init(settings.address, ignore_reinit_error=True, **quiet)
        elif self._connected:
            start_local(**quiet)

    def map(self, job: Job[_I, Outcome], items: Sequence[_I], priority: int = FIRST) -> Iterator[Outcome]:
        """See `Engine.map`."""
        resources, shared = job.resources, ray.put(to_pickle(job))
        kind = ActorWorker if resources.holds_model else TaskWorker
        workers = [kind(self._origin, shared, resources) for _ in range(min(self._slots(resources), len(items)))]
        try:
            yield from run_items(workers, _first_done, job, items)
        finally:
            for worker in workers:
                worker.stop()

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int, priority: int = FIRST
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. Rows go through Ray's object store, which spills to disk.

        Emitted tables are split in batches, not one by one: a part of one table is often too small for the store.
        """
        split = task(self._origin, "split", num_returns=partitions)
        parts: list[list[ray.ObjectRef]] = [[] for _ in range(partitions)]
        for tables in self._emit(job, items, min(_SPLIT_BYTES, _PART_BYTES * partitions)):
            refs = split((partitions,), *tables)
            for part, ref in zip(parts, refs if partitions > 1 else [refs], strict=True):
                part.append(ref)
        shared, reduced = ray.put(to_pickle(reduce)), task(self._origin, "reduce_part")
        calls = (reduced((), shared, *parts.pop()) for _ in range(partitions if parts[0] else 0))
        for call in _as_done(calls, self._slots(Resources())):
            table = get_result(call)
            if table is not None:
                yield table

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        if self._connected:
            ray.shutdown()

    def _emit(self, job: Job[_I, pa.Table], items: Sequence[_I], batch_bytes: int) -> Iterator[list[ray.ObjectRef]]:
        """Yields references to the items' tables, in lists of at least `batch_bytes` together, save the last."""
        shared = ray.put(to_pickle(job))
        options = resource_options(job.resources)
        emit = task(self._origin, "emit", num_returns=2, max_retries=MAX_CRASHES - 1, **options)
        pending: dict[ray.ObjectRef, tuple[_I, ray.ObjectRef]] = {}

        def submit(item: _I) -> ray.ObjectRef:
            size, table = cast(list[ray.ObjectRef], emit((shared.hex(), item), shared))
            pending[size] = (item, table)
            return size

        tables: list[ray.ObjectRef] = []
        total = 0
        for call in _as_done(map(submit, items), self._slots(job.resources)):
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

    def _slots(self, resources: Resources) -> int:
        """Returns the number of workers: that of the settings, or as many as the cluster has room for now."""
        if self.workers:
            return self.workers
        available = ray.cluster_resources()
        required = {"CPU": resources.cpus, "GPU": resources.gpus}
        slots = int(
            min((available.get(name, 0.0) / amount for name, amount in required.items() if amount), default=1.0)
        )
        if not slots:
            raise RuntimeError(f"one worker needs {required}, but the Ray cluster has {available} in all")
        # A queued task starts when another ends; an actor that waits for room would hold up its items.
        return slots if resources.holds_model else 2 * slots


def _first_done(calls: Collection[ray.ObjectRef]) -> ray.ObjectRef:
    return ray.wait(list(calls), num_returns=1)[0][0]


def _as_done(calls: Iterator[ray.ObjectRef], max_running: int) -> Iterator[ray.ObjectRef]:
    """Yields the calls as they end, `max_running` of them in flight. Advancing the iterator makes the next call."""
    running = list(islice(calls, max_running))
    while running:
        done, running = ray.wait(running, num_returns=1, fetch_local=False)
        running += islice(calls, 1)
        yield from done


def resource_options(resources: Resources) -> dict[str, float]:
    """Returns the options of a task or an actor that needs these resources."""
    return {"num_cpus": resources.cpus, "num_gpus": resources.gpus}


def task(origin: Origin, name: str, **options: Any) -> Callable[..., Any]:
    """Returns a function of this module as a task, which takes its arguments, and after them objects of the cluster."""
    remote = ray.remote(entry.call).options(name=name, **options)

    def submit(arguments: tuple[Any, ...], *objects: Any) -> Any:
        return remote.remote(origin, name, to_pickle(arguments), *objects)

    return submit


def to_pickle(thing: Any) -> bytes:
    """Pickles a job, a function or arguments; a process that can import this package loads the bytes."""
    return ray.cloudpickle.dumps(thing)


def get_result(call: ray.ObjectRef) -> Any:
    """Returns the result of a task or of an actor's call.

    Raises what the call raised; ImportError where the process can't find this package.
    """
    try:
        return ray.get(call)
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ImportError) and cause.name == "rzen-corpus":
            raise cause from None  # without Ray's trace: the message has it all
        raise


class RayWorker:
    """The base of task and actor workers; `job` is a reference, so that it is sent to each node once."""

    def __init__(self, origin: Origin, job: ray.ObjectRef, resources: Resources) -> None:
        self.assigned: set[int] = set()
        self.origin = origin
        self.job = job
        self.options = resource_options(resources)

    def result(self, call: ray.ObjectRef) -> ResultsByPosition:
        """See `CallWorker.result`."""
        try:
            return get_result(call)
        except CRASH_ERRORS as error:
            raise WorkerCrashed(str(error)) from error


class TaskWorker(RayWorker):
    """A worker without a process: each item is a task for any free process of the cluster."""

    def open(self, job: Job[Any, Any]) -> ray.ObjectRef:
        """Returns a call that has ended: the first task of a process opens the job there."""
        return ray.put({})

    def start(self, position: int, item: Any) -> ray.ObjectRef:
        """See `CallWorker.start`."""
        # Ray's own retries have no end where memory runs out, so they are counted by `run_items`.
        submit = task(self.origin, "run_item", max_retries=0, **self.options)
        return submit((self.job.hex(), position, item), self.job)

    def finish(self) -> ray.ObjectRef:
        """Does nothing: a task has one item, and ends with it."""
        raise NotImplementedError

    def replace(self) -> None:
        """Does nothing: the next task runs in another process."""

    def stop(self) -> None:
        """Does nothing: a task in flight ends by itself, or with the driver.

        `ray.cancel` does not serve: while a task is being submitted, it aborts the driver (Ray 2.60: "Tried to complete
        task that was not pending").
        """


class ActorWorker(RayWorker):
    """A worker that is an actor: a process of the cluster that keeps the job open."""

    def __init__(self, origin: Origin, job: ray.ObjectRef, resources: Resources) -> None:
        super().__init__(origin, job, resources)
        self._actor: Any = self._new()

    def _new(self) -> Any:
        return ray.remote(entry.WorkerActor).options(**self.options).remote()

    def open(self, job: Job[Any, Any]) -> ray.ObjectRef:
        """Opens the job; the call ends as soon as the cluster has room for the actor and the job is open in it."""
        return self._actor.open.remote(self.origin, self.job)

    def start(self, position: int, item: Any) -> ray.ObjectRef:
        """See `CallWorker.start`."""
        return self._actor.start.remote(position, to_pickle(item))

    def finish(self) -> ray.ObjectRef:
        """See `CallWorker.finish`."""
        return self._actor.finish.remote()

    def replace(self) -> None:
        """Starts a new actor in place of a crashed one, or of one that can't be reached."""
        self.stop()
        self._actor = self._new()

    def stop(self) -> None:
        """Ends the actor at once."""
        ray.kill(self._actor)


def open_session(job: bytes) -> WorkerSession[Any, Any]:
    """Opens a job in the process of an actor."""
    return WorkerSession.of(pickle.loads(job))  # noqa: S301 - the driver's own bytes, as all below


def run_item(key: str, position: int, item: Any, job: bytes) -> ResultsByPosition:
    """Runs one item as a task, and returns its result."""
    return {position: _function(key, job)(item)}


def emit(key: str, item: Any, job: bytes) -> tuple[int, pa.Table]:
    """Runs one item of a shuffle as a task: the size of its rows in bytes (0 when there are none), and the rows."""
    table = _function(key, job)(item)
    return table.nbytes if table.num_rows else 0, table


def split(partitions: int, *tables: pa.Table) -> list[pa.Table] | pa.Table:
    """Divides tables into one for each partition, as a task with so many return values."""
    batches = partition_rows(pa.concat_tables(tables), partitions)
    parts = [pa.Table.from_batches([batch]) for batch in batches]
    return parts if partitions > 1 else parts[0]


def reduce_part(reduce: bytes, *parts: pa.Table) -> pa.Table | None:
    """Reduces a partition as a task; None when it has no rows."""
    function: Reduce = pickle.loads(reduce)  # noqa: S301
    rows = pa.concat_tables(parts)
    return function(rows) if rows.num_rows else None


def _function(key: str, job: bytes) -> Callable[[Any], Any]:
    """Returns the job's function, opened once in each process as long as its tasks are of the same job."""
    global _opened
    if _opened is None or _opened[0] != key:
        _opened = None  # frees the last one before the next is opened
        _opened = (key, pickle.loads(job).open())  # noqa: S301
    return _opened[1]
