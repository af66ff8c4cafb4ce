"""A shuffle yields what became of each table that it is to write; where its stage fails, of all of these."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, Shard, ShuffleStage
from corpus.workspace import TableKey, Workspace
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.run_graph.shuffles import ShuffleRunner

SHARDS = 3


class Largest(ShuffleStage):
    """The largest value of all shards, in every row."""

    name = "largest"
    reads = (ROWS,)
    schema = pa.schema([pa.field("largest", pa.int64())])

    def map(self, shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value")
        if 13 in values.to_pylist():
            raise ValueError("planted")
        return pa.table({"key": pa.array([0] * len(shard), pa.uint64()), "row": shard.row_addresses, "value": values})

    def reduce(self, rows: pa.Table) -> pa.Table:
        return rows

    def finalize(self, reduced: pa.Table) -> pa.Table:
        rows, largest = reduced.num_rows, max(reduced.column("value").to_pylist())
        same = {"largest": [largest] * rows, "status": ["kept"] * rows, "reason": [""] * rows}
        return pa.table({"row_address": reduced.column("row"), **same})


def shuffled(folder: Path, values: list[int], todo: slice) -> tuple[list[str], list[list[int]]]:
    """The errors of the tables, and what is in those that were written."""
    workspace = Workspace(folder)
    rows, table = TableKey("tables", "s", ROWS), TableKey("tables", "s", "largest")
    tasks = []
    for number, value in enumerate(values):
        shard = f"{number:06d}"
        fields = {"value": [value, 0], "status": ["kept"] * 2, "reason": [""] * 2}
        workspace.write_table(rows.path(shard, "f"), pa.table(fields), {})
        inputs = ((ROWS, rows.path(shard, "f")),)
        tasks.append(ShardTask("s", shard, number, inputs, table.path(shard, "g"), "", {}))
    settings = EngineSettings(workers=1, shuffle_partitions=2)
    engine = LocalEngine(settings)
    runner = ShuffleRunner(engine, settings, workspace.store.url, workspace.store.full("runs/scratch"))
    outcomes = list(runner.run(Largest(Settings()), "", tasks, tasks[todo]))
    engine.close()
    assert [outcome.shard for outcome in outcomes] == [task.shard for task in tasks[todo]]
    written = [task.output for task in tasks if workspace.store.exists(task.output)]
    return [each.error for each in outcomes], [workspace.read_table(p)["largest"].to_pylist() for p in written]


def test_all_shards_are_read_and_the_tables_that_are_to_do_written(tmp_path: Path) -> None:
    assert shuffled(tmp_path, [3, 7, 5], slice(1, 3)) == (["", ""], [[7, 7], [7, 7]])


def test_a_stage_that_fails_fails_for_all_its_tables(tmp_path: Path) -> None:
    errors, written = shuffled(tmp_path, [3, 13, 5], slice(0, 3))
    assert written == [] and len(errors) == 3
    assert all("planted" in error and "s/000001" in error for error in errors)
