"""Small stages in a row, over shards with a row each, for the tests of engines that run chains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from apache_beam.pipeline import Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from corpus.execution import MapJob, ShardError, ShardTask
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, MapStage, Resources, Shard
from corpus.workspace import Workspace
from pipelines.run_graph.chains import Chain, build_chains


class AddOne(MapStage):
    """The number of the table before, and one more. Fails a shard with one number, and may refuse to be set up."""

    schema = pa.schema([("number", pa.int64())])

    def __init__(self, name: str, reads: tuple[str, ...], resources: Resources, fails_at: int = -1) -> None:
        super().__init__(Settings())
        self.name = name  # type: ignore[misc]
        self.reads = reads
        self.resources = resources
        self.fails_at = fails_at

    def setup(self) -> Callable[[Shard], pa.Table]:
        if self.fails_at == 0:
            raise ImportError("planted: no such package")
        return self.add

    def add(self, shard: Shard) -> pa.Table:
        number = shard[self.reads[-1]].column("number").to_pylist()[0]
        if number == self.fails_at:
            raise ShardError(f"planted at {number}")
        return pa.table({"number": [number + 1]})


@dataclass(frozen=True)
class Line:
    """Stages in a row over shards whose numbers are 10, 20, ... at first; each has a table of its own."""

    root: Path
    stages: tuple[AddOne, ...]
    shards: int = 3

    @property
    def jobs(self) -> list[MapJob]:
        return [MapJob(stage, str(self.root)) for stage in self.stages]

    def path(self, name: str, shard: int) -> str:
        return f"tables/s/{name}/{shard}.f.parquet"

    def chains(self) -> list[Chain]:
        """Writes the first tables; returns the chains of all others."""
        kept = {"status": ["kept"], "reason": [""]}
        for shard in range(self.shards):
            first = pa.table({"number": [10 * (shard + 1)], **kept})
            Workspace(str(self.root)).write_table(self.path(ROWS, shard), first, {})
        tasks = [
            (number, self._task(stage, shard))
            for number, stage in enumerate(self.stages)
            for shard in range(self.shards)
        ]
        return build_chains(tasks)

    def _task(self, stage: AddOne, shard: int) -> ShardTask:
        inputs = tuple((name, self.path(name, shard)) for name in stage.reads)
        parts = {"stage": stage.name}
        return ShardTask("s", str(shard), shard, inputs, self.path(stage.name, shard), f"media/s/{shard}", parts)

    def numbers(self, stage: str) -> list[int | None]:
        """The numbers in the tables of a stage; None where there is no table."""
        workspace = Workspace(str(self.root))
        paths = [self.path(stage, shard) for shard in range(self.shards)]
        return [
            workspace.read_table(path).column("number").to_pylist()[0] if workspace.store.exists(path) else None
            for path in paths
        ]


MODEL = Resources(holds_model=True)


def line_of_three(root: Path, fails_at: int = -1, middle: Resources = MODEL) -> Line:
    """`items` reads rows, `middle` items, `last` both; one or all shards may fail in `middle`."""
    return Line(
        root,
        (
            AddOne(ITEMS, (ROWS,), Resources(in_flight=2)),
            AddOne("middle", (ITEMS,), middle, fails_at),
            AddOne("last", (ITEMS, "middle"), Resources()),
        ),
    )


class RecordingRunner(FnApiRunner):
    """Beam's own runner; keeps what each pipeline says of its transforms' resources."""

    hints: list[set[tuple[str, bytes]]] = []

    def run_pipeline(self, pipeline: Pipeline, options: object) -> object:
        environments = pipeline.to_runner_api().components.environments.values()
        self.hints.append({hint for each in environments for hint in each.resource_hints.items()})
        return super().run_pipeline(pipeline, options)
