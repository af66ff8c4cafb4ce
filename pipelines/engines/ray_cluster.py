"""A Ray cluster as the driver has it: how it is joined, the machines that come and go, and the room that they have.

An autoscaler acts on the tasks and actors that wait for room. Where there is none for a worker, an actor that does
nothing waits for it: this demand ends with the driver, however that ends. (`ray.autoscaler.sdk.request_resources` would
outlast a driver that was killed, and keep its GPUs.)
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import ray
import ray.cloudpickle
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import rzen_corpus
from corpus.settings import SettingsError
from corpus.stage import Resources
from pipelines.engines import EngineSettings, entry
from pipelines.engines.ray_heartbeats import StalledProcess, StallLimit, end_stalled
from pipelines.engines.ray_tasks import RemoteCall
from pipelines.engines.workers import Notify
from rzen_corpus import Origin

# Modules that are pickled by value: all others are imported in the cluster, after `entry` has located this package.
for _module in (rzen_corpus, entry):
    ray.cloudpickle.register_pickle_by_value(_module)

# Made once: each `ray.remote` is another kind of task to Ray, which every process fetches anew, and which no process
# that was leased for a kind before may run.
CALL: Any = ray.remote(entry.call)
WORKER_ACTOR: Any = ray.remote(entry.WorkerActor)
_CHECK: Any = ray.remote(entry.check)
_PLACEHOLDER: Any = ray.remote(entry.Placeholder)

# Ray pings a connection on which a task runs every five minutes, so that long a task is waited for on a machine that
# hangs. Its servers refuse more than one ping a minute.
_KEEPALIVE = {"RAY_grpc_client_keepalive_time_ms": "70000", "RAY_grpc_client_keepalive_timeout_ms": "20000"}

_SEARCHES = 4  # for frozen processes, in the time after which one counts as frozen
REFRESH_S = 2.0  # between two looks at the cluster's machines
_DEMAND_S = 5.0  # after which a lack of room that was not felt again is none
_CHECK_S = 60.0  # for the machines to import this package; those that take longer are not waited for


def start_local(**options: Any) -> Any:
    """Starts Ray on this machine; retries once, because a start fails now and then for no lasting reason."""
    try:
        return ray.init("local", include_dashboard=False, **options)
    except (ValueError, TypeError):  # of the options
        raise
    except Exception:  # noqa: BLE001 - of a node that did not come up Ray raises anything; the second time it is raised
        ray.shutdown()
        return ray.init("local", include_dashboard=False, **options)


def join(settings: EngineSettings) -> bool:
    """Joins the cluster that the settings name, or starts one on this machine; tells whether it is to be left again.

    Raises SettingsError for a runtime environment that Ray refuses.
    """
    if ray.is_initialized():
        return False
    for name, value in _KEEPALIVE.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if settings.runtime_env:
        options["runtime_env"] = settings.runtime_env
    try:
        if settings.address:
            ray.init(settings.address, **options)
        else:
            start_local(**options)
    except (ValueError, TypeError) as error:
        if not settings.runtime_env:
            raise
        raise SettingsError(f"engine.runtime_env: {error}") from error
    return True


def describe_resources(resources: Mapping[str, float]) -> str:
    """Returns amounts of processors and GPUs in words: "8 CPUs and 1 GPU"."""
    amounts = [(resources.get(name, 0.0), name) for name in ("CPU", "GPU")]
    return " and ".join(f"{n:g} {name}{'' if n == 1 else 's'}" for n, name in amounts if n) or "no processor"


@dataclass(frozen=True)
class ClusterNode:
    """A machine of a cluster, or a container: what Ray calls a node."""

    id: str
    host: str
    resources: Mapping[str, float]

    def room(self, requested: Mapping[str, float]) -> int:
        """Returns how many workers fit that need these amounts, if nothing else runs there."""
        shares = [int(self.resources.get(name, 0.0) / amount + 1e-9) for name, amount in requested.items() if amount]
        return min(shares, default=1)

    @property
    def works(self) -> bool:
        """Whether shards run there: on a head without processors none do."""
        return bool(self.resources.get("CPU") or self.resources.get("GPU"))


class Cluster:
    """The machines of a cluster that is joined. A thread takes stock of them; other threads ask for room.

    Every machine is checked when it is first met: it must import this package, in the driver's version.
    """

    def __init__(
        self, settings: EngineSettings, origin: Origin, notify: Notify, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.nodes: dict[str, ClusterNode] = {}
        self.origin = origin
        self.notify = notify
        self.clock = clock
        self._settings = settings
        self._failure: BaseException | None = None
        self._grows = False  # machines have joined, or something was waited for: it may have an autoscaler
        self._checks: dict[ray.ObjectRef, ClusterNode] = {}
        self._waits: dict[Resources, float] = {}  # since when no machine has room for such a worker
        self._demands: dict[Resources, float] = {}  # when there was last no room for one more
        self._placeholders: dict[Resources, list[tuple[Any, ray.ObjectRef]]] = {}
        self._placing: list[ray.ObjectRef] = []  # of actors: each is ready when its actor has found room
        self._lines: SimpleQueue[str] = SimpleQueue()  # that `refresh` prints: who asks for room may hold locks
        self._lock = threading.Lock()

    def check(self) -> None:
        """Waits until the machines that are there have imported this package. Raises ImportError where one can't."""
        self.refresh()
        stop = self.clock() + (self._settings.cluster_timeout_s if self._settings.runtime_env else _CHECK_S)
        while self._checks and self.clock() < stop:
            ray.wait(list(self._checks), num_returns=1, timeout=REFRESH_S)
            self._raise_failed_checks()
        self._grows = False

    def total(self, resource: str) -> float:
        """Returns how much of a resource ("CPU", "GPU") all machines have."""
        return sum(node.resources.get(resource, 0.0) for node in self.nodes.values())

    @property
    def queued_cpus(self) -> float:
        """How much may wait in Ray's queue: more where an autoscaler sees it, and may double the cluster."""
        return max(1.0, self.total("CPU") * (1.0 if self._grows else 0.25))

    def fits(self, resources: Resources) -> int:
        """Returns how many workers the cluster's machines have room for, if nothing else runs there."""
        requested = {"CPU": resources.cpus, "GPU": resources.gpus}
        return sum(node.room(requested) for node in list(self.nodes.values()))

    def room(self, resources: Resources) -> int:
        """Returns what `fits`, for a worker that is needed: where none fits, a machine is waited for.

        Raises RuntimeError after `cluster_timeout_s` in which it was none, and what went wrong with the machines:
        ImportError where one has joined that can't import this package.
        """
        if self._failure is not None:
            raise self._failure
        room = self.fits(resources)
        with self._lock:
            if room:
                self._waits.pop(resources, None)
                return room
            first = resources not in self._waits
            waited_s = self.clock() - self._waits.setdefault(resources, self.clock())
            self._grows = True
        self.demand(resources)
        machine = f"a machine with {describe_resources({'CPU': resources.cpus, 'GPU': resources.gpus})}"
        if first:
            self._lines.put(f"waiting for {machine}; the cluster has {self._described()}")
        if waited_s >= self._settings.cluster_timeout_s:
            raise RuntimeError(
                f"{machine} did not join within engine.cluster_timeout_s ({self._settings.cluster_timeout_s:g} s); "
                f"the cluster has {self._described()}"
            )
        return 0

    def demand(self, resources: Resources) -> None:
        """Takes note that there is no room for one more such worker, so that an autoscaler sees it."""
        with self._lock:
            self._demands[resources] = self.clock()

    def await_room(self, placed: ray.ObjectRef) -> None:
        """Takes note of an actor that looks for room, until `placed` is ready: no placeholder may take that room."""
        with self._lock:
            self._placing.append(placed)

    def working_nodes(self) -> list[str]:
        """Returns the machines that shards run on."""
        return [id for id, node in self.nodes.items() if node.works]

    def refresh(self) -> None:
        """Takes stock of the machines; checks those that have joined, and announces those that have left.

        To be called from one thread. Raises ImportError where a machine can't import this package.
        """
        while not self._lines.empty():
            self.notify(self._lines.get())
        first = not self.nodes
        found = {
            each["NodeID"]: ClusterNode(each["NodeID"], each["NodeManagerHostname"], each["Resources"])
            for each in ray.nodes()
            if each["Alive"]
        }
        joined = [node for id, node in found.items() if id not in self.nodes]
        departed = [node for id, node in self.nodes.items() if id not in found]
        self.nodes = found
        for node in departed:
            self.notify(f"machine {node.host} ({node.id[:8]}) has left the cluster: what ran there runs elsewhere")
        if joined and not first:
            self._grows = True
            self.notify(f"{_machines(len(joined))} joined: the cluster has {self._described()}")
        for node in joined:
            if node.works:
                self._checks[_pinned(_CHECK, "check", node.id).remote(self.origin)] = node
        self._raise_failed_checks()
        self._show_demand()

    def fail(self, error: BaseException) -> None:
        """Makes `room` raise an error from now on."""
        self._failure = error

    def _raise_failed_checks(self) -> None:
        done, _ = ray.wait(list(self._checks), num_returns=len(self._checks), timeout=0) if self._checks else ([], [])
        for call in done:
            node = self._checks.pop(call)
            try:
                get_result(call)
            except exceptions.RuntimeEnvSetupError as error:
                raise RuntimeError(f"engine.runtime_env could not be made on {node.host}: {error}") from error
            except exceptions.RayTaskError as error:  # of another package, say
                raise ImportError(f"{node.host} cannot import rzen-corpus: {error.cause}", name="rzen-corpus") from None
            except exceptions.RayError:
                continue  # the machine has left, or its worker died: shards find out

    def _show_demand(self) -> None:
        """Keeps placeholders for what there is no room for, as many as there is room for already, or one.

        They wait for room, and are killed as soon as there is some: nothing but the demand of an autoscaler. There are
        none while an actor looks for room, which is a demand itself: one placeholder after another could take it.
        """
        with self._lock:
            self._demands = {each: s for each, s in self._demands.items() if self.clock() - s < _DEMAND_S}
            if self._placing:
                self._placing = ray.wait(self._placing, num_returns=len(self._placing), timeout=0)[1]
            demands = set(self._demands) if self._grows and not self._placing else set()
        for resources in demands | set(self._placeholders):
            waiting = self._placeholders.setdefault(resources, [])
            for placeholder in list(waiting):
                if resources not in demands or ray.wait([placeholder[1]], timeout=0)[0]:
                    ray.kill(placeholder[0])
                    waiting.remove(placeholder)
            while resources in demands and len(waiting) < max(1, self.fits(resources)):
                options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus}
                actor: Any = _PLACEHOLDER.options(**options).remote()
                waiting.append((actor, actor.start.remote()))
            if not waiting:
                del self._placeholders[resources]

    def _described(self) -> str:
        total = {name: self.total(name) for name in ("CPU", "GPU")}
        return f"{describe_resources(total)} on {_machines(len(self.nodes))}"


def _machines(count: int) -> str:
    return f"{count} machine{'' if count == 1 else 's'}"


class StallMonitor:
    """The search for frozen processes, on every machine of a cluster. To be called from one thread."""

    def __init__(self, cluster: Cluster, limit: StallLimit) -> None:
        self._cluster = cluster
        self._limit = limit
        self._searched = cluster.clock()
        self._searches: dict[str, ray.ObjectRef] = {}  # by machine
        self._failed: set[str] = set()  # machines
        self.interval_s = limit.timeout_s / _SEARCHES

    def poll(self) -> None:
        """Announces what was found, and searches again when it is time. Ray ends the frozen processes' items."""
        for id, call in list(self._searches.items()):
            if ray.wait([call], timeout=0)[0]:
                del self._searches[id]
                self._announce(id, call)
        now = self._cluster.clock()
        if now - self._searched < self.interval_s:
            return
        self._searched = now
        search = to_pickle(RemoteCall(end_stalled, "", (self._limit,), None))
        for id in self._cluster.working_nodes():
            if id not in self._searches:  # one of a machine that doesn't answer ends when Ray gives the machine up
                self._searches[id] = _pinned(CALL, "end_stalled", id).remote(self._cluster.origin, search)

    def _announce(self, id: str, call: ray.ObjectRef) -> None:
        node = self._cluster.nodes.get(id)
        host = node.host if node else id[:8]
        try:
            stalled: list[StalledProcess] = get_result(call)
        except exceptions.RayTaskError as error:
            if id not in self._failed:
                self._failed.add(id)
                self._cluster.notify(f"frozen workers on {host} are not found: {error.cause}")
            return
        except exceptions.RayError:
            return  # the machine has left, or is about to
        for each in stalled:
            self._cluster.notify(
                f"process {each.process} on {host} showed no sign of life for {each.silent_s:.0f} s and was ended: "
                f"{each.items or 'what it had'} runs elsewhere"
            )


def _pinned(function: Any, name: str, node: str) -> Any:
    """Returns a remote function as a task for one machine, where it needs no room."""
    pinned = NodeAffinitySchedulingStrategy(node, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": pinned}
    return function.options(name=name, **options)


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
