"""Vectors as a column of an Arrow table, as rows of a numpy matrix and in a Parquet file.

In memory a column of vectors is one of fixed-size lists of float16. In a Parquet file it is one of fixed-size binary
values with the same bytes: Parquet has no fixed-size lists, and takes five to eight times as long to read a list of
768 numbers as the 1,536 bytes. All conversions here are views of the same memory.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.arrays import one_array

Vectors = npt.NDArray[np.float16]  # [rows, dimension]

_HALF_BYTES = 2
# The norm of a vector of norm 1 that was rounded to float16 is off by 2**-11 at most, save for numbers below 2**-14,
# which are rounded to multiples of 2**-24.
NORM_TOLERANCE = 2e-3


class VectorError(ValueError):
    """A row's vector is none that can be searched for; the message names the row."""


def vector_type(dimension: int) -> pa.DataType:
    """Returns the type of a column of vectors in memory."""
    return pa.list_(pa.field("element", pa.float16(), nullable=False), dimension)


def packed_type(dimension: int) -> pa.DataType:
    """Returns the type of a column of vectors in a Parquet file."""
    return pa.binary(dimension * _HALF_BYTES)


def vector_column(vectors: Vectors, valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Returns the rows of a matrix as a column of `vector_type`, null where `valid` is false; shares
    the matrix's memory.
    """
    rows, dimension = _checked_shape(vectors).shape
    numbers = pa.Array.from_buffers(pa.float16(), rows * dimension, [None, _buffer(vectors)])
    bitmap = None if valid is None or valid.all() else _bitmap(valid)
    return pa.Array.from_buffers(vector_type(dimension), rows, [bitmap], children=[numbers])


def packed_column(vectors: Vectors, valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Returns the rows of a matrix as a column of `packed_type`, null where `valid` is false; shares
    the matrix's memory.
    """
    rows, dimension = _checked_shape(vectors).shape
    bitmap = None if valid is None or valid.all() else _bitmap(valid)
    return pa.Array.from_buffers(packed_type(dimension), rows, [bitmap, _buffer(vectors)])


def column_vectors(column: pa.Array | pa.ChunkedArray) -> Vectors:
    """Returns the vectors of a column of either type, float16[rows, dimension]: a read-only view of a column in one
    chunk.

    What stands in the rows that are null is undefined; `column_valid` tells them.
    """
    array = one_array(column)
    kind = array.type
    if pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float16():
        dimension, values = kind.list_size, array.values
        data, first = values.buffers()[1], values.offset + array.offset * dimension
    elif pa.types.is_fixed_size_binary(kind) and kind.byte_width % _HALF_BYTES == 0:
        dimension = kind.byte_width // _HALF_BYTES
        data, first = array.buffers()[1], array.offset * dimension
    else:
        raise TypeError(f"a column of {kind} holds no vectors of float16")
    if data is None or not len(array):
        return np.empty((0, dimension), np.float16)
    numbers = np.frombuffer(data, np.float16, len(array) * dimension, first * _HALF_BYTES)
    numbers.flags.writeable = False
    return numbers.reshape(-1, dimension)


def column_valid(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Returns which rows of a column have a vector, bool[rows]."""
    return np.asarray(one_array(column).is_valid().to_numpy(zero_copy_only=False), bool)


def parquet_options(schema: pa.Schema, packed: Collection[str]) -> dict[str, Any]:
    """Returns what `pyarrow.parquet.write_table` must know to write the packed columns as their bytes are.

    Uncompressed and without a dictionary or statistics: random bits become no smaller, and reading is one copy. Other
    columns are written as all tables are.
    """
    others = [name for name in schema.names if name not in packed]
    return {
        "compression": {name: "none" if name in packed else "zstd" for name in schema.names},
        "compression_level": dict.fromkeys(others, 3),
        "use_dictionary": others,
        "write_statistics": others,
    }


def normalise(vectors: npt.NDArray[np.floating[Any]]) -> Vectors:
    """Scales rows to a norm of 1 and rounds them to float16.

    Raises VectorError for rows that are zero or not finite.
    """
    numbers = np.asarray(vectors, np.float64)
    largest = np.abs(numbers).max(axis=1, initial=0)  # NaN where a row has one
    bad = ~(np.isfinite(largest) & (largest > 0))
    if bad.any():
        row = int(bad.argmax())
        raise VectorError(f"row {row}: {'is zero' if largest[row] == 0 else 'is not finite'}; {bad.sum()} such rows")
    scaled = numbers / largest[:, None]  # whose squares neither overflow nor vanish
    return (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(np.float16)


def check_vectors(
    vectors: Vectors, valid: npt.NDArray[np.bool_] | None = None, tolerance: float = NORM_TOLERANCE
) -> None:
    """Raises VectorError unless each (valid) row is finite and of norm 1 within the tolerance; it names the first."""
    squares = np.einsum("rd,rd->r", vectors, vectors, dtype=np.float64)
    bad = ~(np.abs(np.sqrt(squares) - 1) <= tolerance)
    if valid is not None:
        bad &= valid
    if bad.any():
        row = int(bad.argmax())
        fault = f"has norm {np.sqrt(squares[row]):.6g}, not 1" if np.isfinite(squares[row]) else "is not finite"
        raise VectorError(f"row {row}: its vector {fault}; {bad.sum()} of {len(vectors)} rows are such")


def _checked_shape(vectors: Vectors) -> Vectors:
    if vectors.ndim != 2 or vectors.dtype != np.float16 or not vectors.shape[1]:
        raise TypeError(f"vectors are a matrix of float16, not {vectors.dtype} of shape {vectors.shape}")
    return vectors


def _buffer(vectors: Vectors) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(vectors))


def _bitmap(valid: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
