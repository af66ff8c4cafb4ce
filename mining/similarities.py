"""Similarities of candidates to all positives of a query, and of a query to all queries that own a candidate.

A candidate that is nearly equal to any positive of the query is a positive, too (RzenEmbed's rule). A candidate whose
own query is nearly equal to this one answers it, too (SaHa, arXiv 2508.00955). Both are the highest of many products,
which are exact (`corpus.search.fast_scores.exact_products`): they depend on no order and no block.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.arrays import Floats, Places, ranges
from corpus.item_ids import Ids, find_ids, unique_ids
from corpus.search.fast_scores import exact_products
from corpus.vectors import Vectors
from mining.pool_blocks import PoolBlock

NONE = np.float32(-1)  # of what there is nothing to compare with
_PRODUCTS_AT_ONCE = 1 << 14  # rows of two matrices of vectors
_MATRIX_FROM = 1 << 12  # products of one group, from which on they are computed as a matrix
_MATRIX_ROWS = 1024


def row_products(one: Vectors, other: Vectors) -> Floats:
    """Computes the dot product of each row with the same row of another matrix, float32[n]: exact,
    then rounded once.
    """
    return np.einsum("nd,nd->n", one, other, dtype=np.float64).astype(np.float32)


def highest_products(vectors: Vectors, rows: Places, members: Vectors, starts: Places, counts: Places) -> Floats:
    """Computes for each i the highest dot product of vectors[rows[i]] with the members starts[i] ... starts[i] +
    counts[i].

    float32[n]; -1 where there are no members. Groups of members are equal, or do not overlap.
    """
    highest = np.full(len(rows), NONE, np.float32)
    some = np.flatnonzero(counts > 0)
    _, of_group, requests = np.unique(starts[some], return_inverse=True, return_counts=True)
    large = counts[some] * requests[of_group] >= _MATRIX_FROM
    for number in np.unique(of_group[large]):
        places = some[of_group == number]
        first = starts[places[0]]
        highest[places] = _highest_of_group(vectors, rows[places], members[first : first + counts[places[0]]])
    small = some[~large]
    member = ranges(starts[small], counts[small])
    owner = np.repeat(small, counts[small])
    for at in range(0, len(owner), _PRODUCTS_AT_ONCE):
        part = slice(at, at + _PRODUCTS_AT_ONCE)
        np.maximum.at(highest, owner[part], row_products(vectors[rows[owner[part]]], members[member[part]]))
    return highest


def _highest_of_group(vectors: Vectors, rows: Places, members: Vectors) -> Floats:
    """Computes the highest dot product of each of some rows with any of the members: matrices of a few
    MiB at a time.
    """
    highest = np.full(len(rows), NONE, np.float32)
    for at in range(0, len(rows), _MATRIX_ROWS):
        part = slice(at, at + _MATRIX_ROWS)
        for first in range(0, len(members), _MATRIX_ROWS):
            products = exact_products(vectors[rows[part]], members[first : first + _MATRIX_ROWS])
            highest[part] = np.maximum(highest[part], products.max(axis=1).astype(np.float32))
    return highest


class QueryPositives:
    """The positives of some queries in a pool: `max_rows` of them, from number `first` on in the order of the pool.

    `add` each block once, then `finish`. A query of which the pool has more positives than fit is looked at in several
    rounds: `remaining` tells whether another one is needed.
    """

    def __init__(self, query_ids: Ids, max_rows: int, first: int = 0) -> None:
        self._known = unique_ids([query_ids])
        self._queries = query_ids
        self.query = find_ids(self._known, query_ids)  # int64[n]: the number of each row's query
        self._first, self._stop, self._matches = first, first + max_rows, 0
        self._vectors: list[Vectors] = []
        self._of: list[Places] = []
        self._ids: list[Ids] = []

    def add(self, block: PoolBlock) -> None:
        """Adds the positives of a block that belong to the known queries."""
        number = find_ids(self._known, block.query_ids)
        rows = np.flatnonzero(number >= 0)
        place = np.arange(self._matches, self._matches + len(rows))
        self._matches += len(rows)
        rows = rows[(place >= self._first) & (place < self._stop)]
        if len(rows):
            self._vectors.append(block.vectors[rows])
            self._of.append(number[rows])
            self._ids.append(block.side_ids[:, rows])

    def finish(self, dimension: int) -> None:
        """Sorts what was found by the query."""
        of = np.concatenate([np.zeros(0, np.int64), *self._of])
        order = np.argsort(of, kind="stable")
        self.vectors: Vectors = np.concatenate([np.zeros((0, dimension), np.float16), *self._vectors])[order]
        self._side_ids = np.concatenate([np.zeros((2, 0), np.uint64), *self._ids], axis=1)[:, order]
        numbers = np.arange(self._known.shape[1])
        self._starts = np.searchsorted(of[order], numbers, side="left").astype(np.int64)
        self._counts = np.searchsorted(of[order], numbers, side="right") - self._starts
        self._vectors, self._of, self._ids = [], [], []

    @property
    def remaining(self) -> bool:
        """Tells whether the pool has more of them."""
        return self._matches > self._stop

    def following(self) -> QueryPositives:
        """Returns the next ones, for another round."""
        return QueryPositives(self._queries, self._stop - self._first, self._stop)

    def others(self, positive_ids: Ids) -> npt.NDArray[np.bool_]:
        """Returns which rows (their positives' ids: uint64[2, n]) have a query with another positive than their own."""
        counts = self._counts[self.query]
        at = np.minimum(self._starts[self.query], max(0, len(self.vectors) - 1))
        if not len(self.vectors):
            return np.zeros(len(counts), np.bool_)
        is_positive = (self._side_ids[:, at] == positive_ids).all(axis=0)
        return np.asarray((counts > 1) | ((counts == 1) & ~is_positive))

    def highest(self, rows: Places, candidates: Vectors, places: Places) -> Floats:
        """Computes the highest similarity of candidates[places[i]] to a positive of the query of the
        row rows[i], float32[m].
        """
        code = self.query[rows] * max(1, len(candidates)) + places
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)  # rows with equal queries share it
        query = self.query[rows[first]]
        found = highest_products(candidates, places[first], self.vectors, self._starts[query], self._counts[query])
        return found[inverse]


class OwnerQueries:
    """The queries of a pool whose positive is one of the candidates: for each of m candidates of some rows the highest
    similarity of one to the row's own query (`similarity`, float32[m], -1: the pool has none)."""

    def __init__(self, query: Vectors, rows: Places, side_ids: Ids) -> None:
        self._query, self._rows = query, rows
        self._sides = unique_ids([side_ids])
        self._side = find_ids(self._sides, side_ids)
        self.similarity = np.full(len(rows), NONE, np.float32)

    def add(self, block: PoolBlock) -> None:
        """Looks at the queries of a block."""
        assert block.query_vectors is not None and block.has_query is not None
        number = find_ids(self._sides, block.side_ids)
        owners = np.flatnonzero((number >= 0) & block.has_query)
        owners = owners[np.argsort(number[owners], kind="stable")]
        numbers = np.arange(self._sides.shape[1])
        starts = np.searchsorted(number[owners], numbers, side="left").astype(np.int64)
        counts = np.searchsorted(number[owners], numbers, side="right") - starts
        at = np.flatnonzero(counts[self._side] > 0)
        side = self._side[at]
        members = block.query_vectors[owners]
        found = highest_products(self._query, self._rows[at], members, starts[side], counts[side])
        self.similarity[at] = np.maximum(self.similarity[at], found)
