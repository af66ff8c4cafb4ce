"""The digest of a table depends on its rows alone, not on chunks, slices, bytes behind nulls, or a file's layout."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import ITEM_ID, PLACE_FIELDS
from corpus.table_digest import table_digest

ROWS = 40
SIDE = pa.struct(
    [("text", pa.string()), ("items", pa.list_(ITEM_ID)), ("clip", pa.struct([("start_s", pa.float64())]))]
)


def rows() -> pa.Table:
    clips = [{"start_s": n / 3} if n % 2 else None for n in range(ROWS)]
    sides: list[dict[str, object] | None] = [
        {"text": f"text {n}" * (n % 3), "items": [bytes([n]) * 16] * (n % 4), "clip": clip}
        for n, clip in enumerate(clips)
    ]
    sides[3::7] = [None] * len(sides[3::7])
    return pa.table(
        {
            "side": pa.array(sides, SIDE),
            "status": pa.array(["kept", "failed"] * (ROWS // 2)),
            "flag": pa.array([None, True, False, True] * (ROWS // 4)),
            "number": pa.array([None if n % 5 == 0 else n for n in range(ROWS)], pa.uint64()),
            "score": pa.array(np.linspace(0, 1, ROWS, dtype=np.float32)),
            "item_id": pa.array([bytes([n]) * 16 if n % 3 else None for n in range(ROWS)], ITEM_ID),
            "vector": pa.array([[n, None] if n % 2 else None for n in range(ROWS)], pa.list_(pa.int8(), 2)),
            "nothing": pa.nulls(ROWS),
        }
    )


def layouts(table: pa.Table) -> Iterator[pa.Table]:
    """The same rows, put together in other ways."""
    yield pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    padded = pa.concat_tables([table.slice(3, 9), table, table.slice(20)]).combine_chunks()
    yield padded.slice(9, len(table))
    yield table.take(pa.array(np.arange(len(table))))
    yield pa.concat_tables([table] * 2).filter(pa.array([n < len(table) for n in range(2 * len(table))]))


def files(table: pa.Table) -> Iterator[pa.Table]:
    """The same rows from files with other row groups and encodings."""
    for row_group in (3, 100):
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=row_group, compression="gzip", use_dictionary=row_group > 50)
        yield pq.read_table(pa.BufferReader(sink.getvalue())).cast(table.schema)  # lists name their entries


def test_equal_rows_have_the_same_digest_however_they_lie_in_memory() -> None:
    table = rows()
    expected = table_digest(table)
    assert len(expected) == 16 and int(expected, 16) >= 0
    assert {table_digest(each) for each in layouts(table)} == {expected}
    stored = table.drop_columns(["vector"])  # Parquet has no null among lists of a fixed size
    assert {table_digest(each) for each in files(stored)} == {table_digest(stored)}


def test_what_lies_behind_a_null_is_no_part_of_it() -> None:
    mask = np.arange(6) % 2 == 0
    for kind, first, second in ((pa.int64(), range(6), range(6, 12)), (pa.string(), "abcdef", "ghijkl")):
        a = pa.array([None if hidden else value for hidden, value in zip(mask, second, strict=True)], kind)
        full = pa.array([x if hidden else y for hidden, x, y in zip(mask, first, second, strict=True)], kind)
        bitmap = pa.py_buffer(np.packbits(~mask, bitorder="little").tobytes())
        b = pa.Array.from_buffers(kind, 6, [bitmap, *full.buffers()[1:]])
        assert a.equals(b)
        assert table_digest(pa.table({"x": a})) == table_digest(pa.table({"x": b}))


def test_another_value_name_type_or_order_gives_another_digest() -> None:
    base = {"a": pa.array([1, 2, None], pa.int64()), "b": pa.array(["x", "", None])}
    others = [
        {**base, "a": pa.array([1, 2, 0], pa.int64())},
        {**base, "a": pa.array([1, 3, None], pa.int64())},
        {**base, "a": pa.array([1, 2, None], pa.int32())},
        {**base, "b": pa.array(["x", None, None])},
        {**base, "b": pa.array(["", "x", None])},
        {"b": base["b"], "a": base["a"]},
        {"a": base["a"], "c": base["b"]},
        {"a": base["a"]},
        {"a": base["a"].slice(0, 2), "b": base["b"].slice(0, 2)},
        {**base, "b": pa.array([["x"], [""], None])},
    ]
    digests = [table_digest(pa.table(columns)) for columns in (base, *others)]
    assert len(set(digests)) == len(digests)
    nested = [[["x"], ["y", "z"]], [["x", "y"], ["z"]], [["x", "y", "z"], []], [["x", "y", "z"], None]]
    assert len({table_digest(pa.table({"a": pa.array(each)})) for each in nested}) == len(nested)


def test_columns_may_be_left_out() -> None:
    one = pa.table({"a": [1, 2], "address": [7, 8]})
    other = pa.table({"a": [1, 2], "address": [9, 10]})
    assert table_digest(one) != table_digest(other)
    assert table_digest(one, ["address"]) == table_digest(other, ["address"]) == table_digest(one.select(["a"]))
    parts = [
        [[{"item_id": item, "media": tar, "offset": at}]] for item, tar, at in ((1, "a", 0), (1, "b", 9), (2, "a", 0))
    ]
    first, moved, changed = (table_digest(pa.table({"parts": each}), PLACE_FIELDS) for each in parts)
    assert first == moved != changed, "an item is the same wherever it lies"
