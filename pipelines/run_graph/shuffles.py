"""Runs a shuffle stage over all shards whose rows meet, and writes its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from corpus.execution import FinalizeJob, Outcome, ShardTask, ShuffleMapJob
from corpus.stage import ShuffleStage
from pipelines.engines import Engine, EngineSettings
from pipelines.shuffle_results import shuffle_results


@dataclass(frozen=True)
class ShuffleRunner:
    """The way in which a run shuffles; may be used by several threads at a time."""

    engine: Engine
    settings: EngineSettings
    workspace: str
    scratch: str  # the beginning of the URLs of folders that every worker reaches

    def run(
        self, stage: ShuffleStage, dataset: str, tasks: Sequence[ShardTask], todo: Sequence[ShardTask]
    ) -> Iterator[Outcome]:
        """Maps all `tasks`, reduces their rows, and yields the outcome of each table of `todo` when it is written.

        Where the stage fails, the outcomes of all of these have the error. `dataset`: "" where those of all sources
        meet.
        """
        shuffle = shuffle_results(
            self.engine,
            ShuffleMapJob(stage, self.workspace),
            tasks,
            todo,
            self.settings.shuffle_partitions,
            f"{self.scratch}-{stage.name}-{dataset}",
            self.settings.max_driver_rows,
        )
        with ExitStack() as stack:
            try:
                items = stack.enter_context(shuffle)
            except Exception as error:  # noqa: BLE001 - the stage failed, and the run's log must still say why
                why = f"{type(error).__name__}: {error}"
                yield from (Outcome(task.source, stage.name, task.shard, error=why) for task in todo)
                return
            yield from self.engine.map(FinalizeJob(stage, self.workspace), items)
