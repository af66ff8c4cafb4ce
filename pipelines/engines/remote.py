"""Workers of the ray engine, and what runs in the cluster's processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
import ray.cloudpickle
from ray import exceptions

import rzen_corpus
from corpus.stages import Resources
from corpus.work import Work
from pipelines.engines import Reduce, entry
from pipelines.engines.crew import Answers, WorkerDied
from pipelines.engines.opened import OpenedWork
from pipelines.engines.shuffle import partitioned
from rzen_corpus import Origin

DEATH_ERRORS = (
    exceptions.WorkerCrashedError,
    exceptions.RayActorError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
)

# What the cluster is sent as it is: all other names are imported there, once it is certain from where.
for _module in (rzen_corpus, entry):
    ray.cloudpickle.register_pickle_by_value(_module)

entered: Origin | None = None  # in a process of the cluster: the package that it was told to import
# In a process of the cluster: the work that its last task was for.
_opened: tuple[str, Callable[[Any], Any]] | None = None


def needs(resources: Resources) -> dict[str, float]:
    """The options of a task or an actor that needs these resources."""
    return {"num_cpus": resources.cpus, "num_gpus": resources.gpus}


def task(origin: Origin, name: str, **options: Any) -> Callable[..., Any]:
    """A function of this module as a task: it is called with its arguments, after them objects of the cluster's."""
    remote = ray.remote(entry.call).options(name=name, **options)

    def submit(arguments: tuple[Any, ...], *objects: Any) -> Any:
        return remote.remote(origin, name, dumped(arguments), *objects)

    return submit


def dumped(thing: Any) -> bytes:
    """A work, a function or arguments as bytes, which a process loads when it can import this package."""
    return ray.cloudpickle.dumps(thing)


def fetched(call: ray.ObjectRef) -> Any:
    """What a task or an actor's call ended with. Raises what it raised: ImportError, where this package isn't there."""
    try:
        return ray.get(call)
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ImportError) and cause.name == "rzen-corpus":
            raise cause from None  # without Ray's trace: the message has it all
        raise


class RayWorker:
    """What tasks and actors have in common; `work` is a reference, so that it is sent to each node once."""

    def __init__(self, origin: Origin, work: ray.ObjectRef, resources: Resources) -> None:
        self.held: set[int] = set()
        self.origin = origin
        self.work = work
        self.options = needs(resources)

    def result(self, call: ray.ObjectRef) -> Answers:
        """See `Worker.result`."""
        try:
            return fetched(call)
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
        submit = task(self.origin, "run", max_retries=0, **self.options)
        return submit((self.work.hex(), position, item), self.work)

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

    def __init__(self, origin: Origin, work: ray.ObjectRef, resources: Resources) -> None:
        super().__init__(origin, work, resources)
        self._actor: Any = self._new()

    def _new(self) -> Any:
        return ray.remote(entry.Holder).options(**self.options).remote()

    def open(self, work: Work[Any, Any]) -> ray.ObjectRef:
        """Ready as soon as the cluster has room for the actor and the work is open in it."""
        return self._actor.open.remote(self.origin, self.work)

    def start(self, position: int, item: Any) -> ray.ObjectRef:
        """See `Worker.start`."""
        return self._actor.start.remote(position, dumped(item))

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


def opened(work: bytes) -> OpenedWork[Any, Any]:
    """A work opened for an actor to hold."""
    return OpenedWork.of(pickle.loads(work))  # noqa: S301 - the driver's own bytes, as all below


def run(key: str, position: int, item: Any, work: bytes) -> Answers:
    """The task of one item."""
    return {position: _function(key, work)(item)}


def emit(key: str, item: Any, work: bytes) -> tuple[int, pa.Table]:
    """The rows of one item, before them their bytes, 0 when there are none."""
    table = _function(key, work)(item)
    return table.nbytes if table.num_rows else 0, table


def split(partitions: int, *tables: pa.Table) -> list[pa.Table] | pa.Table:
    """Tables cut into one for each partition: as many returns of the task."""
    batches = partitioned(pa.concat_tables(tables), partitions)
    parts = [pa.Table.from_batches([batch]) for batch in batches]
    return parts if partitions > 1 else parts[0]


def reduce_part(reduce: bytes, *parts: pa.Table) -> pa.Table | None:
    """A partition reduced, None when it has no rows."""
    function: Reduce = pickle.loads(reduce)  # noqa: S301
    rows = pa.concat_tables(parts)
    return function(rows) if rows.num_rows else None


def _function(key: str, work: bytes) -> Callable[[Any], Any]:
    """The work's function, opened once in each process as long as its tasks are of the same work."""
    global _opened
    if _opened is None or _opened[0] != key:
        _opened = None  # before the next is opened, the last one goes
        _opened = (key, pickle.loads(work).open())  # noqa: S301
    return _opened[1]
