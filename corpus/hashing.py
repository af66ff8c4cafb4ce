"""64-bit hashes of whole columns of strings: what a seeded sample is drawn by.

Deterministic for ever: the same string and seed give the same number on every machine, however the column is sliced,
chunked or typed, so a sample can be drawn again and made larger later. Not a cryptographic hash.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

NULL_HASH = np.uint64(2**64 - 1)  # of every null, whatever the seed: sorts last
_BLOCK_ROWS = 8192  # so that a block's bytes and hashes stay in the processor's cache

_U = np.uint64
_GOLDEN = _U(0x9E3779B97F4A7C15)
_MULTIPLY_WORD = _U(0xD6E8FEB86659FD93)
_MULTIPLY_STATE = _U(0xA0761D6478BD642F)


def hash_strings(strings: pa.Array | pa.ChunkedArray, seed: int = 0) -> Hashes:
    """One hash for each string (or binary) of the column, uniform over 64 bits; nulls give NULL_HASH.

    Hashes under different seeds are independent. Raises TypeError for a column that holds no strings.
    """
    if isinstance(strings, pa.ChunkedArray):
        parts = [hash_strings(chunk, seed) for chunk in strings.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)
    offsets, data = _layout(strings)
    start = mix64(np.array([seed % 2**64], np.uint64) + _GOLDEN)[0]
    hashes = np.empty(len(strings), np.uint64)
    for first in range(0, len(strings), _BLOCK_ROWS):
        block = offsets[first : first + _BLOCK_ROWS + 1]
        hashes[first : first + _BLOCK_ROWS] = _hash_block(block - block[0], data[block[0] : block[-1]], start)
    if strings.null_count:
        hashes[strings.is_null().to_numpy(zero_copy_only=False)] = NULL_HASH
    return hashes


def mix64(numbers: Hashes) -> Hashes:
    """A bijection of 64 bits in which every input bit changes every output bit with probability one half.

    The finalizer of SplitMix64 with the constants of Stafford's "Mix13"
    (http://zimbry.blogspot.com/2011/09/better-bit-mixing-improving-on.html).
    """
    numbers = (numbers ^ (numbers >> _U(30))) * _U(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> _U(27))) * _U(0x94D049BB133111EB)
    return numbers ^ (numbers >> _U(31))


def _hash_block(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], start: np.uint64) -> Hashes:
    """Hash the strings data[offsets[i] : offsets[i + 1]], word by word: all strings that have such a word at once."""
    lengths = np.diff(offsets)
    shortest_first = np.argsort(lengths, kind="stable")
    ordered = lengths[shortest_first]
    places = offsets[:-1][shortest_first]
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    # The eight bytes from every byte on: overlapping, unaligned words, which fancy indexing copes with.
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    states = start ^ (ordered.astype(np.uint64) * _GOLDEN)
    for at in range(0, int(ordered[-1]) if len(ordered) else 0, 8):
        first = int(np.searchsorted(ordered, at, side="right"))  # of those that have a word here
        whole = int(np.searchsorted(ordered, at + 8, side="left"))  # the first of those that fill it
        word = words[places[first:] + at]
        if first < whole:  # the rest of the word belongs to the next string
            unused_bits = (8 * (at + 8 - ordered[first:whole])).astype(np.uint64)
            word[: whole - first] &= _U(2**64 - 1) >> unused_bits
        state = states[first:]
        word *= _MULTIPLY_WORD
        state ^= word
        state *= _MULTIPLY_STATE
        state ^= state >> _U(32)
    hashes = np.empty_like(states)
    hashes[shortest_first] = mix64(states)
    return hashes


def _layout(strings: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets (length + 1) into bytes, of any type of string or binary column."""
    kind = strings.type
    if pa.types.is_dictionary(kind):
        return _layout(strings.dictionary_decode())
    if kind == pa.string_view() or kind == pa.binary_view():
        return _layout(strings.cast(pa.large_binary()))
    small = pa.types.is_string(kind) or pa.types.is_binary(kind)
    if not small and not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)):
        raise TypeError(f"cannot hash a column of {kind}: it holds no strings")
    _, offsets, data = strings.buffers()
    if offsets is None or len(strings) == 0:
        return np.zeros(1, np.int64), np.empty(0, np.uint8)
    places: npt.NDArray[Any] = np.frombuffer(offsets, np.int32 if small else np.int64)
    places = places[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    return places, np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
