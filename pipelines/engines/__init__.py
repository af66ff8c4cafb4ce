"""Engines run stages: in processes of this machine, on a Ray cluster, or on a Beam runner.

Every engine has two methods, `map` and `map_reduce`; one that streams also has queues. It schedules, retries and
shuffles, and knows nothing of stages, shards or tables: it opens a `Job` in each worker and calls it with items. The
results do not depend on the engine.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Literal, Protocol, TypeVar

import pyarrow as pa

from corpus.execution import Job, Outcome
from corpus.outages import RETRY_S
from corpus.settings import Settings, tuning
from pipelines.engines.queues import Finished, JobQueue, Results
from pipelines.engines.workers import Notify, print_to_stderr

_I = TypeVar("_I")

Reduce = Callable[[pa.Table], pa.Table]


class Engine(Protocol):
    """The interface of every engine. `map` and `map_reduce` may be called from several threads at once."""

    streams: bool  # it is a `StreamingEngine`

    def map(self, job: Job[_I, Outcome], items: Sequence[_I]) -> Iterator[Outcome]:
        """Runs every item and yields the outcomes as they are ready, in any order. `job` and the items are picklable.

        The items of a worker that crashes run again elsewhere; an item that kills its worker three times while it is
        the only one there has the outcome that `job.lost` returns. Raises what `job` raised (beam: RuntimeError with
        its text, where the runner has other processes). Closing the iterator early starts no further item, and stops
        the running ones where the engine can: all publishing is atomic.
        """
        ...

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """Shuffles the rows that `job` returns for the items by their uint64 column `key`, then reduces them.

        `reduce` is called once for each non-empty partition (key mod `partitions`), with all rows of its keys in
        no particular order. Its tables come in any order. Raises what `job` or `reduce` raised, as `map` does.
        """
        ...

    def close(self) -> None:
        """Stops the workers, in the midst of an item too. Whoever waits for an item gets RuntimeError."""
        ...


class StreamingEngine(Engine, Protocol):
    """The interface of an engine with queues: it runs items of many jobs side by side, as they come."""

    inline: bool  # items run in the thread that calls `wait`, one at a time

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> JobQueue:
        """Opens a queue of a job, whose items are delivered to `results` as they end.

        The items of a worker that crashes run again elsewhere; an item that kills its worker three times while it is
        the only one there ends with what `job.on_worker_lost` returns. Where no worker can open the job, every item
        of the queue ends with that error, and other queues go on.
        """
        ...

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        """Returns the next item that has ended, as `Results.get` does.

        An inline engine takes what is there; else it first runs an item of the foremost queue that delivers to
        `results`, however long that takes. Where no item waits either, it waits as `Results.get` does.
        """
        ...


class EngineSettings(Settings):
    """Settings of the engine. None of them changes the results."""

    kind: Literal["local", "ray", "beam"] = tuning(
        "local", description="Where stages run: processes of this machine, a Ray cluster, or a Beam runner."
    )
    workers: int = tuning(
        0,
        ge=0,
        description="Processes (local, Beam's own runner), tasks in flight or actors (ray); 0 is one for each "
        "core (local), as many as the cluster has room for (ray), or one (beam).",
    )
    shuffle_partitions: int = tuning(
        16, ge=1, description="The partitions of a shuffle: more of them take less memory each."
    )
    max_driver_rows: int = tuning(
        20_000_000,
        ge=1,
        description="The rows in families of duplicates that come together where the run is started, 1 to 2 GB for the "
        "default; of more the families are found in rounds over the shuffle, through files in the workspace.",
    )
    min_free_disk_bytes: int = tuning(
        1_000_000_000,
        ge=0,
        description="The space that must be free on the disk of a local workspace, in bytes, for a shard of a download "
        "or of clips to start; 0 asks for none.",
    )
    stall_timeout_s: float = tuning(
        600.0,
        ge=0,
        description="The time after which a worker without any sign of life is stopped, and its shards run elsewhere; "
        "0 is never (local, ray). Slow work is a sign of life.",
    )
    address: str | None = tuning(
        None,
        description='The address of a running Ray cluster, such as "auto" or "ray://host:10001"; null starts one '
        "(ray).",
    )
    runtime_env: dict[str, Any] = tuning(
        {},
        description='A runtime environment that Ray makes on each machine, such as {"working_dir": "."} (ray).',
    )
    cluster_timeout_s: float = tuning(
        1800.0,
        gt=0,
        description="Seconds to wait for a machine with the processors and GPUs that a stage needs (ray).",
    )
    runner: str = tuning(
        "FnApiRunner",
        description='The name of the runner: Beam\'s own one, or another such as "DataflowRunner" (beam).',
    )
    options: tuple[str, ...] = tuning((), description="Pipeline options, which are passed on as they are (beam).")
    gpu_resources: dict[str, str] = tuning(
        {},
        description="The resource hints of stages that take GPUs, for a runner that knows them, such as "
        '{accelerator: "type:nvidia-l4;count:1;install-nvidia-driver", min_ram: 32GB} (beam).',
    )
    storage_retry_s: float = tuning(
        RETRY_S,
        ge=0,
        description="How long reads and writes are tried again, with pauses, while a store is away or too busy; "
        "0 fails at once.",
    )


def check_installed(settings: EngineSettings) -> None:
    """Raises ImportError where the engine's library, an extra, is not installed."""
    package = {"ray": "ray", "beam": "apache_beam"}.get(settings.kind)
    if package and importlib.util.find_spec(package) is None:
        raise ImportError(f"engine.kind {settings.kind} is an extra: pip install 'rzen-corpus[{settings.kind}]'")


def open_engine(settings: EngineSettings, notify: Notify = print_to_stderr, **context: Any) -> Engine:
    """Opens the engine that the settings name. ImportError says which extra is missing.

    `notify` prints what a person should know about its workers, from any thread.
    """
    check_installed(settings)
    if settings.kind == "ray":
        from pipelines.engines.ray import RayEngine

        return RayEngine(settings, notify)
    if settings.kind == "beam":
        from pipelines.engines.beam_warnings import needs_cloud_packages, without_package_warnings

        with nullcontext() if needs_cloud_packages(settings.runner, settings.options) else without_package_warnings():
            from pipelines.engines.beam import BeamEngine

        return BeamEngine(settings, **context)
    from pipelines.engines.local import LocalEngine

    return LocalEngine(settings, notify)
