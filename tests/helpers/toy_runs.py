"""Runs of toy stages through the run graph, on an engine that records what it did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.stage import MapStage, ShuffleStage
from corpus.workspace import Workspace
from pipelines.engines import EngineSettings
from pipelines.plan import Node, Selection, Step
from pipelines.planner import Planner
from pipelines.report.progress import ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.table_counts import TableCounts
from pipelines.run_graph.executor import Executor
from pipelines.run_graph.free_disk import FreeDisk
from pipelines.run_graph.publishing import PublishedMixture
from pipelines.run_graph.shuffles import ShuffleRunner
from pipelines.run_graph.states import TableStates
from pipelines.run_graph.streaming import StreamingExecutor
from pipelines.run_graph.waves import WaveExecutor
from pipelines.sources.source_shards import SourceIndex
from tests.helpers.fake_queues import FakeEngine
from tests.helpers.terminals import output, terminal
from tests.helpers.toy_plans import Toys, default_stages


@dataclass
class FakePublisher:
    """Publishes nothing, and records when; `mixtures` are of sources, whose tables they wait for."""

    engine: FakeEngine
    mixtures: dict[str, set[str]]
    errors: dict[str, Exception] = field(default_factory=dict)

    def sources(self, mixture: str) -> set[str]:
        return self.mixtures[mixture]

    def nodes(self, mixture: str, nodes: Sequence[Node]) -> list[int]:
        return [number for number, node in enumerate(nodes) if node.source in self.mixtures[mixture]]

    def publish(self, mixture: str, existing: set[str], progress: Any = None) -> PublishedMixture:
        self.engine.events.append((f"publish {mixture}", "", len(existing)))
        if mixture in self.errors:
            raise self.errors[mixture]
        return PublishedMixture(f"corpus-{mixture}")


@dataclass
class ToyRun:
    """A run that has ended."""

    executor: Executor
    engine: FakeEngine
    printed: list[str]

    @property
    def failed(self) -> list[str]:
        return self.executor.failed

    def order(self, *stages: str) -> list[tuple[str, str, int]]:
        """What was done, of some stages or of all, in order."""
        return [event for event in self.engine.events if not stages or event[0] in stages]


def run_toys(
    toys: Toys,
    *stages: MapStage | ShuffleStage,
    engine: FakeEngine | None = None,
    mixtures: dict[str, set[str]] | None = None,
    errors: dict[str, Exception] | None = None,
    disk: FreeDisk | None = None,
    **selection: Any,
) -> ToyRun:
    """Plans and runs toy stages; without any, the default ones."""
    engine = engine or FakeEngine(toys.workspace)
    steps = toys.steps(*(stages or default_stages()))
    indexes = {source: toys.index(source) for source in toys.shards}
    return run_steps(toys.workspace, steps, indexes, engine, Selection(**selection), mixtures or {}, errors or {}, disk)


def run_steps(
    workspace: Workspace,
    steps: Sequence[Step],
    indexes: dict[str, SourceIndex],
    engine: Any,
    selection: Selection,
    mixtures: dict[str, set[str]],
    errors: dict[str, Exception],
    disk: FreeDisk | None = None,
) -> ToyRun:
    """Runs steps on an engine, real or not."""
    planner = Planner(workspace, steps, indexes, selection)
    states = TableStates(planner, selection)
    console = terminal()
    log = RunLog(workspace.store, "toy")
    publisher: Any = FakePublisher(engine, mixtures, errors) if states.is_complete else None
    kind = StreamingExecutor if engine.streams else WaveExecutor
    counts = TableCounts(workspace)
    shuffles = ShuffleRunner(engine, EngineSettings(), workspace.store.url, workspace.store.full("scratch"))
    with ProgressBars(console) as progress, log:
        executor = kind(
            workspace, engine, planner, states, shuffles, progress, log, counts, publisher, list(mixtures), disk
        )
        executor.execute()
    return ToyRun(executor, engine, output(console).splitlines())


def logged_outcomes(workspace: Workspace) -> list[dict[str, Any]]:
    """What the log of the last toy run has of each shard."""
    lines = [json.loads(line) for line in workspace.store.read("runs/toy.jsonl").splitlines()]
    return [line for line in lines if "shard" in line]
