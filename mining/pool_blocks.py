"""The sides of a pool of tables of `embed`, table by table: what a search for neighbours goes over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.item_ids import split_ids
from corpus.pool import Pool
from corpus.vectors import Vectors, column_valid, column_vectors

_COLUMNS = ("pair_id", "query_id", "positive_id", "positive_vector", "status")
_QUERY_VECTOR = "query_vector"


@dataclass(frozen=True, eq=False)
class PoolBlock:
    """The n pairs of one table of the pool whose positive has a vector."""

    pair_ids: np.ndarray  # uint64[2, n]
    query_ids: np.ndarray  # uint64[2, n]
    side_ids: np.ndarray  # uint64[2, n], of the positives
    vectors: Vectors  # float16[n, d], of the positives
    query_vectors: Vectors | None = None  # float16[n, d], where they were read
    has_query: np.ndarray | None = None  # bool[n]: the query has a vector

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def nbytes(self) -> int:
        """The bytes of its vectors."""
        return self.vectors.nbytes + (0 if self.query_vectors is None else self.query_vectors.nbytes)


def pool_blocks(pool: Pool, with_queries: bool = False) -> Iterator[PoolBlock]:
    """Yields the positives that have a vector, table by table; `with_queries` reads the vectors of
    their queries, too.
    """
    columns = (*_COLUMNS, _QUERY_VECTOR) if with_queries else _COLUMNS
    return map(partial(_block, with_queries=with_queries), pool.tables(columns))


def _block(table: pa.Table, with_queries: bool) -> PoolBlock:
    kept = pc.equal(table.column("status"), "kept").to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(kept & column_valid(table.column("positive_vector")))
    table = table.take(pa.array(rows)).combine_chunks()
    queries = table.column(_QUERY_VECTOR) if with_queries else None
    return PoolBlock(
        split_ids(one_array(table.column("pair_id"))),
        split_ids(one_array(table.column("query_id"))),
        split_ids(one_array(table.column("positive_id"))),
        column_vectors(table.column("positive_vector")),
        None if queries is None else column_vectors(queries),
        None if queries is None else column_valid(queries),
    )
