"""The search for items that are near by their vectors: exact, over a pool of tables with the role ITEM_VECTORS.

One search serves semantic duplicates, whose pool is all items of a workspace, and leaks of evaluation sets, whose pool
is the evaluation items: `near_items` takes the blocks of any pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import Floats, Places, one_array
from corpus.item_ids import Ids, split_ids
from corpus.pool import Pool
from corpus.schema import Status
from corpus.search.exact import offsets_of, query_bytes, search
from corpus.vectors import Vectors, column_valid, column_vectors

_COLUMNS = ("item_id", "vector", "status")


@dataclass(frozen=True, eq=False)
class ItemBlock:
    """The n items of one table of the pool that have a vector."""

    ids: Ids  # uint64[2, n]
    vectors: Vectors  # float16[n, d]

    @property
    def nbytes(self) -> int:
        """The bytes of its vectors and ids."""
        return self.vectors.nbytes + self.ids.nbytes


@dataclass(frozen=True, eq=False)
class NearItems:
    """The near items of n queries, m in all, the nearest of each first; equal cosines are ordered by id."""

    offsets: Places  # int64[n + 1]
    ids: Ids  # uint64[2, m]
    cosines: Floats  # float32[m]

    @property
    def counts(self) -> Places:
        """The number of near items of each query, int64[n]."""
        return np.diff(self.offsets)


def item_blocks(pool: Pool) -> Iterator[ItemBlock]:
    """Reads a pool, table by table: the live items with a vector."""
    return map(item_block, pool.tables(_COLUMNS))


def count_items(pool: Pool) -> int:
    """Counts the live items of a pool, those without a vector among them."""
    return sum(
        pc.sum(pc.equal(table.column("status"), str(Status.KEPT))).as_py() or 0 for table in pool.tables(["status"])
    )


def item_block(table: pa.Table) -> ItemBlock:
    """Returns the live items of a table that have a vector."""
    kept = pc.equal(table.column("status"), str(Status.KEPT)).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(kept & column_valid(table.column("vector")))
    table = table.take(pa.array(rows)).combine_chunks()
    return ItemBlock(split_ids(one_array(table.column("item_id"))), column_vectors(table.column("vector")))


def near_items(
    queries: ItemBlock,
    blocks: Callable[[], Iterable[ItemBlock]],
    k: int,
    min_cosine: float,
    memory_bytes: int,
) -> NearItems:
    """Finds for each query the items of a pool with a cosine of at least `min_cosine`: the k nearest, never itself.

    The cosine is the dot product of the stored vectors, whose norms are 1 to float16's precision (see
    `corpus.search.exact`). An item that the pool has several times counts once. `blocks` begins the pool anew; it is
    read once for each so many queries as `memory_bytes` has room for.
    """
    at_once = max(1, memory_bytes // 2 // query_bytes(max(1, queries.vectors.shape[1]), k))
    parts = [
        _near(queries, slice(at, at + at_once), blocks(), k, min_cosine, memory_bytes)
        for at in _starts(queries, at_once)
    ]
    counts = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for offsets, _, _ in parts)])
    ids = np.concatenate([np.zeros((2, 0), np.uint64), *(each for _, each, _ in parts)], axis=1)
    return NearItems(
        offsets_of(counts), ids, np.concatenate([np.zeros(0, np.float32), *(each for _, _, each in parts)])
    )


def _starts(queries: ItemBlock, at_once: int) -> range:
    return range(0, len(queries.vectors), at_once)


def _near(
    queries: ItemBlock, part: slice, blocks: Iterable[ItemBlock], k: int, min_cosine: float, memory_bytes: int
) -> tuple[Places, Ids, Floats]:
    ids = queries.ids[:, part]
    itself = np.arange(ids.shape[1] + 1), ids
    pool = ((block.ids, block.vectors) for block in blocks)
    found = search(queries.vectors[part], pool, k, memory_bytes=memory_bytes, exclude=itself, min_score=min_cosine)
    offsets, near, cosines, _ = found.lists()
    return offsets, near, cosines
