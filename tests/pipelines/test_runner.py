"""The results of a shuffle stage go to the shards of their rows. Whole runs are tested in tests/runs."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa

from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, Shard, ShuffleStage
from pipelines.runner import finalize_tasks, versions

ROW_BITS = 32


class Best(ShuffleStage):
    name = "best"
    reads = (ROWS,)
    schema = pa.schema([pa.field("score", pa.float64())])

    def map(self, shard: Shard) -> pa.Table:
        raise NotImplementedError

    def reduce(self, rows: pa.Table) -> pa.Table:
        raise NotImplementedError

    def finalize(self, reduced: pa.Table) -> pa.Table:
        raise NotImplementedError


ORDINALS = (2, 0, 7)
TASKS = [ShardTask("web", f"{number:06d}", ordinal, (), f"{number}", "", {}) for number, ordinal in enumerate(ORDINALS)]


def results(addresses: list[tuple[int, int]]) -> pa.Table:
    n = len(addresses)
    return pa.table(
        {
            "row_address": pa.array([(ordinal << ROW_BITS) + row for ordinal, row in addresses], pa.int64()),
            "score": np.arange(n, dtype=float),
            "status": ["kept"] * n,
            "reason": [""] * n,
        }
    )


def rows_of(found: pa.Table) -> list[int]:
    return [address & (2**ROW_BITS - 1) for address in found.column("row_address").to_pylist()]


def test_each_shard_gets_the_results_of_its_rows_in_order() -> None:
    found = finalize_tasks(results([(7, 1), (2, 9), (5, 4), (2, 0), (7, 2**31)]), TASKS, Best(Settings()))
    assert [each.task for each in found] == TASKS
    assert [rows_of(each.results) for each in found] == [[0, 9], [], [1, 2**31]], "ordinal 5 is of another run's shard"


def test_without_results_each_shard_gets_an_empty_table_of_the_schema() -> None:
    found = finalize_tasks(None, TASKS, Best(Settings()))
    assert [each.results.num_rows for each in found] == [0, 0, 0]
    assert found[0].results.column_names == ["row_address", "score", "status", "reason"]


def test_a_task_carries_no_more_than_its_own_rows() -> None:
    found = finalize_tasks(results([(2, row) for row in range(10_000)] + [(7, 1)]), TASKS, Best(Settings()))
    assert len(pickle.dumps(found[2].results)) < 5_000


def test_versions_name_this_program_and_what_writes_its_bytes() -> None:
    assert {"python", "rzen-corpus", "pyarrow", "opencv-python-headless", "pillow"} <= set(versions())
