"""Columns in one piece, strings as bytes, runs of rows."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from corpus.arrays import one_array, places_in_runs, ranges, string_bytes

STRINGS = pa.array(["short", "a string of more than twelve bytes", None, "żółw", "", "end"])
KINDS = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]


def test_strings_of_every_type_are_their_bytes() -> None:
    expected = [(text or "").encode() for text in STRINGS.to_pylist()]
    for kind in KINDS:
        column = STRINGS.cast(kind)
        for some in (slice(0, 6), slice(1, 5), slice(3, 3)):
            offsets, data = string_bytes(column[some])
            found = [data[first:last].tobytes() for first, last in itertools.pairwise(offsets)]
            assert found == expected[some], kind
    fixed = pa.array([b"abcd", b"efgh"], pa.binary(4))
    assert string_bytes(fixed.slice(1))[1].tobytes()[-4:] == b"efgh"
    assert [len(part) for part in string_bytes(pa.array([], pa.string()))] == [1, 0]


def test_a_column_of_numbers_has_no_strings() -> None:
    with pytest.raises(TypeError, match="a column of int64 holds no strings"):
        string_bytes(pa.array([1, 2]))


def test_a_column_in_chunks_is_one_array() -> None:
    column = pa.chunked_array([[1, 2], [], [3]])
    assert one_array(column).equals(pa.array([1, 2, 3]))
    assert one_array(pa.chunked_array([], pa.int64())).equals(pa.array([], pa.int64()))
    array = pa.array([1])
    assert one_array(array) is array
    assert one_array(pa.chunked_array([array])).equals(array)


def test_runs_of_rows_one_after_the_other() -> None:
    starts, lengths = np.array([5, 0, 7, 2]), np.array([3, 0, 1, 2])
    assert ranges(starts, lengths).tolist() == [5, 6, 7, 7, 2, 3]
    assert places_in_runs(lengths).tolist() == [0, 1, 2, 0, 0, 1]
    assert ranges(starts[:0], lengths[:0]).tolist() == []
