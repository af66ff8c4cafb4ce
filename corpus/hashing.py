"""64-bit hashes of strings, one by one and whole columns at a time; digests of what consists of several parts.

The same string and seed give the same hash for ever, on every machine, however the column is sliced, chunked or typed.
None of the 64-bit hashes is cryptographic.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.arrays import places_in_runs, string_bytes

Hashes = npt.NDArray[np.uint64]

NULL_HASH = np.uint64(2**64 - 1)  # of every null, whatever the seed: sorts last
# 2^64 over the golden ratio: its multiples lie evenly apart (D. E. Knuth, The Art of Computer Programming, 6.4).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BLOCK_ROWS = 8192  # so that a block's bytes and hashes stay in the processor's cache

_U = np.uint64
_ALL_BITS = 2**64 - 1
_MULTIPLY_WORD = _U(0xD6E8FEB86659FD93)
_MULTIPLY_STATE = _U(0xA0761D6478BD642F)
_MULTIPLY_FIRST, _MULTIPLY_SECOND = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)


def hash_strings(strings: pa.Array | pa.ChunkedArray, seed: int = 0) -> Hashes:
    """Returns a hash for each string (or binary) of the column, uniform over 64 bits; NULL_HASH for nulls.

    Hashes under different seeds are independent. Raises TypeError for a column that holds no strings.
    """
    if isinstance(strings, pa.ChunkedArray):
        parts = [hash_strings(chunk, seed) for chunk in strings.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)
    offsets, data = string_bytes(strings)
    start = _start(seed)
    hashes = np.empty(len(strings), np.uint64)
    for first in range(0, len(strings), _BLOCK_ROWS):
        block = offsets[first : first + _BLOCK_ROWS + 1]
        hashes[first : first + _BLOCK_ROWS] = _hash_block(block - block[0], data[block[0] : block[-1]], start)
    if strings.null_count:
        hashes[strings.is_null().to_numpy(zero_copy_only=False)] = NULL_HASH
    return hashes


def hash_string(string: str | bytes, seed: int = 0) -> int:
    """Returns what `hash_strings` gives for a column of this string alone, at less cost."""
    data = string.encode() if isinstance(string, str) else string
    state = _mix_integer(seed + int(GOLDEN) & _ALL_BITS) ^ (len(data) * int(GOLDEN) & _ALL_BITS)
    multiply_word, multiply_state = int(_MULTIPLY_WORD), int(_MULTIPLY_STATE)
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8], "little")
        state = (state ^ (word * multiply_word & _ALL_BITS)) * multiply_state & _ALL_BITS
        state ^= state >> 32
    return _mix_integer(state)


def hash_words(words: Hashes, seed: int = 0) -> Hashes:
    """Returns what `hash_strings` gives for n strings of 8 k bytes, as little-endian numbers: uint64[k, n].

    Needs no copy of the strings one after the other.
    """
    states = np.full(words.shape[1], _start(seed) ^ _U(8 * len(words) * int(GOLDEN) & _ALL_BITS))
    for word in words:
        _absorb(states, word * _MULTIPLY_WORD)
    return mix64(states)


def hash_lists(hashes: Hashes, lengths: npt.NDArray[np.int64]) -> Hashes:
    """Returns a hash of each list, uint64[n], by the hashes of its entries in their order, list after list."""
    places = places_in_runs(lengths).astype(np.uint64)
    placed = mix64(hashes ^ mix64(GOLDEN * (places + _U(1))))
    sums = np.append(_U(0), np.cumsum(placed, dtype=np.uint64))  # whose overflow cancels out
    stops = np.cumsum(lengths)
    return mix64(sums[stops] - sums[stops - lengths] + lengths.astype(np.uint64))


def mix64(numbers: Hashes) -> Hashes:
    """Maps numbers to numbers, no two to the same one: every input bit changes every output bit half of the time.

    The finalizer of SplitMix64 with the constants of Stafford's "Mix13"
    (http://zimbry.blogspot.com/2011/09/better-bit-mixing-improving-on.html).
    """
    numbers = (numbers ^ (numbers >> _U(30))) * _MULTIPLY_FIRST
    numbers = (numbers ^ (numbers >> _U(27))) * _MULTIPLY_SECOND
    return numbers ^ (numbers >> _U(31))


def digest(*parts: str | bytes) -> bytes:
    """Returns 16 bytes of the SHA-256 of all parts, each behind its length: ("ab", "c") is not ("a", "bc")."""
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.digest()[:16]


def _mix_integer(number: int) -> int:
    """Computes `mix64` of one number: numpy takes ten times as long for it, and warns of the overflow that is
    meant.
    """
    number = (number ^ number >> 30) * int(_MULTIPLY_FIRST) & _ALL_BITS
    number = (number ^ number >> 27) * int(_MULTIPLY_SECOND) & _ALL_BITS
    return number ^ number >> 31


def _start(seed: int) -> np.uint64:
    """Returns the state of a hash before its first word, the string's length aside."""
    return _U(_mix_integer(seed + int(GOLDEN) & _ALL_BITS))


def _absorb(states: Hashes, words: Hashes) -> None:
    """Takes the next words, multiplied by _MULTIPLY_WORD, into the states of strings, in place."""
    states ^= words
    states *= _MULTIPLY_STATE
    states ^= states >> _U(32)


def _hash_block(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], start: np.uint64) -> Hashes:
    """Hashes the strings data[offsets[i] : offsets[i + 1]], word by word: all strings that have such a word at
    once.
    """
    lengths = np.diff(offsets)
    shortest_first = np.argsort(lengths, kind="stable")
    ordered = lengths[shortest_first]
    places = offsets[:-1][shortest_first]
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    # The eight bytes from every byte on: overlapping, unaligned words, which fancy indexing copes with.
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))
    states = start ^ (ordered.astype(np.uint64) * GOLDEN)
    for at in range(0, int(ordered[-1]) if len(ordered) else 0, 8):
        first = int(np.searchsorted(ordered, at, side="right"))  # of those that have a word here
        full = int(np.searchsorted(ordered, at + 8, side="left"))  # the first of those that fill it
        word = words[places[first:] + at]
        if first < full:  # the rest of the word belongs to the next string
            unused_bits = (8 * (at + 8 - ordered[first:full])).astype(np.uint64)
            word[: full - first] &= _U(2**64 - 1) >> unused_bits
        word *= _MULTIPLY_WORD
        _absorb(states[first:], word)
    hashes = np.empty_like(states)
    hashes[shortest_first] = mix64(states)
    return hashes
