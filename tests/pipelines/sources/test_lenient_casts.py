"""Columns of every type in the types that sources want: what cannot be had is null and counted."""

from __future__ import annotations

import decimal
import uuid
from typing import Any

import pyarrow as pa
import pytest

from pipelines.sources.lenient_casts import UncastableError, cast_leniently, comparable_values, stored_values

ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
NAN, INF = float("nan"), float("inf")


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def encoded(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    plain = pa.array(values, kind)
    indices = pa.array([0, None, len(values) - 1], pa.int8())
    return pa.chunked_array([pa.DictionaryArray.from_arrays(indices, plain)])


# A column; then (values, how many failed) as string, int32 and float64.
CASES = [
    (
        column(["1", " 2.6 ", "n/a", "", None, "-5", "nan", "4e9", "1e3"]),
        (["1", " 2.6 ", "n/a", "", None, "-5", "nan", "4e9", "1e3"], 0),
        ([1, 3, None, None, None, -5, None, None, 1000], 4),
        ([1.0, 2.6, None, None, None, -5.0, None, 4e9, 1000.0], 3),
    ),
    (column([4_000_000_000, 1, None], pa.uint32()), (["4000000000", "1", None], 0), ([None, 1, None], 1), None),
    (column([2**64 - 1, 7], pa.uint64()), (["18446744073709551615", "7"], 0), ([None, 7], 1), ([2.0**64, 7.0], 0)),
    (column([-(2**63), 2**31, 5]), None, ([None, None, 5], 2), ([-(2.0**63), 2.0**31, 5.0], 0)),
    (column([decimal.Decimal("300.50"), None]), (["300.50", None], 0), ([300, None], 0), ([300.5, None], 0)),
    (column([1.5, NAN, 1e300, INF, 7.0]), (["1.5", None, None, None, "7"], 2), ([2, None, None, None, 7], 2), None),
    (column([1.5], pa.float16()), (["1.5"], 0), ([2], 0), ([1.5], 0)),
    (column([b"1", b"\xff", None]), (["1", None, None], 1), ([1, None, None], 1), ([1.0, None, None], 1)),
    (column([b"\xe9", b"ok"], pa.binary_view()), ([None, "ok"], 1), ([None, None], 2), ([None, None], 2)),
    (column(["a", None], pa.string_view()), (["a", None], 0), ([None, None], 1), ([None, None], 1)),
    (column(["a"], pa.large_string()), (["a"], 0), ([None], 1), ([None], 1)),
    (column([ID.bytes, None], pa.uuid()), ([str(ID), None], 0), ([None, None], 1), ([None, None], 1)),
    (column([b"\xff" * 16], pa.binary(16)), ([None], 1), ([None], 1), ([None], 1)),
    (column([True, None]), (["true", None], 0), ([1, None], 0), ([1.0, None], 0)),
    (column([None, None]), ([None, None], 0), ([None, None], 0), ([None, None], 0)),
    (encoded(["3", "x"], pa.string()), (["3", None, "x"], 0), ([3, None, None], 1), ([3.0, None, None], 1)),
    (encoded(["3", "x"], pa.string_view()), (["3", None, "x"], 0), ([3, None, None], 1), ([3.0, None, None], 1)),
    (pa.chunked_array([], pa.uuid()), ([], 0), ([], 0), ([], 0)),
]


def test_values_that_cannot_be_had_are_null_and_counted() -> None:
    wrong = []
    for column, *expected in CASES:
        for kind, right in zip((pa.string(), pa.int32(), pa.float64()), expected, strict=True):
            cast = cast_leniently(column, kind)
            found = (cast.values.to_pylist(), cast.failed_count)
            if cast.values.type != kind or (right is not None and found != right):
                wrong.append((column.type, kind, found, right))
    assert not wrong


def test_strings_that_are_not_utf_8_are_lost_whatever_the_column_says() -> None:
    column = pa.chunked_array([pa.array([b"ok", b"\xff", None]).view(pa.string())])
    for text in (column, column.cast(pa.string_view())):
        cast = cast_leniently(text, pa.string())
        assert cast.values.to_pylist() == ["ok", None, None]
        assert cast.failed is not None and cast.failed.to_pylist() == [False, True, False]


@pytest.mark.parametrize("values", [column([["a"]]), column([{"a": 1}]), column([["a"]], pa.list_view(pa.string()))])
def test_columns_that_hold_other_things_are_refused(values: pa.ChunkedArray) -> None:
    for kind in (pa.string(), pa.int32(), pa.float64()):
        with pytest.raises(UncastableError, match="cannot be read as"):
            cast_leniently(values, kind)


def test_an_index_that_leads_out_of_its_dictionary_is_an_error() -> None:
    indices = pa.array([0, 5], pa.int32())
    broken = pa.chunked_array([pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)])
    with pytest.raises(pa.ArrowIndexError):
        stored_values(broken)


def test_what_expressions_compare() -> None:
    assert comparable_values(column([decimal.Decimal("1.5")])).type == pa.float64()
    assert comparable_values(column([b"a", b"\xff"])).to_pylist() == ["a", None]
    assert comparable_values(column(["a"], pa.string_view())).type == pa.string()
    assert comparable_values(column([3])).type == pa.int64()
