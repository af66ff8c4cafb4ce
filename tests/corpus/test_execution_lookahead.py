"""Stages whose tables differ in rows: those that bring shards together, those that make rows, and tables beside."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.schema import table_schema
from corpus.stage import ROWS, Shard
from corpus.workspace import Workspace
from tests.helpers.work_shards import KEPT, Expands, Judged, result, task_for, write_rows


class Regroups(Expands):
    lookahead_shards: ClassVar[bool] = True
    include_removed: ClassVar[bool] = True


def over_two_shards(root: Path, stage: Regroups, first: Judged, second: Judged) -> Outcome:
    task = task_for(root, stage, first)
    write_rows(Workspace(root), "in/next.f.parquet", second)
    both = (*task.inputs, (ROWS, "in/next.f.parquet"))
    task = ShardTask(task.source, task.shard, task.ordinal, both, task.output, task.media, task.fingerprint_parts)
    return MapJob(stage, str(root)).open()(task)


def test_it_is_given_the_rows_of_all_its_tables_removed_ones_included(tmp_path: Path) -> None:
    def twice(shard: Shard) -> pa.Table:
        rows = shard[ROWS]
        assert shard.rows.tolist() == [0, 1, 2, 3]
        columns = {"twice": rows.column("value"), "status": rows.column("status"), "reason": rows.column("reason")}
        return pa.table(columns).take([3, 0, 1])  # as many as it likes, in any order

    outcome = over_two_shards(tmp_path, Regroups(twice), [KEPT, ("failed", "broken")], [KEPT, ("filtered", "dark")])
    assert outcome.error == ""
    assert result(tmp_path) == [(1, "filtered", "dark"), (0, *KEPT), (1, "failed", "broken")]
    assert outcome.counts == {"kept/": 1, "failed/broken": 1, "filtered/dark": 1}


def test_it_is_never_given_half_of_them(tmp_path: Path) -> None:
    calls: list[int] = []

    def breaks(shard: Shard) -> pa.Table:
        calls.append(len(shard))
        raise ValueError("planted")

    outcome = over_two_shards(tmp_path, Regroups(breaks), [KEPT] * 3, [KEPT] * 2)
    assert calls == [5]
    assert "planted" in outcome.error


def test_a_shard_in_which_nothing_begins_has_an_empty_table(tmp_path: Path) -> None:
    def none(shard: Shard) -> pa.Table:
        return table_schema(Regroups.schema).empty_table()

    outcome = over_two_shards(tmp_path, Regroups(none), [KEPT], [KEPT])
    assert (outcome.error, outcome.rows) == ("", 0)
    assert result(tmp_path) == []


def test_a_row_that_breaks_an_expanding_stage_still_says_where_it_came_from(tmp_path: Path) -> None:
    class Copies(Expands):
        schema = pa.schema([("value", pa.int64()), ("copy", pa.string()), ("status_of", pa.int32())])
        origin_columns = {"value": "value"}

    def twice(shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value").to_pylist()
        if 1 in values:
            raise ValueError("planted")
        n = 2 * len(values)
        return pa.table({"value": pa.array(values * 2, pa.int64()), "copy": ["x"] * n, "status_of": [7] * n})

    stage = Copies(twice)
    task = task_for(tmp_path, stage, [KEPT] * 3)
    assert MapJob(stage, str(tmp_path)).open()(task).error == ""
    rows = [tuple(row.values()) for row in Workspace(tmp_path).read_table(task.output).to_pylist()]
    assert rows == [*[(0, "x", 7, *KEPT)] * 2, (1, None, None, "failed", "error:ValueError"), *[(2, "x", 7, *KEPT)] * 2]


def test_a_table_of_another_kind_is_given_whole(tmp_path: Path) -> None:
    class Looks(Expands):
        reads = (ROWS, "images")
        side_inputs = ("images",)

    seen: list[tuple[list[int], list[int]]] = []

    def look(shard: Shard) -> pa.Table:
        assert set(shard.tables) == {ROWS}
        seen.append((shard[ROWS].column("value").to_pylist(), shard["images"].column("value").to_pylist()))
        if 2 in seen[-1][0] and len(shard) > 1:
            raise ValueError("planted")
        return pa.table({"twice": shard[ROWS].column("value")})

    stage = Looks(look)
    images = [KEPT, ("failed", "missing_image"), KEPT, KEPT, KEPT]
    task = task_for(tmp_path, stage, [KEPT, ("failed", "bad"), KEPT], images)
    assert MapJob(stage, str(tmp_path)).open()(task).error == ""
    assert seen == [([0, 2], [0, 1, 2, 3, 4]), ([0], [0, 1, 2, 3, 4]), ([2], [0, 1, 2, 3, 4])]
    assert result(tmp_path) == [(0, *KEPT), (2, *KEPT)]
