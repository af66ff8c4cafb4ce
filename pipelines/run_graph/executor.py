"""Executes a run graph: a task starts as soon as the tables that it reads exist.

No stage waits for another over all shards, and no source for another, save at a shuffle or a pool. A mixture is
published as soon as its datasets are complete. How tasks reach an engine depends on it: see `streaming` and `waves`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from corpus.execution import MapJob, Outcome
from corpus.stage import MapStage, ShuffleStage
from corpus.workspace import Workspace, owner_name
from pipelines.engines import Engine
from pipelines.observers.base import RunObserver, TaskCounts
from pipelines.planner import Planner
from pipelines.publish.mixture import PublishError
from pipelines.report.progress import ProgressBar, ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.step_report import StepReport
from pipelines.report.table_counts import TableCounts
from pipelines.run_graph.free_disk import FreeDisk
from pipelines.run_graph.publishing import PublishedMixture, Publisher
from pipelines.run_graph.shuffles import ShuffleRunner
from pipelines.run_graph.states import TableStates, TableStatus

_SHOW_EVERY_S = 0.5
_LOG_EVERY_S = 10.0


@dataclass
class Executor(ABC):
    """The execution of a run on one engine, up to the publishing of its mixtures.

    A task or a mixture that fails is listed in `failed`, and whatever does not depend on it goes on.
    """

    workspace: Workspace
    engine: Engine
    planner: Planner
    states: TableStates
    shuffles: ShuffleRunner
    progress: ProgressBars
    log: RunLog
    counts: TableCounts
    publisher: Publisher | None = None  # None: nothing is published
    mixtures: Sequence[str] = ()
    disk: FreeDisk | None = None  # of the workspace; None: it is not measured
    failed: list[str] = field(default_factory=list)  # failures, one line each
    published: dict[str, PublishedMixture] = field(default_factory=dict)
    error: BaseException | None = None  # the first fault of publishing that is none of storage or of what is published
    observer: RunObserver = field(default_factory=RunObserver)

    def __post_init__(self) -> None:
        plan = self.planner.plan
        self.reports = [StepReport(step.name, self.progress, self.log) for step, _ in plan.steps]
        nodes = self.planner.dependencies.nodes
        publisher = self.publisher
        self._media_nodes = [number for number, node in enumerate(nodes) if node.stage.writes_media]
        self._awaited = {name: set(publisher.nodes(name, nodes)) for name in self.mixtures} if publisher else {}
        self._displayed = self._logged = time.monotonic()
        self._total: ProgressBar | None = None

    def execute(self) -> None:
        """Runs all tasks that can be run, then says what could not. Stops the engine where it is interrupted."""
        self.states.start()
        self.observer.progress(self._task_counts())
        self._show_total()  # first, so that its bar is the first
        try:
            self._run_tasks()
        except BaseException:
            self.engine.close()
            self._join()
            raise
        if self._total is not None:
            self._total.close()
        self.failed += self._held_lines()
        self.states.block_rest()
        self.failed += self._blocked_lines()
        self._complete_steps()
        self.observer.progress(self._task_counts())
        for mixture in self._awaited:
            self.progress.print_line(f"publish {mixture}: blocked")

    def existing(self, sources: set[str] | None = None) -> set[str]:
        """Returns the paths of the tables that exist, of some sources or (None) of all."""
        graph = self.planner.dependencies
        return {
            self.planner.table(table).task.output
            for number, node in enumerate(graph.nodes)
            if sources is None or node.source in sources
            for table in graph.tables_of(number)
            if self.states.status(table) == TableStatus.SETTLED
        }

    @abstractmethod
    def _run_tasks(self) -> None:
        """Runs tasks until none is left that can run."""

    @abstractmethod
    def _join(self) -> None:
        """Waits for what still runs after the engine was closed."""

    @abstractmethod
    def _active(self, step: int) -> tuple[int, int]:
        """Returns how many tasks of a step are ready, and how many run."""

    def _starving(self) -> Sequence[int]:
        """Returns the steps whose workers have nothing to do."""
        return ()

    def _advance(self, limit: int | None = None) -> None:
        """Plans tables of which all that they read is known, and reports what is complete."""
        for table in self.planner.update(limit):
            self.states.consider(table)
        self._complete_steps()
        self._show()

    def _is_held(self, node: int) -> bool:
        """Tells whether no task of a node may start for want of room on the disk."""
        return self.disk is not None and self.disk.is_low and self.planner.dependencies.nodes[node].stage.writes_media

    def _measure_disk(self, now: bool = False) -> bool:
        """Says when there is too little room for media, or enough again; tells whether that has changed."""
        stages = ", ".join(self._media_stages())
        if self.disk is None or not stages or not self.disk.measure(now):
            return False
        follows = f"no further shard of {stages} starts before there is more" if self.disk.is_low else "these go on"
        line = f"{self.disk}: {follows}"
        self.progress.print_line(line)
        self.log.event("notice", text=line)
        return True

    def _media_stages(self) -> Mapping[str, int]:
        """Returns the stages that write media, with their tables that have not ended."""
        found: Counter[str] = Counter()
        for node in self._media_nodes:
            if self.states.open_in_node[node]:
                found[self.planner.dependencies.nodes[node].stage.name] += self.states.open_in_node[node]
        return found

    def _held_lines(self) -> list[str]:
        """Returns a line for each stage whose tasks were held to the end for want of room on the disk."""
        if self.disk is None or not self.disk.is_low:
            return []
        advice = "make room there and run again, or ask for less"
        return [f"{name}: {n} shards did not start: {self.disk}: {advice}" for name, n in self._media_stages().items()]

    def _job(self, node: int, isolated: bool = False) -> MapJob:
        stage = self.planner.dependencies.nodes[node].stage
        assert isinstance(stage, MapStage)
        return MapJob(stage, self.workspace.store.url, isolated, self.planner.pools(node))

    def _end(self, table: int, outcome: Outcome, message: str | None = None) -> None:
        """Records what became of a task; `message` is the line about its failure, "" for none."""
        graph = self.planner.dependencies
        node = graph.node_of(table)
        report = self.reports[graph.steps[node]]
        self.log.add(outcome)
        self.observer.outcome(outcome)
        report.start()
        report.add(outcome)
        if outcome.error:
            where = f"{owner_name(outcome.owner)}/{outcome.shard}"
            line = f"{report.name} {where}: {outcome.error}" if message is None else message
            self.failed += [line] if line else []
            self.states.fail(table)
            return
        path = self.planner.written(table, outcome.content)
        self.planner.release(table)
        if graph.nodes[node].filters_rows:
            self.counts.add(path, outcome.counts)
        self.states.settle(table)

    def _shuffles(self) -> list[tuple[int, list[int]]]:
        """Returns the shuffle groups that may run, each with the tables that it is to write."""
        if not self.planner.is_updated:
            return []  # some of their tables may still have to be planned
        found = sorted(self.states.ready_groups.items(), reverse=True)  # nearest to the end first
        self.states.ready_groups.clear()
        return found

    def _shuffle_outcomes(self, group: int, tables: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        """Runs a shuffle; yields what became of each of the tables that it is to write."""
        graph = self.planner.dependencies
        first = graph.groups[group][0]
        stage = graph.nodes[first].stage
        assert isinstance(stage, ShuffleStage)
        tasks = [planned.task for planned in self.states.planned_group(group)]
        requested = [self.planner.table(table).task for table in tables]
        todo = {(task.source, task.shard): table for task, table in zip(requested, tables, strict=True)}
        outcomes = self.shuffles.run(stage, graph.nodes[first].dataset, tasks, requested)
        try:
            for outcome in outcomes:
                yield todo.pop((outcome.owner, outcome.shard)), outcome
        except Exception as error:  # noqa: BLE001 - what else runs goes on; the run's log says why
            why = f"{type(error).__name__}: {error}"
            for (owner, shard), table in todo.items():
                yield table, Outcome(owner, stage.name, shard, error=why)

    def _due_mixtures(self) -> list[str]:
        """Returns the mixtures of which everything exists since the last call."""
        while self.states.settled_nodes:
            node = self.states.settled_nodes.popleft()
            for awaited in self._awaited.values():
                awaited.discard(node)
        due = [name for name, awaited in self._awaited.items() if not awaited]
        for name in due:
            del self._awaited[name]
        return due

    def _publish(self, mixture: str) -> None:
        """Publishes a mixture; may be called from any thread, and for several at a time."""
        publisher = self.publisher
        assert publisher is not None
        with self.progress.bar(f"publish {mixture}") as bar:
            existing = self.existing(publisher.sources(mixture))
            self.published[mixture] = publisher.publish(mixture, existing, bar.set_progress)

    def _end_mixture(self, mixture: str, error: BaseException | None) -> None:
        if isinstance(error, (OSError, PublishError)):
            self.failed.append(f"publish {mixture}: {type(error).__name__}: {error}")
        elif error is not None:
            self.error = self.error or error
        else:
            self.observer.published(mixture, self.published[mixture].samples)

    def _complete_steps(self) -> None:
        ended = sorted(self.states.ended_steps)
        self.states.ended_steps.clear()
        for step in ended:
            total = len(self.planner.plan.steps[step][1])
            self.reports[step].complete(self.states.todo_in_step[step], total)

    def _show(self) -> None:
        """Updates the bars and, now and then, the run's log."""
        now = time.monotonic()
        if now - self._displayed < _SHOW_EVERY_S:
            return
        self._displayed = now
        steps = {}
        starving = self._starving()
        self._show_total()
        for step, report in enumerate(self.reports):
            waiting = self.states.open_in_step[step]
            if waiting and report.is_started:
                total = len(self.planner.plan.steps[step][1])
                ready, running = self._active(step)
                report.show(total, waiting - ready - running, ready, running, step in starving)
                steps[report.name] = {
                    "total": total,
                    "waiting": waiting - ready - running,
                    "ready": ready,
                    "running": running,
                    "failed": report.failed,
                    "starving": step in starving,
                }
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            self.log.event("progress", steps=steps)
            self.observer.progress(self._task_counts())

    def _task_counts(self) -> dict[str, TaskCounts]:
        """Returns the tasks of each stage that were requested, by their states."""
        found = {}
        for step in range(self.states.last_step + 1):
            ready, running = self._active(step)
            ended = self.states.ended_in_step[step]
            found[self.reports[step].name] = TaskCounts(
                waiting=self.states.open_in_step[step] - ready - running,
                ready=ready,
                running=running,
                done=ended[TableStatus.SETTLED],
                failed=ended[TableStatus.FAILED],
                blocked=ended[TableStatus.BLOCKED],
            )
        return found

    def _show_total(self) -> None:
        """Updates the bar over all stages, by which the end of the run is estimated."""
        steps = range(self.states.last_step + 1)
        total = sum(len(self.planner.plan.steps[step][1]) for step in steps)
        if self._total is None:
            self._total = self.progress.open_bar("all stages", total)
        self._total.set_progress(total - sum(self.states.open_in_step[step] for step in steps), total)

    def _blocked_lines(self) -> list[str]:
        """Returns a line for each shuffle and each node with a pool that waits for what was not finished."""
        graph, plan = self.planner.dependencies, self.planner.plan
        lines: dict[int, list[str]] = {}
        for number, group in enumerate(graph.groups):
            step = graph.steps[group[0]]
            if any(map(self.states.is_blocked, group)) and (missing := self.states.missing_inputs(number)):
                dataset = graph.nodes[group[0]].dataset
                of = f" of {dataset}" if dataset else ""
                lines.setdefault(step, []).append(
                    f"{plan.steps[step][0].name}{of}: waits for {missing} shards that an earlier stage did not finish"
                )
        for number, node in enumerate(graph.nodes):
            step = graph.steps[number]
            if node.pools and self.states.is_blocked(number):
                lines.setdefault(step, []).extend(
                    f"{plan.steps[step][0].name} {owner_name(node.table_key.owner)}: waits for {missing} tables of the "
                    f"pool `{pool}` that an earlier stage did not finish"
                    for pool, missing in self.states.missing_of_pools(number).items()
                )
        return [line for step in sorted(lines) for line in lines[step]]
