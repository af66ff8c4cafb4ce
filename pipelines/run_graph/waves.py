"""Executes a run graph on an engine that runs whole pipelines: wave by wave, from one shuffle to the next.

A wave has all tasks that can run without waiting for a shuffle, a pool, or the content of a table of the same wave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from corpus.execution import WORKER_LOST
from corpus.stage import MapStage
from pipelines.run_graph.chains import ChainEngine, build_chains
from pipelines.run_graph.executor import Executor
from pipelines.run_graph.states import TableStatus


@dataclass
class WaveExecutor(Executor):
    """The execution on an engine without queues."""

    _prepared: set[int] = field(default_factory=set)  # nodes whose stage has been prepared

    def _run_tasks(self) -> None:
        while True:
            self._advance()
            if wave := self._wave():
                self._run_wave(wave)
            elif groups := self._shuffles():
                for group, tables in groups:
                    for table, outcome in self._shuffle_outcomes(group, tables):
                        self._end(table, outcome)
                        self._show()
            elif due := self._due_mixtures():
                for mixture in due:
                    self._publish_now(mixture)
            elif self.planner.is_updated:
                return

    def _join(self) -> None:
        pass  # all has run in this thread

    def _active(self, step: int) -> tuple[int, int]:
        return 0, 0  # nobody knows which tasks of a pipeline run now

    def _wave(self) -> Mapping[int, int]:
        """Returns the tables of the next wave with their nodes, in step order."""
        graph = self.planner.dependencies
        self._measure_disk(now=True)
        ready = {table: graph.node_of(table) for table in self.states.ready if self._is_ready(table)}
        wave = {table: node for table, node in ready.items() if not self._is_held(node)}
        self.states.ready.clear()
        self.states.ready.extend(table for table in ready if table not in wave)
        if not wave:
            return {}
        for node in range(len(graph.nodes)):
            if self._is_held(node):
                continue
            for table in graph.tables_of(node):
                if self.states.may_follow(table) and all(
                    read in wave or self.states.status(read) == TableStatus.SETTLED for read in graph.inputs(table)
                ):
                    wave[table] = node
        return dict(sorted(wave.items()))

    def _is_ready(self, table: int) -> bool:
        return self.states.status(table) == TableStatus.READY

    def _run_wave(self, wave: Mapping[int, int]) -> None:
        nodes = dict.fromkeys(wave.values())
        self._prepare(nodes)
        jobs = [self._job(node) for node in nodes]
        numbers = {node: number for number, node in enumerate(nodes)}
        chains = build_chains([(numbers[node], self.planner.table(table).task) for table, node in wave.items()])
        tables = {self.planner.table(table).task.output: table for table in wave}
        crashed: list[int] = []
        outcomes = 0
        for chain, place, outcome in cast(ChainEngine, self.engine).run_chains(jobs, chains):
            table = tables[chains[chain].tasks[place].task.output]
            outcomes += 1
            if outcome.metrics.get(WORKER_LOST):
                crashed.append(table)
            else:
                self._end(table, outcome)
                self._show()
        if not outcomes:
            raise RuntimeError(f"the engine ran none of {len(wave)} tasks")
        for node in dict.fromkeys(wave[table] for table in crashed):
            self._run_isolated(node, [table for table in crashed if wave[table] == node])
        # What was put off, or needs what has run in isolation, may be ready now, and goes into the next wave.
        self.states.ready.extend(filter(self._is_ready, wave))

    def _run_isolated(self, node: int, tables: Sequence[int]) -> None:
        tasks = {(task.source, task.shard): table for table in tables for task in [self.planner.table(table).task]}
        job = self._job(node, isolated=True)
        for outcome in self.engine.map(job, [self.planner.table(table).task for table in tables]):
            self._end(tasks[outcome.owner, outcome.shard], outcome)

    def _prepare(self, nodes: Mapping[int, None]) -> None:
        for node in nodes:
            if node not in self._prepared:
                self._prepared.add(node)
                stage = self.planner.dependencies.nodes[node].stage
                assert isinstance(stage, MapStage)
                stage.prepare()

    def _publish_now(self, mixture: str) -> None:
        try:
            self._publish(mixture)
        except Exception as error:  # noqa: BLE001 - the other mixtures are published; it is raised at the end
            self._end_mixture(mixture, error)
        else:
            self._end_mixture(mixture, None)
