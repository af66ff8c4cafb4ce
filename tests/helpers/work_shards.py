"""Small shards and stages for the tests of what happens around a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from corpus.execution import (
    MapJob,
    Outcome,
    ShardTask,
)
from corpus.schema import table_schema
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, MapStage, Shard, ShuffleStage
from corpus.storage import Store
from corpus.workspace import Workspace

Judged = Sequence[tuple[str, str]]  # (status, reason) of each row
KEPT = ("kept", "")


class Double(MapStage):
    """Twice `value`; `breaks` raise, `fails` are said to have failed; counts its calls."""

    name = "double"
    reads = (ROWS, ITEMS)
    schema = pa.schema([("twice", pa.int64())])

    def __init__(
        self, breaks: Sequence[int] = (), fails: Sequence[int] = (), error: Callable[[str], Exception] = ValueError
    ):
        super().__init__(Settings())
        self.breaks, self.fails, self.error = set(breaks), set(fails), error
        self.calls: list[list[int]] = []

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self.double

    def double(self, shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value").to_pylist()
        self.calls.append(values)
        assert values == shard.rows.tolist()
        if broken := self.breaks.intersection(values):
            raise self.error(f"planted at {min(broken)}")
        failed = [value in self.fails for value in values]
        said = {
            "reason": ["too_odd" if bad else "" for bad in failed],  # the order is not that of the schema
            "twice": pa.array([2 * value for value in values], pa.int32()),  # nor is the type
            "status": ["failed" if bad else "kept" for bad in failed],
        }
        return pa.table(said)


class Downloads(Double):
    """One that may give other rows another time."""

    nondeterministic = True


class Answers(MapStage):
    """Gives whatever table it is told to."""

    name = "answers"
    reads = (ROWS,)
    schema = pa.schema([("twice", pa.int64())])

    def __init__(self, function: Callable[[Shard], pa.Table]) -> None:
        super().__init__(Settings())
        self.function = function

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self.function


class Expands(Answers):
    fan_out: ClassVar[bool] = True


def write_rows(workspace: Workspace, path: str, judged: Judged) -> None:
    statuses, reasons = zip(*judged, strict=True) if judged else ((), ())
    columns = {
        "value": pa.array(range(len(judged)), pa.int64()),
        "status": pa.array(statuses, pa.string()),
        "reason": pa.array(reasons, pa.string()),
    }
    workspace.write_table(path, pa.table(columns), {})


def task_for(root: Path | str, stage: MapStage | ShuffleStage, *judged: Judged, **more: object) -> ShardTask:
    """A workspace with one input table for each name that the stage reads, and the task to run it."""
    workspace = Workspace(root)
    inputs = []
    for name, rows in zip(stage.reads, judged, strict=True):
        inputs.append((name, f"in/{name}.f.parquet"))
        write_rows(workspace, inputs[-1][1], rows)
    values = {"output": "out/0.f.parquet", "media": "media/s/0.f", "fingerprint_parts": {"stage": stage.name}, **more}
    return ShardTask("s", "000000", 3, tuple(inputs), **values)  # type: ignore[arg-type]


def run(root: Path | str, stage: MapStage, *judged: Judged, **more: object) -> Outcome:
    task = task_for(root, stage, *judged, **more)
    return MapJob(stage, str(root)).open()(task)


def result(root: Path | str, path: str = "out/0.f.parquet") -> list[tuple[object, ...]]:
    table = Workspace(root).read_table(path)
    assert table.schema == table_schema(pa.schema([("twice", pa.int64())]))
    return [tuple(row.values()) for row in table.to_pylist()]


def shard_of(n: int) -> Shard:
    rows = pa.table({"value": pa.array(range(n), pa.int64())})
    return Shard("s", "0", 0, np.arange(n), {ROWS: rows}, Store("/"))
