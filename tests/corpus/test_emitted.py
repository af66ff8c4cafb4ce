"""What a shard emitted is kept as it is, but for the numbers of rows, which are those of the run that reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pyarrow as pa
import pytest

from corpus.emitted import emitted_path, emitted_rows
from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, Shard, ShuffleStage
from corpus.storage import Store

ROW_BITS = 32


class Compare(ShuffleStage):
    name = "compare"
    reads = (ROWS,)
    schema = pa.schema([])
    emitted_addresses: ClassVar[dict[str, int]] = {"row_address": 1, "member": 2}
    keeps_emitted = True

    def map(self, shard: Shard) -> pa.Table:
        raise NotImplementedError

    def reduce(self, rows: pa.Table) -> pa.Table:
        raise NotImplementedError

    def finalize(self, reduced: pa.Table) -> pa.Table:
        raise NotImplementedError


def task(ordinal: int, rows: str = "0123") -> ShardTask:
    inputs = ((ROWS, f"tables/web/rows/000007.{rows}.parquet"),)
    return ShardTask("web", "000007", ordinal, inputs, "o", "", {})


def rows(ordinal: int) -> pa.Table:
    addresses = [(ordinal << ROW_BITS) + row for row in range(4)]
    return pa.table(
        {
            "key": pa.array([5, 2**63 + 1, 5, 0], pa.uint64()),
            "row_address": pa.array(addresses, pa.int64()),
            "member": pa.array([2 * each + 1 for each in addresses], pa.int64()),
            "shingles": pa.array([[1], [], None, [2, 3]], pa.list_(pa.uint32())),
        }
    )


class Emitter:
    """Emits the rows of a shard, and counts how often."""

    def __init__(self, ordinal: int) -> None:
        self.ordinal, self.calls = ordinal, 0

    def __call__(self) -> pa.Table:
        self.calls += 1
        return rows(self.ordinal)


def emitted(store: Store, stage: ShuffleStage, ordinal: int, of: ShardTask | None = None) -> int:
    """How often the stage is called, which gives the right rows in any case."""
    emit = Emitter(ordinal)
    found = emitted_rows(stage, store, of or task(ordinal), emit)
    assert found.equals(rows(ordinal)) and found.schema.equals(rows(ordinal).schema)
    return emit.calls


def test_a_shard_emits_once_whatever_its_number(store_url: str) -> None:
    store, stage = Store(store_url), Compare(Settings())
    assert [emitted(store, stage, ordinal) for ordinal in (3, 3, 0, 12, 100_000)] == [1, 0, 0, 0, 0]


def test_other_inputs_are_emitted_again_and_the_content_of_inputs_counts(tmp_path) -> None:
    store, stage = Store(tmp_path), Compare(Settings())
    assert emitted(store, stage, 1) == 1
    assert emitted(store, stage, 1, task(1, "4567")) == 1
    same = task(1, "4567-cabcd")
    assert emitted(store, stage, 1, same) == 1
    assert emitted(store, stage, 1, replace(same, inputs=task(1, "89ab-cabcd").inputs)) == 0
    Compare.version = 2
    try:
        assert emitted_path(stage, task(1)) not in [
            f"emitted/web/compare/{n}" for n in store.names("emitted/web/compare")
        ]
    finally:
        del Compare.version


def test_nothing_is_kept_where_it_is_not_asked_for(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, stage = Store(tmp_path), Compare(Settings())
    monkeypatch.setattr(stage, "keeps_emitted", False)
    assert [emitted(store, stage, 1), emitted(store, stage, 1)] == [1, 1]
    assert store.names("") == []
