from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.schema import ITEM_ID, PAIR_SCHEMA
from corpus.storage import MissingError, StorageError
from corpus.workspace import TableKey, Workspace, owner_name, to_parquet

BLUR = TableKey("tables", "laion", "blur")


def table(n: int = 5) -> pa.Table:
    columns = {
        "item_id": pa.array([bytes([row]) * 16 for row in range(n)], ITEM_ID),
        "blur": pa.array(np.arange(n) / 4, pa.float32()),
        "text": pa.array([None if row == 2 else f"ünï {row}" for row in range(n)]),
    }
    return pa.table(columns)


def test_a_table_is_read_back_as_it_was_written(store_url: str) -> None:
    workspace = Workspace(store_url)
    path = BLUR.path("000001", "00ff")
    assert path == "tables/laion/blur/000001.00ff.parquet"
    written = workspace.write_table(path, table(), {"stage": "blur", "settings": {"ü": [1, None]}})
    assert workspace.read_table(path).equals(table(), check_metadata=True)
    assert workspace.read_table(path, ["text", "blur"]).equals(table().select(["text", "blur"]))
    assert workspace.read_fingerprint_parts(path) == {"stage": "blur", "settings": {"ü": [1, None]}}
    assert workspace.store.size(path) == written
    assert workspace.tables(BLUR) == {"000001": {"00ff"}}


def test_a_listing_tells_shards_and_fingerprints(store_url: str) -> None:
    workspace = Workspace(store_url)
    assert workspace.tables(BLUR) == {}
    for name in (
        "000001.00ff.parquet",
        "000001.11ee-g2.parquet",
        "part.with.dots.22dd.parquet",
        # none of these is a table
        "000002.00ff.parquet.tmp",
        ".000002.00ff.parquet.0badcafe.tmp",
        ".hidden.00ff.parquet",
        "index.00ff.json",
        "nofingerprint.parquet",
        ".parquet",
        "README",
        "deeper/000003.00ff.parquet",
    ):
        workspace.store.publish(f"{BLUR.folder}/{name}", b"")
    assert workspace.tables(BLUR) == {"000001": {"00ff", "11ee-g2"}, "part.with.dots": {"22dd"}}


def test_series_lie_apart() -> None:
    assert TableKey("pairs", "laion", "pairs").path("0", "f") == "pairs/laion/pairs/0.f.parquet"
    assert Workspace.media_stem("laion", "000001", "00ff-g1") == "media/laion/000001.00ff-g1"


def test_nulls_where_none_may_be_are_refused(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    status = pa.schema([pa.field("status", pa.string(), nullable=False)])
    with pytest.raises(ValueError, match=r"0\.f\.parquet: .*'status'.*null"):
        workspace.write_table("0.f.parquet", pa.table([["kept", None]], schema=status), {})
    inside = pa.schema([PAIR_SCHEMA.field("query")])
    side = {"instruction": "", "text": None, "items": []}
    with pytest.raises(ValueError, match=r"0\.f\.parquet: .*'text'.*null"):
        workspace.write_table("0.f.parquet", pa.table([[side]], schema=inside), {})
    assert workspace.store.names("") == []


@given(st.lists(st.integers(0, 40), max_size=6))
def test_the_same_rows_give_the_same_bytes(cuts: list[int]) -> None:
    whole = table(40)
    edges = [0, *sorted(cuts), 40]
    pieces = [whole.slice(start, stop - start) for start, stop in itertools.pairwise(edges)]
    assert to_parquet(pa.concat_tables(pieces)) == to_parquet(whole)
    padded = pa.concat_tables([whole, whole]).combine_chunks().slice(40)  # an offset inside its buffers
    assert to_parquet(padded) == to_parquet(whole)


def test_the_ingredients_order_does_not_show(tmp_path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write_table("a.f.parquet", table(), {"x": 1, "y": {"b": 1, "a": 2}})
    workspace.write_table("b.f.parquet", table(), {"y": {"a": 2, "b": 1}, "x": 1})
    assert workspace.store.read("a.f.parquet") == workspace.store.read("b.f.parquet")


def test_any_reader_of_parquet_reads_a_table(tmp_path) -> None:
    Workspace(tmp_path).write_table("a.f.parquet", table(), {})
    assert pq.read_table(tmp_path / "a.f.parquet").equals(table())


def test_an_empty_table(store_url: str) -> None:
    workspace = Workspace(store_url)
    workspace.write_table("a.f.parquet", table(0), {})
    assert workspace.read_table("a.f.parquet").equals(table(0))


def test_what_cannot_be_read_is_named(store_url: str) -> None:
    workspace = Workspace(store_url)
    workspace.store.publish("half.f.parquet", to_parquet(table())[:-20])
    workspace.write_table("whole.f.parquet", table(), {})
    with pytest.raises(MissingError, match="absent"):
        workspace.read_table("absent.f.parquet")
    for read in (workspace.read_table, workspace.read_fingerprint_parts):
        with pytest.raises(StorageError, match=r"half\.f\.parquet"):
            read("half.f.parquet")
    with pytest.raises(StorageError, match=r"whole\.f\.parquet.*nosuch"):
        workspace.read_table("whole.f.parquet", ["blur", "nosuch"])


def test_vectors_are_written_as_they_are_and_all_else_as_in_any_table() -> None:
    """Wide binary values, also within lists: no compression, no dictionary; a table without any is not changed."""
    vectors = [bytes(range(64)), None, bytes(64)]
    table = pa.table(
        {
            "item_id": pa.array([bytes(16)] * 3, pa.binary(16)),
            "vector": pa.array(vectors, pa.binary(64)),
            "lists": pa.array([[bytes(64)] * 2, [], None], pa.list_(pa.binary(64))),
            "sides": pa.array([{"text": "a", "items": [bytes(16)]}] * 3),
        }
    )
    file = pq.ParquetFile(pa.BufferReader(to_parquet(table)))
    assert file.read().to_pylist() == table.to_pylist()
    group = file.metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {path: column.compression for path, column in columns.items()} == {
        "item_id": "ZSTD",
        "vector": "UNCOMPRESSED",
        "lists.list.element": "UNCOMPRESSED",
        "sides.text": "ZSTD",
        "sides.items.list.element": "ZSTD",
    }
    dictionaries = {path for path, column in columns.items() if column.has_dictionary_page}
    assert dictionaries == {"item_id", "sides.text", "sides.items.list.element"}


def test_an_owner_is_named_once_where_dataset_and_source_are_called_the_same() -> None:
    names = {"laion": "laion", "rivers/rivers": "rivers", "questions/rivers": "questions/rivers"}
    assert {owner: owner_name(owner) for owner in names} == names
