"""Vectors: columns that are views, files that hold their bytes, rows that are refused."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.vectors import (
    VectorError,
    check_vectors,
    column_valid,
    column_vectors,
    normalise,
    packed_column,
    packed_type,
    parquet_options,
    vector_column,
    vector_type,
)

BOTH = ((vector_column, vector_type), (packed_column, packed_type))


def drawn(rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    return normalise(np.random.default_rng(seed).standard_normal((rows, dimension)))


def test_a_column_is_a_view_of_the_matrix_and_the_matrix_of_the_column() -> None:
    vectors = drawn(5, 8)
    for column_of, type_of in BOTH:
        column = column_of(vectors)
        column.validate(full=True)
        assert column.type == type_of(8) and len(column) == 5 and not column.null_count
        view = column_vectors(column)
        assert np.shares_memory(view, vectors) and np.array_equal(view, vectors)
        assert not view.flags.writeable
        part = column_vectors(column.slice(1, 3))
        assert np.shares_memory(part, vectors) and np.array_equal(part, vectors[1:4])
        chunked = pa.chunked_array([column.slice(0, 2), column.slice(2)])
        assert np.array_equal(column_vectors(chunked), vectors)
        assert column_vectors(column.slice(5)).shape == (0, 8)
        assert column_vectors(pa.chunked_array([], type_of(8))).shape == (0, 8)


def test_both_types_hold_the_same_numbers() -> None:
    vectors = drawn(3, 4)
    assert vector_column(vectors).to_pylist() == vectors.tolist()
    assert packed_column(vectors).to_pylist() == [row.tobytes() for row in vectors]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_rows_without_a_vector_are_null(valid: list[bool], first: int) -> None:
    vectors = drawn(len(valid), 3) if valid else np.empty((0, 3), np.float16)
    for column_of, _ in BOTH:
        column = column_of(vectors, np.array(valid, bool)).slice(first)
        column.validate(full=True)
        assert column_valid(column).tolist() == valid[first:]
        assert column.is_valid().to_pylist() == valid[first:]
        assert np.array_equal(column_vectors(column), vectors[first:])


def test_what_holds_no_vectors_is_refused() -> None:
    for column in (pa.array([1.0]), pa.array([[1.0]], pa.list_(pa.float32(), 1)), pa.array([b"abc"], pa.binary(3))):
        with pytest.raises(TypeError, match="holds no vectors of float16"):
            column_vectors(column)
    for matrix in (np.zeros((2, 3), np.float32), np.zeros(3, np.float16), np.zeros((2, 0), np.float16)):
        with pytest.raises(TypeError, match="a matrix of float16"):
            vector_column(matrix)


def test_a_file_holds_the_bytes_of_the_packed_column_and_compresses_the_others() -> None:
    vectors, valid = drawn(50, 96), np.arange(50) % 7 > 0
    table = pa.table({"text": ["the same text"] * 50, "vector": packed_column(vectors, valid)})
    sink = io.BytesIO()
    pq.write_table(table, sink, **parquet_options(table.schema, ["vector"]))
    assert vectors[1:7].tobytes() in sink.getvalue()
    columns = pq.ParquetFile(sink).metadata.row_group(0)
    text, vector = (columns.column(at) for at in range(2))
    assert (text.compression, vector.compression) == ("ZSTD", "UNCOMPRESSED")
    assert text.has_dictionary_page and not vector.has_dictionary_page
    assert text.is_stats_set and not vector.is_stats_set
    read = pq.read_table(sink)
    assert read.equals(table)
    assert np.array_equal(column_vectors(read["vector"])[valid], vectors[valid])


def test_rows_are_scaled_to_norm_1_whatever_their_size() -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((200, 64)) * np.logspace(-200, 200, 200)[:, None]
    vectors = normalise(rows)
    check_vectors(vectors)
    expected = rows / np.abs(rows).max(axis=1, keepdims=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(vectors - expected).max() <= 2.0**-12
    assert vectors.dtype == np.float16
    assert normalise(rows[:0]).shape == (0, 64)


def test_rows_that_cannot_be_scaled_are_named() -> None:
    for value, fault in ((0.0, "row 2: is zero"), (np.nan, "row 2: is not finite"), (np.inf, "row 2: is not finite")):
        rows = np.ones((4, 3))
        rows[2] = value
        with pytest.raises(VectorError, match=fault):
            normalise(rows)


def test_rows_that_are_not_finite_or_not_of_norm_1_are_named() -> None:
    cases = {"row 3: its vector is not finite; 1 of 6": (3, np.nan), "row 4: its vector has norm 0, not 1": (4, 0.0)}
    cases["row 0: its vector has norm 1.00"] = (0, None)
    for fault, (row, value) in cases.items():
        vectors = drawn(6, 32)
        vectors[row] = vectors[row] * np.float16(1.005) if value is None else value
        with pytest.raises(VectorError, match=fault):
            check_vectors(vectors)
        check_vectors(vectors, np.arange(6) != row)
    check_vectors(drawn(6, 32))
    check_vectors(np.empty((0, 4), np.float16))
