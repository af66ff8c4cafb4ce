"""Exact search: for each query the k vectors of a pool with the highest dot products, the same bytes on every machine.

The score of record is the dot product of the stored float16 vectors, accumulated in float64 (which is exact for them,
see `fast_scores.exact_products`) and rounded to float32 once; equal scores are ordered by the item's id, ascending.

A fast pass in a narrower type (`corpus.search.fast_scores`) only proposes. A query keeps what it has seen with a fast
score f as long as it can be among its k best: with a proven bound e on the error of a fast score, and t the k-th best
fast score so far, all with f < t - 2e are out; with s the k-th best exact score so far, all with f < s - e are. What is
kept is scored exactly now and then. So the result does not depend on the backend, on the sizes of blocks or on how the
pool was split, and no vector has to be read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from corpus.arrays import Floats, Places
from corpus.item_ids import Ids
from corpus.search.fast_scores import backend, exact_products
from corpus.search.state import Best, ExcludedIds, PendingRows, packed, unpacked
from corpus.vectors import Vectors

MEMORY_BYTES = 1 << 30
_LOWEST = np.finfo(np.float32).min  # a threshold that only -inf is below


@dataclass(frozen=True)
class Neighbours:
    """The k best of a pool for n queries, the best first; where there are fewer, the last places are empty."""

    ids: Ids  # [2, n, k]; zeros where empty
    scores: Floats  # [n, k]; -inf where empty
    positions: Places  # [n, k]: the row in the order in which the pool was added; -1 where empty
    counts: Places  # [n]: places that are not empty
    widened: int  # queries for which more than the usual number had to be scored exactly

    def lists(self) -> tuple[Places, Ids, Floats, Places]:
        """Returns the lists without the empty places: offsets int64[n + 1], then ids uint64[2, m],
        scores and positions of all rows.
        """
        full = np.arange(self.scores.shape[1]) < self.counts[:, None]
        return offsets_of(self.counts), self.ids[:, full], self.scores[full], self.positions[full]


def offsets_of(counts: Places) -> Places:
    """Returns where each of some lists begins when they are laid end to end, and where the last ends: int64[n + 1]."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


class TopK:
    """The k nearest of a pool that is added block by block, for queries that are there from the start.

    `exclude` lists for each query the ids that are no candidates: offsets int64[n + 1] into uint64[2, m]. An id that
    the pool has several times counts once, with its best score. `memory_bytes` bounds what is held: the state of the
    queries (`query_bytes` each), blocks of scores, and the vectors added since candidates were last scored exactly.
    What scores below `min_score` is no candidate: with few that reach it a search is much faster. `progress` is called
    with the rows of the pool that were added so far.

    Raises ValueError for vectors that are not finite or not normalised, for ids or dimensions that do not match, and
    where so many queries need more than half the memory.
    """

    def __init__(
        self,
        queries: Vectors,
        k: int,
        *,
        memory_bytes: int = MEMORY_BYTES,
        backend_name: str = "auto",
        exclude: tuple[Places, Ids] | None = None,
        min_score: float = -np.inf,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        if queries.ndim != 2 or queries.dtype != np.float16:
            raise ValueError(f"queries must be float16[n, d], not {queries.dtype} of shape {queries.shape}")
        rows, dimension = queries.shape
        taken = rows * query_bytes(dimension, k)
        if taken > memory_bytes // 2:
            fit = memory_bytes // 2 // query_bytes(dimension, k)
            raise ValueError(f"{rows} queries take {taken >> 20} MiB, more than half of memory_bytes: at most {fit}")
        free = memory_bytes - taken
        self._k, self._queries, self._progress = k, queries, progress
        self._fast = backend(backend_name)
        self._operand = self._fast.operand(queries)
        self._columns = int(np.clip(free // 4 // (dimension * 14), 1, self._fast.max_columns))
        self._rows = int(np.clip(free // 4 // (self._columns * 5), 1, self._fast.max_rows))
        self._window = PendingRows(dimension, max_bytes=free // 4)

        self._proposals = proposals(k)
        self._width = 4 * self._proposals
        self._error = np.zeros(rows)
        self._min_score = np.float32(min_score)
        self._floor = np.full(rows, self._min_score, np.float64)  # lower exact scores are none of the k best
        self._keys = np.zeros((rows, self._width), np.uint64)  # candidates: fast scores, and rows of the window
        self._filled = np.zeros(rows, np.int64)
        self._best = Best(rows, k)
        self._widened = np.zeros(rows, bool)
        self._exclude = None if exclude is None else ExcludedIds(*exclude)
        self._added = 0

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Searches a block of the pool: ids uint64[2, m], vectors float16[m, d].

        The arrays may be views of mapped files; they are kept for some time, and must not be changed.
        """
        if vectors.ndim != 2 or vectors.dtype != np.float16 or vectors.shape[1] != self._queries.shape[1]:
            expected = f"float16[m, {self._queries.shape[1]}]"
            raise ValueError(f"vectors of the pool must be {expected}, not {vectors.dtype} of shape {vectors.shape}")
        if ids.shape != (2, len(vectors)):
            raise ValueError(f"{len(vectors)} vectors have ids of shape {ids.shape}")
        for first in range(0, len(vectors), self._columns):
            part = slice(first, first + self._columns)
            self._add_part(ids[:, part], vectors[part])
            if self._progress:
                self._progress(self._added)

    def result(self) -> Neighbours:
        """Returns the nearest of all that was added; more can be added afterwards."""
        self._settle_all()
        best = self._best
        full = (best.positions >= 0) & (best.scores >= self._min_score)
        ids, scores = np.where(full, best.ids, np.uint64(0)), np.where(full, best.scores, np.float32(-np.inf))
        counts = np.count_nonzero(full, axis=1).astype(np.int64)
        return Neighbours(ids, scores, np.where(full, best.positions, -1), counts, int(self._widened.sum()))

    def _add_part(self, ids: Ids, vectors: Vectors) -> None:
        if self._window.is_full_with(len(vectors)):
            self._settle_all()
        start = self._window.rows
        checked = self._fast.operand(vectors)
        kept_ids, kept = self._window.add(ids, vectors, self._added)
        pool = checked if len(kept) == len(vectors) else self._fast.operand(kept)
        self._added += len(vectors)
        excluded = self._exclude.pairs(kept_ids) if self._exclude else (np.empty(0, np.int64), np.empty(0, np.int64))
        if not len(kept):
            return
        for first in range(0, len(self._queries), self._rows):
            stop = min(first + self._rows, len(self._queries))
            some = slice(*np.searchsorted(excluded[0], [first, stop]))
            scores = self._fast.scores(self._operand, first, stop, pool)
            if some.start < some.stop:
                self._fast.drop(scores, excluded[0][some] - first, excluded[1][some])
            error = self._fast.error(self._operand, first, stop, pool)
            self._error[first:stop] = np.maximum(self._error[first:stop], error)
            self._propose(_Block(first, stop, start, scores, kept_ids, kept, (excluded[0][some], excluded[1][some])))

    def _propose(self, block: _Block) -> None:
        """Keeps the candidates of a block of scores."""
        rows = np.arange(block.first, block.stop)
        found = self._fast.reaching(block.scores, self._threshold(rows), len(rows) * self._proposals)
        if found is None:
            distinct = self._window.distinct_from(block.start)
            if (len(block.vectors) if distinct is None else len(distinct)) >= self._k:
                self._raise(rows, self._fast.kth(block.scores, self._k, distinct), exact=False)
            crowded = self._fast.counts(block.scores, self._threshold(rows)) > self._width - self._proposals
            self._score_all(rows[crowded], block)
            threshold = np.where(crowded, np.float32(np.inf), self._threshold(rows))
            found = self._fast.reaching(block.scores, threshold, None)
            assert found is not None
        row, column, score = found
        row = row + block.first
        counts = np.bincount(row - block.first, minlength=len(rows))
        over = rows[self._filled[rows] + counts > self._width]
        if len(over):
            self._make_room(over)
            stays = score >= self._threshold(rows)[row - block.first]
            row, column, score = row[stays], column[stays], score[stays]
            counts = np.bincount(row - block.first, minlength=len(rows))
            crowded = self._filled[rows] + counts > self._width
            self._score_all(rows[crowded], block)
            stays = ~crowded[row - block.first]
            row, column, score = row[stays], column[stays], score[stays]
            counts[crowded] = 0
        slot = np.arange(len(row)) - offsets_of(counts)[row - block.first] + self._filled[row]
        self._keys[row, slot] = packed(score + np.float32(0), column + block.start)
        self._filled[rows] += counts

    def _threshold(self, rows: Places) -> Floats:
        """Returns the fast scores below which the exact ones, rounded, are surely below the floor."""
        relative = self._fast.relative_error
        known = np.isfinite(self._floor[rows])
        score = np.where(known, self._floor[rows], 0) - self._error[rows]
        score -= relative / (1 - relative) * np.abs(score)
        below = np.nextafter(score.astype(np.float32), np.float32(-np.inf))
        return np.where(known, below, _LOWEST)

    def _raise(self, rows: Places, scores: Floats, exact: bool) -> None:
        """Raises floors: `scores` are each row's k-th best so far, exact ones or fast ones; -inf for none."""
        floor = scores.astype(np.float64)
        if not exact:
            known = np.isfinite(floor)
            floor[known] -= self._fast.relative_error * np.abs(floor[known]) + self._error[rows][known]
        self._floor[rows] = np.maximum(self._floor[rows], floor)

    def _compact(self, rows: Places) -> None:
        """Drops the candidates of some rows that can't be among the k best any more; the best come first."""
        keys, k = self._keys[rows], self._k
        repeats = self._window.repeats()
        counted = keys if repeats is None else np.where(repeats[unpacked(keys)[1]], np.uint64(0), keys)
        kth = np.partition(counted, self._width - k, axis=1)[:, self._width - k]
        self._raise(rows, np.where(kth > 0, unpacked(np.maximum(kth, 1))[0], np.float32(-np.inf)), exact=False)
        keys[keys < packed(self._threshold(rows) + np.float32(0), np.zeros(len(rows), np.int64))[:, None]] = 0
        self._keys[rows] = np.sort(keys, axis=1)[:, ::-1]
        self._filled[rows] = np.count_nonzero(keys, axis=1)
        self._widened[rows] |= self._filled[rows] > self._proposals

    def _make_room(self, rows: Places) -> None:
        """Drops candidates of rows, and scores the rest exactly where they are still many."""
        self._compact(rows)
        self._settle(rows[self._filled[rows] > self._width // 2])

    def _settle(self, rows: Places) -> None:
        """Scores the candidates of some compact rows exactly; then they have none but their best."""
        if not len(rows):
            return
        ids, positions = self._window.columns()
        keys = self._keys[rows, : max(1, int(self._filled[rows].max()))]
        at = np.where(keys > 0, unpacked(np.maximum(keys, 1))[1], 0)
        scores = np.empty(at.shape, np.float32)
        dimension = self._queries.shape[1]
        at_once = max(1, self._fast.max_exact // (dimension * at.shape[1]))
        for first in range(0, len(rows), at_once):
            part = slice(first, first + at_once)
            vectors = self._window.vectors(at[part].reshape(-1)).reshape(*at[part].shape, dimension)
            scores[part] = self._fast.exact(self._queries[rows[part]], vectors)
        scores += np.float32(0)  # no -0
        scores[keys == 0] = -np.inf
        self._best.merge(rows, scores, ids[:, at], positions[at])
        self._keys[rows], self._filled[rows] = 0, 0
        self._raise(rows, self._best.scores[rows, -1], exact=True)

    def _settle_all(self) -> None:
        if self._window.rows:
            for first in range(0, len(self._queries), self._rows):
                rows = np.arange(first, min(first + self._rows, len(self._queries)))
                self._compact(rows)
                self._settle(rows)
        self._window.clear()

    def _score_all(self, rows: Places, block: _Block) -> None:
        """Scores a block exactly for the rows that have too many candidates in it, as where many vectors are equal."""
        if not len(rows):
            return
        self._widened[rows] = True
        scores = exact_products(self._queries[rows], block.vectors).astype(np.float32) + np.float32(0)
        at = np.searchsorted(rows, block.excluded[0])
        at[at == len(rows)] = 0
        excluded = rows[at] == block.excluded[0]
        scores[at[excluded], block.excluded[1][excluded]] = -np.inf
        order = np.lexsort((np.arange(scores.shape[1]), block.ids[1], block.ids[0]))
        order = order[::-1]  # of equal scores, keys put the last first
        repeated = np.count_nonzero((block.ids[:, order[1:]] == block.ids[:, order[:-1]]).all(axis=0))
        limit = min(self._k + int(repeated), scores.shape[1])
        keys = packed(scores[:, order], np.arange(scores.shape[1]))
        keys = np.partition(keys, scores.shape[1] - limit, axis=1)[:, scores.shape[1] - limit :]
        best, place = unpacked(keys)
        column = order[place]
        positions = self._window.columns()[1][block.start + column]
        self._best.merge(rows, best, block.ids[:, column], positions)
        self._raise(rows, self._best.scores[rows, -1], exact=True)


@dataclass(frozen=True)
class _Block:
    """A block of fast scores: of queries first ... stop against the window's rows from `start` on."""

    first: int
    stop: int
    start: int
    scores: Any
    ids: Ids
    vectors: Vectors
    excluded: tuple[Places, Places]  # rows of queries, ascending, and columns


def query_bytes(dimension: int, k: int) -> int:
    """Returns how many bytes a search holds for each query."""
    return 6 * dimension + 8 * 4 * proposals(k) + 28 * k + 64


def proposals(k: int) -> int:
    """Returns how many candidates are usually enough to find the k best among."""
    return k + max(20, k // 5)


def search(queries: Vectors, pool: Iterable[tuple[Ids, Vectors]], k: int, **options: Any) -> Neighbours:
    """Finds the k nearest of a pool's blocks for each query; `options` are those of `TopK`."""
    found = TopK(queries, k, **options)
    for ids, vectors in pool:
        found.add(ids, vectors)
    return found.result()
