"""Keyed stages, outcomes, and jobs as they are sent to workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from corpus.execution import (
    WORKER_LOST,
    FinalizeJob,
    FinalizeTask,
    MapJob,
    Outcome,
    ShardError,
    ShuffleMapJob,
    count,
    worth_retrying,
)
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, Shard, ShuffleStage
from corpus.storage import Store
from corpus.workspace import Workspace
from tests.helpers.work_shards import KEPT, Double, Downloads, task_for

# Keyed stages


class Largest(ShuffleStage):
    """Of the rows with the same value modulo 3, all but the largest are duplicates."""

    name = "largest"
    reads = (ROWS, ITEMS)
    schema = pa.schema([("largest", pa.int64())])

    def __init__(self) -> None:
        super().__init__(Settings())

    def map(self, shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value").to_numpy()
        if 13 in values:
            raise ValueError("planted")
        return pa.table({"key": (values % 3).astype(np.uint64), "row_address": shard.row_addresses, "value": values})

    def reduce(self, rows: pa.Table) -> pa.Table:
        largest = rows.group_by("key").aggregate([("value", "max")])
        return rows.join(largest, "key").select(["row_address", "value", "value_max"])

    def finalize(self, reduced: pa.Table) -> pa.Table:
        said = reduced.filter(pc.less(reduced["value"], reduced["value_max"]))
        columns = {
            "row_address": said["row_address"],
            "largest": said["value_max"],
            "status": ["duplicate"] * said.num_rows,
            "reason": ["smaller"] * said.num_rows,
        }
        return pa.table(columns)


def test_a_keyed_stage_emits_live_rows_and_settles_what_it_concluded(store_url: str) -> None:
    stage = Largest()
    rows = [KEPT, KEPT, KEPT, ("failed", "x"), KEPT, KEPT, KEPT]
    items = [KEPT, KEPT, ("filtered", "y"), KEPT, KEPT, KEPT, KEPT]
    task = task_for(store_url, stage, rows, items)
    emitted = ShuffleMapJob(stage, store_url).open()(task)
    assert emitted.column("row_address").to_pylist() == [(3 << 32) + row for row in (0, 1, 4, 5, 6)]
    said = stage.finalize(stage.reduce(emitted))
    outcome = FinalizeJob(stage, store_url).open()(FinalizeTask(task, said))
    assert outcome.error == ""
    assert outcome.counts == {"kept/": 3, "duplicate/smaller": 2, "failed/x": 1, "filtered/y": 1}
    table = Workspace(store_url).read_table("out/0.f.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (6, "duplicate", "smaller"),
        (4, "duplicate", "smaller"),
        (None, "filtered", "y"),
        (None, "failed", "x"),
        (None, "kept", ""),
        (None, "kept", ""),
        (None, "kept", ""),
    ]


@pytest.mark.parametrize("nodes", [[(3 << 32) + 1], [(2 << 32) + 0], [(3 << 32) + 9], [(3 << 32) + 0] * 2])
def test_conclusions_on_rows_that_are_not_the_shards_are_refused(tmp_path: Path, nodes: list[int]) -> None:
    stage = Largest()
    task = task_for(tmp_path, stage, [KEPT, ("failed", "x")], [KEPT, KEPT])
    n = len(nodes)
    said = pa.table({"row_address": nodes, "largest": [1] * n, "status": ["kept"] * n, "reason": [""] * n})
    outcome = FinalizeJob(stage, str(tmp_path)).open()(FinalizeTask(task, said))
    assert outcome.error.startswith("ShardError: stage largest: ")
    assert not Store(tmp_path).exists("out/0.f.parquet")


def test_an_error_of_map_names_the_shard(tmp_path: Path) -> None:
    stage = Largest()
    task = task_for(tmp_path, stage, [KEPT] * 20, [KEPT] * 20)
    with pytest.raises(
        ShardError, match=r"stage largest, s/000000: ValueError: planted \(map, line \d+ of test_execution_keyed"
    ):
        ShuffleMapJob(stage, str(tmp_path)).open()(task)


# Outcomes and jobs


def test_an_outcome_survives_json() -> None:
    outcome = Outcome("s", "blur", "000001", 7, {"kept/": 5, "failed/ü": 2}, 1.5, 99, "Why: ü\n", {"cost": [1, None]})
    assert "\n" not in outcome.to_json()
    assert Outcome.from_json(outcome.to_json()) == outcome
    assert Outcome.from_json(Outcome("s", "blur", "0").to_json().encode()) == Outcome("s", "blur", "0")


def test_rows_are_counted_by_status_and_reason() -> None:
    table = pa.table({"status": ["kept", "failed", "failed", "kept"], "reason": ["", "a", "b", ""]})
    assert count(table) == {"kept/": 2, "failed/a": 1, "failed/b": 1}
    assert count(table.slice(0, 0)) == {}


def test_works_can_be_sent_and_answer_for_what_is_lost(tmp_path: Path) -> None:
    task = task_for(tmp_path, Double(), [KEPT], [KEPT])
    for job, item in (
        (MapJob(Double(), str(tmp_path)), task),
        (FinalizeJob(Largest(), str(tmp_path)), FinalizeTask(task, pa.table({"row_address": [0]}))),
    ):
        copy = pickle.loads(pickle.dumps((job, item)))  # noqa: S301
        lost = copy[0].on_worker_lost(copy[1], "killed 3 times")
        assert replace(lost, metrics={}) == Outcome("s", job.stage.name, "000000", error="killed 3 times")
        assert lost.metrics.get(WORKER_LOST, False) == isinstance(job, MapJob)
        assert copy[0].resources == job.stage.resources
    with pytest.raises(ShardError, match="s/000000: killed 3 times"):
        ShuffleMapJob(Largest(), str(tmp_path)).on_worker_lost(task, "killed 3 times")


def test_what_is_worth_a_retry_is_the_stages_to_say() -> None:
    table = pa.table({"status": ["kept", "failed", "failed", "filtered"], "reason": ["", "a", "b", "a"]})
    reasons = Downloads().retryable_reasons(table)
    assert reasons.to_pylist() == ["", "a", "b", ""]
    assert worth_retrying(reasons, frozenset({"failed"})).to_pylist() == [False, True, True, False]
    assert worth_retrying(reasons, frozenset({"a", ""})).to_pylist() == [False, True, False, False]
    assert len(worth_retrying(reasons.slice(0, 0), frozenset({"failed"}))) == 0


def test_of_a_stage_that_gives_the_same_rows_only_what_the_machine_did_is_worth_a_retry() -> None:
    reasons = ["", "undecodable", "error:MemoryError", "time_budget", "error:x"]
    table = pa.table({"status": ["kept", "failed", "failed", "failed", "filtered"], "reason": reasons})
    assert Double().retryable_reasons(table).to_pylist() == ["", "", "error:MemoryError", "", ""]

    class Bounded(Double):
        transient_reasons = frozenset({"time_budget"})

    assert Bounded().retryable_reasons(table).to_pylist() == ["", "", "error:MemoryError", "time_budget", ""]


class Notes(Double):
    """Notes what it was given."""

    def setup(self) -> Callable[[Shard], pa.Table]:
        inner = super().setup()

        def call(shard: Shard) -> pa.Table:
            shard.slice(0, 1).metrics["generation"] = shard.take(np.array([0])).generation
            return inner(shard)

        return call


def test_metrics_of_a_shard_come_with_its_outcome(tmp_path: Path) -> None:
    task = replace(task_for(tmp_path, Notes(), [KEPT], [KEPT]), fingerprint_parts={"generation": 3})
    outcome = MapJob(Notes(), str(tmp_path)).open()(task)
    assert outcome.metrics == {"generation": 3}
