"""Rows cut by partition, and rows as bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.engines.shuffle import from_ipc, partition_rows, split_batch, to_ipc
from tests.helpers.engine_works import random_rows


def test_every_row_goes_to_the_partition_of_its_key() -> None:
    table = pa.concat_tables([random_rows(1000), random_rows(0), random_rows(10)])
    batches = partition_rows(table, 7)
    assert len(batches) == 7
    for place, batch in enumerate(batches):
        assert np.all(batch.column("key").to_numpy() % np.uint64(7) == place)
    found = pa.Table.from_batches(batches)
    assert found.sort_by([("key", "ascending"), ("value", "ascending")]).equals(
        table.sort_by([("key", "ascending"), ("value", "ascending")])
    )


def test_no_rows_are_as_many_empty_batches() -> None:
    assert [batch.num_rows for batch in partition_rows(random_rows(0), 3)] == [0, 0, 0]


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="uint64"):
        partition_rows(pa.table({"key": pa.array([1], pa.int64())}), 2)


def test_pieces_are_small_and_carry_only_their_own_bytes() -> None:
    [batch] = partition_rows(random_rows(100_000), 1)
    streams = [to_ipc([piece], piece.schema) for piece in split_batch(batch, 100_000)]
    assert len(streams) > 10 and max(map(len, streams)) < 120_000
    assert from_ipc(streams).equals(pa.Table.from_batches([batch]))
    assert list(split_batch(batch.slice(0, 0), 100)) == []
