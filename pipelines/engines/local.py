"""The local engine runs jobs in a pool of processes on this machine; it is the default.

One worker means this process itself: no process is started, a debugger works, and a `memory://` workspace is shared.
With more, each worker is a process that ends with this one, however it ends.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from corpus.execution import Job
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.dispatcher import Dispatcher
from pipelines.engines.inline import InlineDispatcher
from pipelines.engines.process_worker import ProcessHost
from pipelines.engines.queue_engine import QueueEngine
from pipelines.engines.queues import JobQueue, Results
from pipelines.engines.shuffle import ShuffleRead, ShuffleWrite
from pipelines.engines.workers import Notify, print_to_stderr

_I = TypeVar("_I")


class LocalEngine(QueueEngine):
    """Runs jobs in processes of this machine, or in this one: then an item that kills its process ends the run."""

    def __init__(self, settings: EngineSettings, notify: Notify = print_to_stderr) -> None:
        self.workers = settings.workers or os.cpu_count() or 1
        self.inline = self.workers == 1
        if self.inline:
            super().__init__(InlineDispatcher())
        else:
            host = ProcessHost(self.workers, settings.stall_timeout_s)
            super().__init__(Dispatcher(host, notify, settings.stall_timeout_s))

    def open_queue(self, job: Job[Any, Any], results: Results, priority: int = 0) -> JobQueue:
        """See `StreamingEngine.open_queue`."""
        # Before the interpreter waits for its child processes, which it does for ever. Registered once, or again.
        atexit.unregister(self.close)
        atexit.register(self.close)
        return super().open_queue(job, results, priority)

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. The rows wait in temporary files; each worker holds one partition in memory."""
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-shuffle-") as folder:
            write = ShuffleWrite(job, folder, partitions)
            spilled = [path for path in self.map(write, list(enumerate(items))) if path]
            read = ShuffleRead(reduce, folder, tuple(spilled))
            for path in self.map(read, range(partitions)):
                if path:
                    yield pa.ipc.open_file(pa.memory_map(path)).read_all()

    def close(self) -> None:
        """See `Engine.close`."""
        atexit.unregister(self.close)
        super().close()
