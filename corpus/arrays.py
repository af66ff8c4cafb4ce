"""Columns as numpy sees them: in one piece, strings as bytes, runs of rows one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]  # positions in an array, or numbers of rows
RowPairs = tuple[np.ndarray, np.ndarray]  # two int64[m] of row numbers: pair i is (first[i], second[i])


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns a column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def string_bytes(strings: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Returns the offsets (n + 1) of strings or binaries of any type, and the bytes that they point into.

    What a null points at is undefined. Raises TypeError for an array that holds no strings.
    """
    kind = strings.type
    if pa.types.is_dictionary(kind):
        return string_bytes(strings.dictionary_decode())
    if kind == pa.string_view() or kind == pa.binary_view() or pa.types.is_fixed_size_binary(kind):
        return string_bytes(strings.cast(pa.large_binary()))
    small = pa.types.is_string(kind) or pa.types.is_binary(kind)
    if not small and not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)):
        raise TypeError(f"a column of {kind} holds no strings")
    _, offsets, data = strings.buffers()
    if offsets is None or len(strings) == 0:
        return np.zeros(len(strings) + 1, np.int64), np.empty(0, np.uint8)
    places: npt.NDArray[Any] = np.frombuffer(offsets, np.int32 if small else np.int64)
    places = places[strings.offset : strings.offset + len(strings) + 1].astype(np.int64, copy=False)
    return places, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)


def ranges(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns start, start + 1, ... of each run of some length, one run after the other, int64."""
    return np.arange(int(lengths.sum())) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)


def places_in_runs(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns 0, 1, ... for each run of some length, one run after the other, int64."""
    return ranges(np.zeros(len(lengths), np.int64), lengths)
