"""Columns of 16-byte ids as pairs of 64-bit numbers, which numpy sorts, searches, compares and hashes without loops."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.arrays import Places, one_array
from corpus.hashing import Hashes, hash_words
from corpus.schema import ITEM_ID, ITEM_ID_BYTES

Ids = npt.NDArray[np.uint64]  # [2, ...]: the halves of ids, as `split_ids` returns them


def split_ids(ids: pa.Array | pa.ChunkedArray) -> Ids:
    """Splits 16-byte ids into two numbers each, uint64[2, n], in the order of the bytes. ValueError for nulls."""
    array = one_array(ids)
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} ids are null")
    data = array.buffers()[1]
    if data is None:
        return np.zeros((2, 0), np.uint64)
    words = np.frombuffer(data, ">u8", count=2 * len(array), offset=array.offset * ITEM_ID_BYTES)
    return np.ascontiguousarray(words.reshape(-1, 2).T).astype(np.uint64)


def packed_ids(ids: Ids) -> pa.Array:
    """Returns ids (uint64[2, n]) as a column of 16 bytes each: the inverse of `split_ids`."""
    data = ids.T.astype(">u8").tobytes()
    return pa.Array.from_buffers(ITEM_ID, ids.shape[1], [None, pa.py_buffer(data)])


def join_id(halves: Hashes) -> bytes:
    """Returns the 16 bytes of one id, uint64[2]."""
    return int(halves[0]).to_bytes(8, "big") + int(halves[1]).to_bytes(8, "big")


def unique_ids(parts: Iterable[Ids]) -> Ids:
    """Returns the ids of all parts (uint64[2, ...]) in ascending order, each once, uint64[2, n]."""
    ids = np.concatenate([np.zeros((2, 0), np.uint64), *(part.reshape(2, -1) for part in parts)], axis=1)
    ids = ids[:, np.lexsort((ids[1], ids[0]))]
    return np.ascontiguousarray(ids[:, first_of_run(ids)])


def first_of_run(ids: Ids) -> npt.NDArray[np.bool_]:
    """Returns for each of sorted ids whether it differs from the one before it, bool[n]."""
    first = np.ones(ids.shape[1], bool)
    first[1:] = (ids[:, 1:] != ids[:, :-1]).any(axis=0)
    return first


def hash_ids(ids: Ids, seed: int = 0) -> Hashes:
    """Returns the hash of each id (uint64[2, n]), uint64[n]: what `hash_strings` gives for its bytes."""
    return hash_words(ids.byteswap(), seed)


def find_ids(ids: Ids, queries: Ids) -> Places:
    """Returns the positions of ids (uint64[2, k]) among ascending ids (uint64[2, n]), int64[k]; -1 for absent ones."""
    at = np.searchsorted(ids[0], queries[0]).astype(np.int64)
    if not ids.shape[1]:
        return np.full(len(at), -1, np.int64)
    while True:  # ids that share their first half, hardly ever more than one, are walked along
        here = np.minimum(at, ids.shape[1] - 1)
        same_half = (at == here) & (ids[0][here] == queries[0])
        behind = same_half & (ids[1][here] < queries[1])
        if not behind.any():
            return np.where(same_half & (ids[1][here] == queries[1]), here, -1)
        at += behind
