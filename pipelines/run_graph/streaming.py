"""Executes a run graph on an engine with queues: each task is submitted when it may run, to the queue of its job.

Shuffles and publishing run in threads of their own, which deliver into the same mailbox as the engine. An engine that
works in the calling thread has them done in place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from corpus.execution import WORKER_LOST, Outcome
from corpus.stage import MapStage
from pipelines.engines import StreamingEngine
from pipelines.engines.queues import Finished, JobQueue, Results
from pipelines.run_graph.executor import Executor
from pipelines.run_graph.jobs import GraphJobs
from pipelines.run_graph.order import TaskOrder

_PLANNED_AT_ONCE = 200  # tables; then it is looked whether a task has ended
_TAKEN_AT_ONCE = 100  # results; then what they make ready is submitted
_WAIT_S = 0.5
_JOIN_S = 10.0


@dataclass
class StreamingExecutor(Executor):
    """The execution on an engine with queues."""

    _queues: dict[int, JobQueue] = field(default_factory=dict)  # of each job
    _isolated: dict[int, JobQueue] = field(default_factory=dict)  # of each job, for what killed its workers
    _tables: dict[str, int] = field(default_factory=dict)  # submitted, by their paths
    _preparing: dict[int, list[int]] = field(default_factory=dict)  # tables of jobs whose stage is being prepared
    _in_flight: Counter[int] = field(default_factory=Counter)  # submitted tasks of each job that have not ended
    _closed: set[int] = field(default_factory=set)  # jobs of which no task can come any more
    _broken: dict[int, str] = field(default_factory=dict)  # nodes whose stage can't be opened, and why
    _threads: list[threading.Thread] = field(default_factory=list)
    _unfinished: int = 0  # submitted tasks, and threads
    _is_reordered: bool = True  # something has changed that the order depends on

    def __post_init__(self) -> None:
        super().__post_init__()
        self._engine = cast(StreamingEngine, self.engine)
        self._results = Results()
        self._jobs = GraphJobs(self.planner.dependencies)
        self._order = TaskOrder(self.planner.dependencies, self._jobs)

    def _run_tasks(self) -> None:
        while True:
            self._advance(_PLANNED_AT_ONCE)
            if self._measure_disk():
                self._pause_queues()
            self._submit_ready()
            for group, tables in self._shuffles():
                self._start(f"shuffle {group}", partial(self._shuffle, group, tables), _raise)
            for mixture in self._due_mixtures():
                self._start(f"publish {mixture}", partial(self._publish, mixture), partial(self._end_mixture, mixture))
            self._close_queues()
            if self._is_reordered:
                self._order.update(self._queues, self.states.open_in_node)
                self._close_complete()
                self._is_reordered = False
            if self._unfinished:
                is_held_up = self._is_held_up()  # asked first: what ends later is in the mailbox
                if not self._take_finished() and is_held_up:
                    self._cancel_queues()
                    return
            elif self._is_idle():
                return

    def _is_idle(self) -> bool:
        states = self.states
        return self.planner.is_updated and not (states.ready or states.ready_groups or states.settled_nodes)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _starving(self) -> Sequence[int]:
        return self._order.starving

    def _active(self, step: int) -> tuple[int, int]:
        counts: Counter[str] = Counter()
        for queues in (self._queues, self._isolated):
            for job, queue in queues.items():
                if self.planner.dependencies.steps[self._jobs.nodes(job)[0]] == step:
                    counts.update(ready=queue.waiting, running=queue.running)
        return counts["ready"], counts["running"]

    def _take_finished(self) -> bool:
        """Waits for something that has ended, and takes all that has by then; tells whether it was anything."""
        finished = self._engine.wait(self._results, _WAIT_S if self.planner.is_updated else 0.0)
        self._is_reordered = self._is_reordered or finished is None
        taken = 0
        while finished is not None:
            if finished.queue is None:
                finished.item(finished.result)
            else:
                self._finish(finished)
            taken += 1
            finished = self._results.get(0.0) if taken < _TAKEN_AT_ONCE else None
        return taken > 0

    def _is_held_up(self) -> bool:
        """Tells whether nothing can go on but what waits for room on the disk, and there still is none."""
        threads = self._unfinished - sum(self._in_flight.values())
        if self.disk is None or not self.disk.is_low or threads or not self._is_idle():
            return False
        if any(queue.waiting or queue.running for queue in self._all_queues()):
            return False
        if self._measure_disk(now=True):
            self._pause_queues()
        return self.disk.is_low

    def _all_queues(self) -> list[JobQueue]:
        return [*self._queues.values(), *self._isolated.values()]

    def _pause_queues(self) -> None:
        for queues in (self._queues, self._isolated):
            for job, queue in queues.items():
                queue.paused = self._is_held(self._jobs.nodes(job)[0])

    def _cancel_queues(self) -> None:
        for queue in self._all_queues():
            queue.cancel()

    def _finish(self, finished: Finished) -> None:
        """Records what became of a task; one that killed its workers goes on in isolation."""
        self._unfinished -= 1
        task = finished.item
        table = self._tables[task.output]
        node = self.planner.dependencies.node_of(table)
        job = self._jobs.of(node)
        self._is_reordered = self._is_reordered or self._order.is_scarce(job)
        if finished.error is not None:
            self._take_back(task.output, job)
            self._fail(table, node, f"{type(finished.error).__name__}: {finished.error}")
        elif finished.result.metrics.get(WORKER_LOST) and finished.queue is not self._isolated.get(job):
            if job not in self._isolated:
                self._isolated[job] = self._open_queue(node, isolated=True)
            self._unfinished += 1
            self._isolated[job].submit(task)
        else:
            self._take_back(task.output, job)
            self._end(table, finished.result)

    def _take_back(self, path: str, job: int) -> None:
        del self._tables[path]
        self._in_flight[job] -= 1

    def _fail(self, table: int, node: int, why: str) -> None:
        """Records that a task failed because its stage can't be opened: one line for all tasks of a node."""
        task = self.planner.table(table).task
        name = self.planner.dependencies.nodes[node].stage.name
        line = "" if self._broken.get(node) == why else f"{name} {task.source}: {why}"
        self._broken[node] = why
        self._end(table, Outcome(task.source, name, task.shard, error=why), line)

    def _submit_ready(self) -> None:
        while self.states.ready:
            table = self.states.ready.popleft()
            node = self.planner.dependencies.node_of(table)
            job = self._jobs.of(node)
            if job in self._preparing:
                self._preparing[job].append(table)
            elif job in self._queues:
                self._submit(table, job)
            elif node in self._broken:
                self._fail(table, node, self._broken[node])
            else:
                self._open(node, table)

    def _submit(self, table: int, job: int) -> None:
        task = self.planner.table(table).task
        self._tables[task.output] = table
        self._unfinished += 1
        self._in_flight[job] += 1
        self._is_reordered = self._is_reordered or self._order.is_scarce(job)
        self._queues[job].submit(task)

    def _open(self, node: int, first: int) -> None:
        """Opens the queue of a node's job for its first task; the stage is prepared before, which may take long."""
        graph = self.planner.dependencies
        stage = graph.nodes[node].stage
        self.reports[graph.steps[node]].start()
        self._preparing[self._jobs.of(node)] = [first]
        assert isinstance(stage, MapStage)
        if type(stage).prepare is MapStage.prepare:
            self._end_prepare(node, None)
        else:
            self._start(f"prepare {stage.name}", stage.prepare, partial(self._end_prepare, node))

    def _end_prepare(self, node: int, error: BaseException | None) -> None:
        job = self._jobs.of(node)
        tables = self._preparing.pop(job)
        if error is not None:
            for table in tables:
                why = f"{type(error).__name__}: {error}"
                self._fail(table, self.planner.dependencies.node_of(table), why)
            return
        self._queues[job] = self._open_queue(node)
        for table in tables:
            self._submit(table, job)

    def _open_queue(self, node: int, isolated: bool = False) -> JobQueue:
        priority = self._order.priority(self._jobs.of(node))
        queue = self._engine.open_queue(self._job(node, isolated), self._results, priority)
        queue.paused = self._is_held(node)
        return queue

    def _close_complete(self) -> None:
        """Closes the queues that have all tasks that can still come, so that their models may leave."""
        for job, queue in self._queues.items():
            if job not in self._closed and self._open_tables(job) == self._in_flight[job]:
                self._closed.add(job)
                queue.close()

    def _close_queues(self) -> None:
        while self.states.ended_nodes:
            job = self._jobs.of(self.states.ended_nodes.popleft())
            for queues in (self._queues, self._isolated):
                if not self._open_tables(job) and (queue := queues.pop(job, None)):
                    queue.close()

    def _open_tables(self, job: int) -> int:
        return self._jobs.total(job, self.states.open_in_node)

    def _shuffle(self, group: int, tables: list[int]) -> None:
        for table, outcome in self._shuffle_outcomes(group, tables):
            self._deliver(partial(self._end, table), outcome)

    def _deliver(self, record: Callable[[Any], None], value: Any) -> None:
        """Has a value recorded by the thread that executes the run."""
        if self._engine.inline:
            record(value)
        else:
            self._results.put(Finished(None, record, value))

    def _start(self, name: str, work: Callable[[], None], ended: Callable[[BaseException | None], None]) -> None:
        """Does long work beside the tasks; `ended` is called with its error when it is done."""
        if self._engine.inline:
            _run(work, ended)
            return
        self._unfinished += 1
        deliver = partial(self._deliver, partial(self._ended, ended))
        thread = threading.Thread(target=_run, args=(work, deliver), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _ended(self, ended: Callable[[BaseException | None], None], error: BaseException | None) -> None:
        self._unfinished -= 1
        ended(error)


def _run(work: Callable[[], None], ended: Callable[[BaseException | None], None]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - what else runs goes on; the thread that executes the run decides
        ended(error)
    else:
        ended(None)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
