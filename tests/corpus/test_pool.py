"""Pools: tables of all shards, streamed in the order of their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.execution import MapJob, ShardTask
from corpus.pool import Pool, PoolRead
from corpus.settings import Settings
from corpus.stage import MapStage, Shard
from corpus.storage import StorageError
from corpus.workspace import Workspace

KEPT = {"status": "kept", "reason": ""}


def write(workspace: Workspace, tables: int) -> tuple[str, ...]:
    paths = tuple(f"tables/a/numbers/{number:06d}.f.parquet" for number in range(tables))
    for number, path in enumerate(paths):
        workspace.write_table(path, pa.Table.from_pylist([{"value": number, "other": "", **KEPT}]), {})
    return paths


def test_all_tables_come_once_in_order(store_url: str) -> None:
    workspace = Workspace(store_url)
    for count in (0, 1, 3, 4, 5, 11):
        pool = Pool(workspace.store.url, write(workspace, count))
        tables = list(pool.tables(["value"]))
        assert [table.column("value").to_pylist() for table in tables] == [[number] for number in range(count)]
        assert all(table.column_names == ["value"] for table in tables)


def test_a_table_that_is_missing_is_a_fault_of_storage(store_url: str) -> None:
    workspace = Workspace(store_url)
    pool = Pool(workspace.store.url, (*write(workspace, 2), "tables/a/numbers/000002.f.parquet"))
    with pytest.raises(StorageError, match=r"000002\.f\.parquet"):
        list(pool.tables())


class Share(MapStage):
    """The share of each value in the sum over the pool."""

    name, reads, schema = "share", ("numbers",), pa.schema([pa.field("share", pa.float64())])
    pools = (PoolRead("numbers"),)

    def setup(self) -> Callable[[Shard], pa.Table]:
        def share(shard: Shard) -> pa.Table:
            total = sum(sum(table.column("value").to_pylist()) for table in shard.pools["numbers"].tables(["value"]))
            return pa.table({"share": [value / total for value in shard["numbers"].column("value").to_pylist()]})

        return share


@pytest.mark.parametrize("isolated", [False, True])
def test_a_stage_is_given_its_pools_in_isolation_too(tmp_path: Path, isolated: bool) -> None:
    workspace = Workspace(tmp_path)
    paths = write(workspace, 5)
    task = ShardTask("a", "000004", 4, (("numbers", paths[4]),), "tables/a/share/000004.f.parquet", "m", {})
    job = MapJob(Share(Settings()), workspace.store.url, isolated, {"numbers": Pool(workspace.store.url, paths)})
    outcome = job.open()(task)
    assert outcome.error == ""
    assert workspace.read_table(task.output, ["share"]).to_pylist() == [{"share": 0.4}]
