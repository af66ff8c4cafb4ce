"""Workers on a Ray cluster: tasks for jobs without state, actors for jobs that hold a model or a GPU."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray import exceptions

from corpus.stage import Resources
from pipelines.engines import ray_tasks
from pipelines.engines.dispatcher import Dispatcher
from pipelines.engines.item_queue import ItemQueue, item_label
from pipelines.engines.ray_cluster import CALL, WORKER_ACTOR, Cluster, to_pickle
from pipelines.engines.ray_heartbeats import StallLimit
from pipelines.engines.ray_tasks import NotOpenedError, RemoteCall
from pipelines.engines.workers import Amounts, Notify, NumberedJob, Reports, Usage
from rzen_corpus import Origin

CRASH_ERRORS = (
    exceptions.WorkerCrashedError,
    exceptions.RayActorError,
    exceptions.NodeDiedError,
    exceptions.OutOfMemoryError,
)

_NETWORK_CPUS = 0.1  # of a task that waits on a network: Ray starts ten times as many as there are cores, at most
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Calls:
    """The origin and the limit that all calls of one run in the cluster share."""

    origin: Origin
    limit: StallLimit | None

    def task(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Returns a function of `ray_tasks` as a task, called with the name of what it works on, its arguments, and
        after them objects of the cluster.
        """
        remote = CALL.options(name=function.__name__, **options)

        def submit(item: str, arguments: tuple[Any, ...], *objects: Any) -> Any:
            return remote.remote(self.origin, to_pickle(RemoteCall(function, item, arguments, self.limit)), *objects)

        return submit


def resource_options(resources: Resources) -> dict[str, Any]:
    """Returns the options of a task or an actor that needs these resources."""
    if resources.waits_on_network:  # spread, because machines share no network card
        return {"num_cpus": _NETWORK_CPUS, "scheduling_strategy": "SPREAD"}
    return {"num_cpus": resources.cpus, "num_gpus": resources.gpus}


class RayHost:
    """The cluster as the place that workers run in. See `WorkerHost`.

    Little more is submitted than there is room for: Ray's own queue knows no priorities.
    """

    reserves_cores = False

    def __init__(self, cluster: Cluster, calls: Calls, max_workers: int) -> None:
        self._cluster = cluster
        self._calls = calls
        self._max_workers = max_workers  # 0: as many as there is room for
        self._jobs: dict[NumberedJob, ray.ObjectRef] = {}
        self._tasks: set[TaskWorker] = set()
        self._shuffles = Amounts()  # what the tasks of shuffles take, which have no workers here
        self._lock = threading.Lock()  # guards it
        self.probing = False  # no item waits for the room that is asked for, so nothing is demanded

    def can_work(self, resources: Resources, usage: Usage) -> bool:
        """See `WorkerHost.can_work`. Tasks queue for a core beside models that hold one."""
        busy, idle, shuffles = usage.busy, usage.idle, self._shuffles
        if resources.waits_on_network:
            return self._has_machine(Resources()) and busy.network < (
                self._max_workers or max(1, round(self._cluster.total("CPU")))
            )
        if self._max_workers and busy.workers - busy.network + shuffles.workers >= self._max_workers:
            return False
        if resources.holds_model or resources.gpus:
            return True
        if not self._has_machine(resources):
            return False
        cpus = busy.cpus + idle.cpus + shuffles.cpus + resources.cpus
        return cpus <= self._cluster.total("CPU") + self._cluster.queued_cpus

    def can_start(self, resources: Resources, usage: Usage) -> bool:
        """See `WorkerHost.can_start`. A task needs no more than `can_work`; an actor that waited for room would keep
        its items from others, so there is one only where there is room.
        """
        if resources.waits_on_network or not (resources.holds_model or resources.gpus):
            return True
        if not self._has_machine(resources):
            return False
        busy, idle = usage.busy, usage.idle
        tasks = sum(worker.cpus for worker in self._tasks)  # they end, and make room
        cpus = busy.cpus + idle.cpus - tasks + resources.cpus
        gpus = busy.gpus + idle.gpus + resources.gpus
        if cpus <= self._cluster.total("CPU") + 1e-6 and gpus <= self._cluster.total("GPU") + 1e-6:
            return True
        if not self.probing:
            self._cluster.demand(resources)
        return False

    def _has_machine(self, resources: Resources) -> bool:
        return bool(self._cluster.fits(resources) if self.probing else self._cluster.room(resources))

    def create(self, job: NumberedJob, reports: Reports) -> TaskWorker | ActorWorker:
        """See `WorkerHost.create`."""
        if job.dedicated:
            worker = ActorWorker(self._calls, self.job_ref(job), job, reports)
            self._cluster.await_room(worker.placed)
            return worker
        return TaskWorker(self, self._calls, reports)

    def job_ref(self, job: NumberedJob) -> ray.ObjectRef:
        """Returns a job in the cluster's object store: it is sent to each machine once."""
        if job not in self._jobs:
            self._jobs[job] = ray.put(to_pickle(job.job))
        return self._jobs[job]

    def count_shuffle(self, resources: Resources, tasks: int) -> None:
        """Takes note that so many tasks of a shuffle have been submitted, or, below 0, have ended."""
        with self._lock:
            self._shuffles.workers += tasks
            self._shuffles.cpus += tasks * resources.cpus

    def set_running(self, worker: TaskWorker, running: bool) -> None:
        """Takes note that a task worker has a task, or none."""
        (self._tasks.add if running else self._tasks.discard)(worker)

    def release(self, job: NumberedJob) -> None:
        """See `WorkerHost.release`."""
        self._jobs.pop(job, None)

    def close(self) -> None:
        """Does nothing: actors are killed by `stop`, tasks end with the driver."""


class RayDispatcher(Dispatcher):
    """The dispatcher over a cluster, which tells where an item waits for room from where a consumer only asks."""

    def __init__(self, host: RayHost, notify: Notify) -> None:
        super().__init__(host, notify)
        self._ray_host = host

    def has_room(self, queue: ItemQueue) -> bool:
        """See `Dispatcher.has_room`. Called with the lock."""
        self._ray_host.probing = True
        try:
            return super().has_room(queue)
        finally:
            self._ray_host.probing = False


def _is_crash(error: BaseException) -> bool:
    return isinstance(error, CRASH_ERRORS)


def _cause(error: BaseException) -> BaseException:
    """Returns the error of the package's absence without Ray's trace, because the message has it all."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, ImportError) and cause.name == "rzen-corpus" else error


def _not_opened(error: BaseException) -> BaseException | None:
    """Returns why a job could not be opened, where that is what an error says."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, NotOpenedError):
        return cause.error
    if isinstance(_cause(error), ImportError) or isinstance(error, exceptions.RuntimeEnvSetupError):
        return _cause(error)
    return None


class TaskWorker:
    """A worker without a process: each of its items is a task for any free process of the cluster."""

    has_heartbeats = False

    def __init__(self, host: RayHost, calls: Calls, reports: Reports) -> None:
        self.name = f"task worker {next(_numbers)}"
        self.cpus = 0.0
        self._host = host
        self._calls = calls
        self._reports = reports
        self._lock = threading.Lock()
        self._running: dict[int, ray.ObjectRef] = {}
        self._stopping = self._ended = False

    def holds(self, job: NumberedJob) -> bool:
        """Returns True: if the process dies, it is the item's doing."""
        return True

    def start(self, job: NumberedJob, number: int, item: Any) -> None:
        """Submits the item as a task."""
        # Ray's own retries have no end where memory runs out, so they are counted by the dispatcher.
        submit = self._calls.task(ray_tasks.run_item, max_retries=0, **resource_options(job.resources))
        shared = self._host.job_ref(job)
        call = submit(item_label(item), (job.number, item), shared)
        self.cpus = 0.0 if job.resources.waits_on_network else job.resources.cpus
        with self._lock:
            self._running[number] = call
        self._host.set_running(self, True)
        call.future().add_done_callback(partial(self._done, job, number))

    def _done(self, job: NumberedJob, number: int, future: Future[Any]) -> None:
        with self._lock:
            self._running.pop(number, None)
            last, ended = not self._running, self._ended
        if last:
            self._host.set_running(self, False)
        if ended:
            return
        error = future.exception()
        if error is None:
            self._reports.finished(number, future.result())
        elif _is_crash(error):
            self._end(str(error))
        elif (reason := _not_opened(error)) is not None:
            self._reports.not_opened(job, reason)
        else:
            self._reports.failed(number, error)
        if last and self._stopping:
            self._end("stopped")

    def _end(self, reason: str) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._reports.ended(reason)

    def release(self, job: NumberedJob) -> None:
        """Does nothing: a process closes what it has not used for long."""

    def leave(self) -> None:
        """Ends it: it has no task."""
        self.stop()

    def stop(self) -> None:
        """Ends it when its tasks have ended by themselves, or with the driver.

        `ray.cancel` does not serve: while a task is being submitted, it aborts the driver (Ray 2.60: "Tried to complete
        task that was not pending").
        """
        with self._lock:
            self._stopping, running = True, bool(self._running)
        if not running:
            self._end("stopped")


class ActorWorker:
    """A worker that is an actor: a process of the cluster that keeps a job open."""

    has_heartbeats = False

    def __init__(self, calls: Calls, shared: ray.ObjectRef, job: NumberedJob, reports: Reports) -> None:
        self.name = f"actor {next(_numbers)}"
        self._job = job
        self._reports = reports
        self._lock = threading.Lock()
        self._open = self._ended = False
        self._early: list[tuple[int, Any]] = []  # items that came before the job was open
        actor = WORKER_ACTOR.options(max_concurrency=job.resources.in_flight, **resource_options(job.resources))
        self._actor: Any = actor.remote()
        self.placed: ray.ObjectRef = self._actor.start.remote()  # ready when it has found room
        opening = self._actor.open.remote(calls.origin, to_pickle(calls.limit), shared)
        opening.future().add_done_callback(self._opened)

    def holds(self, job: NumberedJob) -> bool:
        """Returns whether its job is open."""
        return self._open

    def start(self, job: NumberedJob, number: int, item: Any) -> None:
        """Runs the item as soon as the job is open, which it is when the cluster has room for the actor."""
        with self._lock:
            if not self._open:
                self._early.append((number, item))
                return
        self._run(number, item)

    def _run_all(self, items: list[tuple[int, Any]]) -> None:
        for number, item in items:
            self._run(number, item)

    def _run(self, number: int, item: Any) -> None:
        call = self._actor.run.remote(item_label(item), to_pickle(item))
        call.future().add_done_callback(partial(self._done, number))

    def _opened(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is None:
            with self._lock:
                self._open, early = True, self._early
            self._reports.opened(self._job)
            # Not in this thread, which is Ray's: a client's calls would wait for it.
            threading.Thread(target=self._run_all, args=(early,), daemon=True).start()
        elif _is_crash(error):
            self._end(str(error))
        elif not self._ended:
            self._reports.not_opened(self._job, _not_opened(error) or error)

    def _done(self, number: int, future: Future[Any]) -> None:
        error = future.exception()
        if error is None:
            self._reports.finished(number, future.result())
        elif _is_crash(error):
            self._end(str(error))
        elif not self._ended:
            self._reports.failed(number, error)

    def _end(self, reason: str) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        # One that can't be reached only for a while must not go on, and keep its room.
        threading.Thread(target=ray.kill, args=(self._actor,), daemon=True).start()
        self._reports.ended(reason)

    def release(self, job: NumberedJob) -> None:
        """Does nothing: it ends with its only job."""

    def leave(self) -> None:
        """Ends it: it has no item."""
        self.stop()

    def stop(self) -> None:
        """Kills the actor."""
        self._end("stopped")
