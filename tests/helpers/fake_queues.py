"""An engine with queues for tests of the run graph: it runs no stage, writes toy tables, and records what it did.

It works in the calling thread, the foremost queue first, so what it records tells the order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from corpus.execution import FinalizeTask, Outcome
from corpus.table_digest import table_digest
from corpus.workspace import Workspace
from pipelines.engines.queues import Finished, Results
from tests.helpers.toy_plans import KEPT, Judged, toy_table

Event = tuple[str, str, int]  # (stage, source, shard)


@dataclass(eq=False)
class FakeQueue:
    job: Any
    results: Results
    priority: int
    has_room: bool = True
    paused: bool = False
    cancelled: bool = False
    running: int = 0
    closed: bool = False
    items: deque[Any] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        return 0 if self.paused else len(self.items)

    def submit(self, item: Any) -> None:
        assert not self.closed
        self.items.append(item)

    def close(self) -> None:
        self.closed = True

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeEngine:
    """`judged` by event: the rows of a table, kept where it says nothing; `failing`: why no table is written."""

    workspace: Workspace
    judged: Mapping[Event, Judged] = field(default_factory=dict)
    failing: Mapping[Event, str] = field(default_factory=dict)
    broken: Mapping[str, Exception] = field(default_factory=dict)  # stages that can't be opened
    before: Callable[[Event], None] = lambda event: None
    after: Callable[[Any, Any], Outcome | None] = lambda job, task: None  # other outcomes than the usual ones
    streams: bool = True
    inline: bool = True
    queues: list[FakeQueue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    pools: dict[Event, Mapping[str, int]] = field(default_factory=dict)  # how many tables the pools had
    is_closed: bool = False

    def open_queue(self, job: Any, results: Results, priority: int = 0) -> FakeQueue:
        self.queues.append(FakeQueue(job, results, priority))
        return self.queues[-1]

    def wait(self, results: Results, timeout_s: float | None = None) -> Finished | None:
        waiting = [queue for queue in self.queues if queue.waiting]
        if not waiting:
            return results.get(timeout_s)
        queue = max(waiting, key=lambda each: each.priority)
        item = queue.items.popleft()
        error = self.broken.get(queue.job.stage.name)
        return Finished(queue, item, None if error else self.run(queue.job, item), error)  # type: ignore[arg-type]

    def map(self, job: Any, items: Sequence[Any]) -> Iterator[Outcome]:
        yield from (self.run(job, item) for item in items)

    def map_reduce(self, job: Any, items: Sequence[Any], reduce: Any, partitions: int) -> Iterator[pa.Table]:
        self.events.append((f"shuffle {job.stage.name}", "", len(items)))
        assert all(self.workspace.store.exists(path) for item in items for _, path in item.inputs)
        yield from ()

    def close(self) -> None:
        self.is_closed = True

    def run(self, job: Any, item: Any) -> Outcome:
        task = item.task if isinstance(item, FinalizeTask) else item
        event = (job.stage.name, task.source, int(task.shard))
        if (other := self.after(job, task)) is not None:
            return other
        self.before(event)
        self.events.append(event)
        self.pools[event] = {name: len(pool.paths) for name, pool in getattr(job, "pools", {}).items()}
        assert all(self.workspace.store.exists(path) for _, path in task.inputs), "it reads what is not there"
        assert all(
            self.workspace.store.exists(path) for pool in getattr(job, "pools", {}).values() for path in pool.paths
        )
        if event in self.failing:
            return Outcome(task.source, job.stage.name, task.shard, error=self.failing[event])
        table = toy_table(self.judged.get(event, KEPT))
        content = table_digest(table) if task.content_named else ""
        path = task.output if not content else f"{task.output.removesuffix('.parquet')}-c{content}.parquet"
        self.workspace.write_table(path, table, task.fingerprint_parts)
        return Outcome(task.source, job.stage.name, task.shard, table.num_rows, {"kept/": 3}, content=content)
