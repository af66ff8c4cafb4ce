"""The results of a shuffle stage go to the shards of their rows, the same in memory and through files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.execution import FinalizeTask, ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, Resources, Shard, ShuffleStage
from corpus.storage import Store
from corpus.union_find import components
from filters.image.dedup import Duplicates, DuplicatesSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.shuffle_results import finalize_tasks, shuffle_results

ROW_BITS = 32
PARTITIONS = 3


class Families(ShuffleStage):
    """Rows that share a key are of one family; the best is the one of the highest merit."""

    name = "families"
    reads = (ROWS,)
    schema = pa.schema([pa.field("best", pa.int64())])
    edge_columns = ("row_address", "root")

    def map(self, shard: Shard) -> pa.Table:
        raise NotImplementedError

    def reduce(self, rows: pa.Table) -> pa.Table:
        keys, addresses = rows.column("key").to_numpy(), rows.column("row_address").to_numpy()
        _, first, family = np.unique(keys, return_index=True, return_inverse=True)
        several = np.flatnonzero(np.bincount(family)[family] > 1)
        root = addresses[first[family]]
        return rows.drop_columns(["key"]).append_column("root", pa.array(root)).take(pa.array(several))

    def finalize(self, reduced: pa.Table) -> pa.Table:
        addresses, first, member = np.unique(
            reduced.column("row_address").to_numpy(), return_index=True, return_inverse=True
        )
        roots = np.searchsorted(addresses, reduced.column("root").to_numpy())
        family = components(len(addresses), member, roots)
        merit = reduced.column("merit").to_numpy()[first]
        order = np.lexsort((addresses, -merit, family))
        best = np.empty(len(addresses), np.int64)
        best[order] = addresses[order[np.maximum.accumulate(_starts(family[order]))]]
        constant = {name: [name] * len(addresses) for name in ("status", "reason")}
        return pa.table({"row_address": addresses, "best": best, **constant})


def _starts(groups: np.ndarray) -> np.ndarray:
    """For each of sorted groups the place where it begins, and 0 elsewhere."""
    return np.where(np.append(True, groups[1:] != groups[:-1]), np.arange(len(groups)), 0)


@dataclass(frozen=True)
class Emitted:
    """The job of a stage's `map`, whose rows are given."""

    stage: ShuffleStage
    rows: dict[str, pa.Table]  # by shard

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[ShardTask], pa.Table]:
        return lambda task: self.rows[task.shard]

    def on_worker_lost(self, item: ShardTask, reason: str) -> pa.Table:
        raise RuntimeError(reason)


ORDINALS = (2, 0, 7)
TASKS = [ShardTask("web", f"{number:06d}", ordinal, (), f"{number}", "", {}) for number, ordinal in enumerate(ORDINALS)]


def results(addresses: list[tuple[int, int]]) -> pa.Table:
    n = len(addresses)
    return pa.table(
        {
            "row_address": pa.array([(ordinal << ROW_BITS) + row for ordinal, row in addresses], pa.int64()),
            "best": np.arange(n),
            "status": ["kept"] * n,
            "reason": [""] * n,
        }
    )


def rows_of(found: pa.Table) -> list[int]:
    return [address & (2**ROW_BITS - 1) for address in found.column("row_address").to_pylist()]


def test_each_shard_gets_the_results_of_its_rows_in_order() -> None:
    found = finalize_tasks(results([(7, 1), (2, 9), (5, 4), (2, 0), (7, 2**31)]), TASKS, Families(Settings()))
    assert [each.task for each in found] == TASKS
    assert [rows_of(each.results) for each in found] == [[0, 9], [], [1, 2**31]], "ordinal 5 is of another run's shard"


def test_without_results_each_shard_gets_an_empty_table_of_the_schema() -> None:
    found = finalize_tasks(None, TASKS, Families(Settings()))
    assert [each.results.num_rows for each in found] == [0, 0, 0]
    assert found[0].results.column_names == ["row_address", "best", "status", "reason"]


def test_a_task_carries_no_more_than_its_own_rows() -> None:
    found = finalize_tasks(results([(2, row) for row in range(10_000)] + [(7, 1)]), TASKS, Families(Settings()))
    assert len(pickle.dumps(found[2].results)) < 5_000


def families() -> Emitted:
    """Rows of three shards in random families, and in one chain that no partition sees whole."""
    rng = np.random.default_rng(0)
    rows = {}
    for task in TASKS:
        addresses = (task.ordinal << ROW_BITS) + np.arange(400)
        chain = [
            addresses[:100] - (task.ordinal << ROW_BITS) + 10_000,
            addresses[:100] - (task.ordinal << ROW_BITS) + 9_999,
        ]
        keys = np.concatenate([rng.integers(0, 500, 400), *chain]).astype(np.uint64)
        merit = rng.integers(0, 9, 400)
        at = np.concatenate([np.arange(400), np.arange(100), np.arange(100)])
        rows[task.shard] = pa.table({"key": keys, "row_address": addresses[at], "merit": merit[at]})
    return Emitted(Families(Settings()), rows)


def pictures() -> Emitted:
    """What `duplicates` emits for shards of pHashes in families, of which some are chains."""
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**63, 60, dtype=np.uint64)[rng.integers(0, 60, 900)]
    for _ in range(4):
        hashes ^= np.uint64(1) << rng.integers(0, 8, len(hashes)).astype(np.uint64)
    stage = Duplicates(DuplicatesSettings(hamming_radius=2))
    rows = {}
    for task, part in zip(TASKS, np.split(hashes, 3), strict=True):
        same = np.ones(len(part), np.int32)
        names = ("width", "height", "compression_loss", "bytes", "sharpness")
        stats = pa.table({"phash": part, **dict.fromkeys(names, same), "contrast": 50 * same})
        ids = pa.table({"item_id": pa.array([rng.bytes(16) for _ in part], pa.binary(16))})
        shard = Shard(
            "web", task.shard, task.ordinal, np.arange(len(part)), {"items": ids, "image_stats": stats}, Store(".")
        )
        rows[task.shard] = stage.map(shard)
    return Emitted(stage, rows)


def tasks_of(job: Any, folder: Path, max_driver_rows: int, workers: int = 1) -> list[FinalizeTask]:
    """The tasks of each shard, whose results are read while the files are there."""
    engine = LocalEngine(EngineSettings(workers=workers))
    scratch = str(folder / "scratch")
    try:
        with shuffle_results(engine, job, TASKS, TASKS, PARTITIONS, scratch, max_driver_rows) as tasks:
            found = [
                FinalizeTask(each.task, each.results if isinstance(each.results, pa.Table) else each.results())
                for each in tasks
            ]
            was_written = bool(Store(scratch).names(""))
    finally:
        engine.close()
    assert was_written == (max_driver_rows < 1000)
    assert Store(scratch).names("") == []
    return found


@pytest.mark.parametrize(("job", "workers"), [(families(), 1), (families(), 2), (pictures(), 1)])
def test_results_are_the_same_in_memory_and_through_files(job: Any, workers: int, tmp_path: Path) -> None:
    expected = tasks_of(job, tmp_path, 10**9)
    assert sum(each.results.num_rows for each in expected) > 300
    for limit in (PARTITIONS, 300):  # all partitions are written to files, or some
        found = tasks_of(job, tmp_path, limit, workers)
        assert [each.task for each in found] == TASKS
        for one, other in zip(found, expected, strict=True):
            assert one.results.equals(other.results)


def test_a_stage_that_raises_leaves_no_files(tmp_path: Path) -> None:
    job = Emitted(Families(Settings()), {"000000": pa.table({"key": pa.array([1], pa.uint64())})})
    with pytest.raises(KeyError, match="000001"):
        tasks_of(job, tmp_path, 1)
    assert Store(str(tmp_path / "scratch")).names("") == []


def test_no_rows_are_no_results(tmp_path: Path) -> None:
    job = Emitted(Families(Settings()), {task.shard: pa.table({"key": pa.array([], pa.uint64())}) for task in TASKS})
    assert [each.results.num_rows for each in tasks_of(job, tmp_path, 10**9)] == [0, 0, 0]
