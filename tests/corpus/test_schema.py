from __future__ import annotations

import hashlib

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from corpus.schema import ITEM_ID, PAIR_SCHEMA, STATUS_FIELDS, Status, Task, item_id, pair_id, table_schema


def test_the_id_of_an_item_is_the_start_of_its_digest() -> None:
    assert item_id(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223"  # SHA-256 of "abc": FIPS 180-4's example
    assert len(item_id(b"")) == ITEM_ID.byte_width == 16


def test_the_id_of_a_pair_is_known() -> None:
    parts = [bytes([len(part), *bytes(7)]) + part for part in (b"laion", b"cat", b"x")]
    assert pair_id("laion", "cat", b"x") == hashlib.sha256(b"".join(parts)).digest()[:16]


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_parts_make_different_pairs(one: list[bytes], other: list[bytes]) -> None:
    assert (pair_id("d", *one) == pair_id("d", *other)) == (one == other)


def test_a_pair_of_another_dataset_is_another_pair() -> None:
    assert pair_id("a", "text") != pair_id("b", "text")


def test_every_table_ends_with_status_and_reason() -> None:
    own = pa.schema([("reason", pa.string()), ("blur", pa.float32()), ("status", pa.string())])
    schema = table_schema(own)
    assert schema.names == ["blur", "status", "reason"]
    assert tuple(schema)[-2:] == STATUS_FIELDS
    assert table_schema(schema) == schema
    assert table_schema(PAIR_SCHEMA).names == [*PAIR_SCHEMA.names, "status", "reason"]


def test_the_words_are_those_that_are_written() -> None:
    assert [str(status) for status in Status] == ["kept", "filtered", "duplicate", "failed"]
    assert pa.array([Status.KEPT], pa.string()).to_pylist() == ["kept"]
    assert len(Task) == 8
