"""The nearest neighbours of some rows in a pool, and what the rules on negatives need to know of them.

The pool is read once to find the neighbours, and once more to compare them with all positives and queries: of a
neighbour only its place is known until then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.arrays import Floats, Places
from corpus.item_ids import Ids
from corpus.search.exact import Neighbours, TopK, query_bytes
from corpus.vectors import Vectors
from mining.pool_blocks import PoolBlock
from mining.similarities import NONE, OwnerQueries, QueryPositives, row_products

_PRODUCTS_AT_ONCE = 1 << 14  # rows of two matrices of vectors

Blocks = Callable[[], Generator[PoolBlock, None, None]]  # each call reads the pool anew, in the same order


@dataclass(frozen=True, eq=False)
class Listed:
    """Candidates that n rows bring along: m of them, those of a row together."""

    rows: Places  # int64[m], ascending
    side_ids: Ids  # [2, m]
    vectors: Vectors  # float16[m, d]

    def between(self, start: int, stop: int) -> Listed:
        """Returns those of the rows start ... stop, which are counted from 0 then."""
        part = slice(*np.searchsorted(self.rows, [start, stop]))
        return Listed(self.rows[part] - start, self.side_ids[:, part], self.vectors[part])


@dataclass(frozen=True, eq=False)
class SearchRows:
    """The sides of n pairs whose neighbours are searched for."""

    query: Vectors  # float16[n, d]
    positive: Vectors  # float16[n, d]
    query_ids: Ids
    positive_ids: Ids
    existing: Listed  # the negatives that they came with

    def __len__(self) -> int:
        return len(self.query)

    def between(self, start: int, stop: int) -> SearchRows:
        """Returns the rows start ... stop."""
        part = slice(start, stop)
        return SearchRows(
            self.query[part],
            self.positive[part],
            self.query_ids[:, part],
            self.positive_ids[:, part],
            self.existing.between(start, stop),
        )


@dataclass(frozen=True, eq=False)
class Similarities:
    """The similarities of m candidates; see `mining.neighbours.NEIGHBOUR`."""

    score: Floats
    positive: Floats
    highest_positive: Floats
    query: Floats

    def part(self, which: slice) -> Similarities:
        """Returns some of them."""
        return Similarities(self.score[which], self.positive[which], self.highest_positive[which], self.query[which])


@dataclass(frozen=True, eq=False)
class ScoredNeighbours:
    """The neighbours of n rows, k in all and those of a row together, and the candidates that the rows brought."""

    offsets: Places  # [n + 1]
    side_ids: Ids  # [2, k]
    pair_ids: Ids  # [2, k]: the first pair of the pool that has the side
    similarities: Similarities  # of the neighbours
    existing: Similarities  # of `SearchRows.existing`


@dataclass(frozen=True)
class SearchOptions:
    """Options of the search for rows."""

    by_query: bool  # neighbours are near to the query, else to the positive
    k: int
    memory_bytes: int
    compare_queries: bool  # blocks have the vectors of queries, and candidates are compared by them

    def rows_at_once(self, dimension: int) -> int:
        """Returns how many rows a search has the memory for."""
        return max(1, self._search_bytes // 2 // query_bytes(dimension, self.k))

    def search(self, queries: Vectors) -> TopK:
        """Creates a search for the neighbours of some rows."""
        return TopK(queries, self.k, memory_bytes=self._search_bytes)

    def positives_at_once(self, dimension: int) -> int:
        """Returns how many positives of queries are held at a time."""
        return max(1, self.memory_bytes // 4 // (2 * dimension))

    @property
    def _search_bytes(self) -> int:
        return self.memory_bytes * 3 // 4


def scored_neighbours(rows: SearchRows, blocks: Blocks, options: SearchOptions) -> ScoredNeighbours:
    """Searches a pool for the neighbours of some rows; at most `options.rows_at_once` of them."""
    search = options.search(rows.query if options.by_query else rows.positive)
    positives = QueryPositives(rows.query_ids, options.positives_at_once(rows.query.shape[1]))
    known = [np.zeros((2, 0), np.uint64)]
    with closing(blocks()) as pool:
        for block in pool:
            search.add(block.side_ids, block.vectors)
            positives.add(block)
            known.append(block.pair_ids)
    scores = _CandidateScores(rows, search.result(), options.compare_queries)
    with closing(blocks()) as pool:
        scores.compare(pool, positives)
    while positives.remaining:
        positives = positives.following()
        with closing(blocks()) as pool:
            for block in pool:
                positives.add(block)
        with closing(blocks()) as pool:
            scores.compare(pool, positives)
    return scores.result(np.concatenate(known, axis=1))


class _CandidateScores:
    """The similarities of the neighbours of some rows, and of the candidates that the rows brought, in this order."""

    def __init__(self, rows: SearchRows, found: Neighbours, compare_queries: bool) -> None:
        self._searched, self._existing = rows, rows.existing
        self._offsets, self._side_ids, _, self._positions = found.lists()
        self._order = np.argsort(self._positions, kind="stable")
        self._sorted = self._positions[self._order]
        neighbour_rows = np.repeat(np.arange(len(rows)), np.diff(self._offsets))
        self._rows = np.concatenate([neighbour_rows, self._existing.rows])
        ids = np.concatenate([self._side_ids, self._existing.side_ids], axis=1)
        self._owners = OwnerQueries(rows.query, self._rows, ids) if compare_queries else None
        self._score, self._positive, self._highest = (np.full(len(self._rows), NONE, np.float32) for _ in range(3))
        self._is_first = True

    def compare(self, blocks: Iterable[PoolBlock], positives: QueryPositives) -> None:
        """Compares the candidates with these positives; the first time with their own rows and owners, too."""
        positives.finish(self._searched.query.shape[1])
        several = positives.others(self._searched.positive_ids)
        brought = np.arange(len(self._existing.rows)) + len(self._positions)
        self._add(brought, self._existing.vectors, np.arange(len(brought)), positives, several)
        start = 0
        for block in blocks:
            at = self._order[slice(*np.searchsorted(self._sorted, [start, start + len(block)]))]
            self._add(at, block.vectors, self._positions[at] - start, positives, several)
            if self._owners is not None and self._is_first:
                self._owners.add(block)
            start += len(block)
        self._is_first = False

    def _add(
        self, at: Places, vectors: Vectors, places: Places, positives: QueryPositives, several: npt.NDArray[np.bool_]
    ) -> None:
        """Takes in the candidates `at`, whose vectors are vectors[places]."""
        row = self._rows[at]
        if self._is_first:
            for first in range(0, len(at), _PRODUCTS_AT_ONCE):
                part = slice(first, first + _PRODUCTS_AT_ONCE)
                candidates = vectors[places[part]]
                self._score[at[part]] = row_products(self._searched.query[row[part]], candidates)
                self._positive[at[part]] = row_products(self._searched.positive[row[part]], candidates)
            self._highest[at] = self._positive[at]
        some = np.flatnonzero(several[row])
        found = positives.highest(row[some], vectors, places[some])
        self._highest[at[some]] = np.maximum(self._highest[at[some]], found)

    def result(self, pair_ids: Ids) -> ScoredNeighbours:
        """Returns what was found; `pair_ids` of the whole pool, in its order."""
        queries = np.full(len(self._rows), NONE, np.float32) if self._owners is None else self._owners.similarity
        similarities = Similarities(self._score, self._positive, self._highest, queries)
        total = len(self._positions)
        return ScoredNeighbours(
            self._offsets,
            self._side_ids,
            pair_ids[:, self._positions],
            similarities.part(slice(0, total)),
            similarities.part(slice(total, None)),
        )
