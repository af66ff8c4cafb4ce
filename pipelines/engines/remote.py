"""Workers of the ray engine, and what runs in the cluster's processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
from ray import exceptions

from corpus.stages import Resources
from corpus.work import Work
from pipelines.engines import Reduce
from pipelines.engines.crew import Answers, WorkerDied
from pipelines.engines.opened import OpenedWork
from pipelines.engines.shuffle import partitioned

DEATH_ERRORS = (
    exceptions.WorkerCrashedError,
    exceptions.RayActorError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
)

# In a process of the cluster: the work that its last task was for.
_opened: tuple[str, Callable[[Any], Any]] | None = None


def needs(resources: Resources) -> dict[str, float]:
    """The options of a task or an actor that needs these resources."""
    return {"num_cpus": resources.cpus, "num_gpus": resources.gpus}


class RayWorker:
    """What tasks and actors have in common; `work` is a reference, so that it is sent to each node once."""

    def __init__(self, work: ray.ObjectRef, resources: Resources) -> None:
        self.held: set[int] = set()
        self.work = work
        self.options = needs(resources)

    def result(self, call: ray.ObjectRef) -> Answers:
        """See `Worker.result`."""
        try:
            return ray.get(call)
        except DEATH_ERRORS as error:
            raise WorkerDied(str(error)) from error


class TaskWorker(RayWorker):
    """No process of its own: each item is a task for whichever process of the cluster is free."""

    def open(self, work: Work[Any, Any]) -> ray.ObjectRef:
        """Nothing to wait for: a task opens the work where that was not done before."""
        return ray.put({})

    def start(self, position: int, item: Any) -> ray.ObjectRef:
        """See `Worker.start`."""
        # Ray's own retries have no end where memory runs out, so they are counted by `run_items`.
        task = ray.remote(run).options(max_retries=0, **self.options)
        return task.remote(self.work.hex(), self.work, position, item)

    def finish(self) -> ray.ObjectRef:
        """Never asked for: a task that has ended holds nothing."""
        raise NotImplementedError

    def replace(self) -> None:
        """The next task finds itself another process."""

    def stop(self) -> None:
        """A task in flight ends by itself, or with the driver.

        `ray.cancel` is no help: at the moment a task is sent off, it aborts the driver (Ray 2.60: "Tried to complete
        task that was not pending").
        """


class ActorWorker(RayWorker):
    """A process that keeps the work open."""

    def __init__(self, work: ray.ObjectRef, resources: Resources) -> None:
        super().__init__(work, resources)
        self._actor: Any = self._new()

    def _new(self) -> Any:
        return ray.remote(_Holder).options(**self.options).remote()

    def open(self, work: Work[Any, Any]) -> ray.ObjectRef:
        """Ready as soon as the cluster has room for the actor and the work is open in it."""
        return self._actor.open.remote(self.work)

    def start(self, position: int, item: Any) -> ray.ObjectRef:
        """See `Worker.start`."""
        return self._actor.start.remote(position, item)

    def finish(self) -> ray.ObjectRef:
        """See `Worker.finish`."""
        return self._actor.finish.remote()

    def replace(self) -> None:
        """A new actor in place of a dead one, or of one that can't be reached."""
        self.stop()
        self._actor = self._new()

    def stop(self) -> None:
        """End the actor now."""
        ray.kill(self._actor)


class _Holder:
    """The actor: calls come one at a time, items run on threads."""

    def open(self, work: Work[Any, Any]) -> Answers:
        self._opened = OpenedWork.of(work)
        return {}

    def start(self, position: int, item: Any) -> Answers:
        return self._opened.start(position, item)

    def finish(self) -> Answers:
        return self._opened.finish()


def run(key: str, work: Work[Any, Any], position: int, item: Any) -> Answers:
    """The task of one item."""
    return {position: _function(key, work)(item)}


def emit(key: str, work: Work[Any, pa.Table], item: Any) -> tuple[int, pa.Table]:
    """The rows of one item, before them their bytes, 0 when there are none."""
    table = _function(key, work)(item)
    return table.nbytes if table.num_rows else 0, table


def split(partitions: int, *tables: pa.Table) -> list[pa.Table] | pa.Table:
    """Tables cut into one for each partition: as many returns of the task."""
    batches = partitioned(pa.concat_tables(tables), partitions)
    parts = [pa.Table.from_batches([batch]) for batch in batches]
    return parts if partitions > 1 else parts[0]


def reduce_part(reduce: Reduce, *parts: pa.Table) -> pa.Table | None:
    """A partition reduced, None when it has no rows."""
    rows = pa.concat_tables(parts)
    return reduce(rows) if rows.num_rows else None


def _function(key: str, work: Work[Any, Any]) -> Callable[[Any], Any]:
    """The work's function, opened once in each process as long as its tasks are of the same work."""
    global _opened
    if _opened is None or _opened[0] != key:
        _opened = None  # before the next is opened, the last one goes
        _opened = (key, work.open())
    return _opened[1]
