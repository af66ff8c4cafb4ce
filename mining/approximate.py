"""Approximate search: an inverted file of faiss proposes, and what it proposes is scored exactly.

The pool is split into lists by k-means, and each query looks into the lists whose centroids are nearest (Jégou, Douze
and Schmid, Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33, 2011). What is found has the scores and the
order of `corpus.search.exact`; what may be missing is measured, as recall on a sample of the queries. Which lists there
are can depend on the release of faiss and on its number of threads, so results are only as reproducible as these are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from corpus.arrays import Places
from corpus.hashing import mix64
from corpus.item_ids import Ids
from corpus.search.exact import MEMORY_BYTES, Neighbours, proposals, search
from corpus.search.fast_scores import NumpyScores, as_float32
from corpus.search.state import Best, PendingRows
from corpus.vectors import Vectors

_ROWS_AT_ONCE = 8192  # of the pool, converted to float32
_QUERIES_AT_ONCE = 512
_TRAINED_ROWS_PER_LIST = 64


@dataclass(frozen=True)
class Recall:
    """The part of the exact k nearest that an approximate search finds."""

    value: float
    rows: int  # queries that it was measured on


class IvfIndex:
    """An inverted file over a pool: blocks of ids uint64[2, m] and vectors float16[m, d], which are kept as they are.

    `lists` is their number; by default four times the square root of the rows. faiss keeps the vectors once more: as
    float32, or as float16, which takes half the memory and more time. Raises ImportError where faiss is not installed.
    """

    def __init__(
        self,
        pool: Iterable[tuple[Ids, Vectors]],
        dimension: int,
        *,
        lists: int | None = None,
        storage: Literal["float32", "float16"] = "float32",
        seed: int = 0,
    ) -> None:
        faiss = _faiss()
        self._window = PendingRows(dimension, max_bytes=1 << 62)
        self._exact = NumpyScores()
        added = 0
        for ids, vectors in pool:
            self._exact.operand(vectors)  # raises ValueError for what is not finite
            self._window.add(ids, vectors, added)
            added += len(vectors)
        rows = self._window.rows
        self.lists = max(1, min(rows, lists or round(4 * math.sqrt(rows))))
        quantiser = faiss.IndexFlatIP(dimension)
        if storage == "float16":
            kind = faiss.ScalarQuantizer.QT_fp16
            args = (quantiser, dimension, self.lists, kind, faiss.METRIC_INNER_PRODUCT, False)
            self._index = faiss.IndexIVFScalarQuantizer(*args)
        else:
            self._index = faiss.IndexIVFFlat(quantiser, dimension, self.lists, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.seed = seed
        self._index.cp.spherical = True
        self._index.cp.min_points_per_centroid = 1
        if rows:
            sample = sampled_rows(rows, self.lists * _TRAINED_ROWS_PER_LIST, seed)
            self._index.train(as_float32(self._window.vectors(sample)))
        for first in range(0, rows, _ROWS_AT_ONCE):
            part = np.arange(first, min(first + _ROWS_AT_ONCE, rows))
            self._index.add(as_float32(self._window.vectors(part)))

    def search(self, queries: Vectors, k: int, probes: int = 32) -> Neighbours:
        """Finds about the k nearest of each query in the lists of its nearest `probes` centroids."""
        if k < 1 or probes < 1:
            raise ValueError(f"k and probes must be at least 1, not {k} and {probes}")
        best = Best(len(queries), k)
        self._index.nprobe = min(probes, self.lists)
        limit = min(proposals(k), self._window.rows)
        for first in range(0, len(queries) if limit else 0, _QUERIES_AT_ONCE):
            rows = np.arange(first, min(first + _QUERIES_AT_ONCE, len(queries)))
            self._take(best, rows, queries[rows], limit)
        counts = np.count_nonzero(best.positions >= 0, axis=1).astype(np.int64)
        return Neighbours(best.ids, best.scores, best.positions, counts, widened=0)

    def recall(
        self, queries: Vectors, k: int, probes: int = 32, *, sample: int = 1000, seed: int = 0, **options: Any
    ) -> Recall:
        """Measures the recall of such a search on a seeded sample of the queries; `options` are those
        of the exact search.
        """
        rows = sampled_rows(len(queries), sample, seed)
        found = self.search(queries[rows], k, probes)
        exact = search(queries[rows], self._window.blocks(), k, **{"memory_bytes": MEMORY_BYTES, **options})
        total = int(exact.counts.sum())
        # An approximate list misses places of the exact one, and has others in their stead, behind those that it has.
        common = sum(len(_ids_of_row(found, row) & _ids_of_row(exact, row)) for row in range(len(rows)))
        return Recall(common / total if total else 1.0, len(rows))

    def _take(self, best: Best, rows: Places, queries: Vectors, limit: int) -> None:
        operand = self._exact.operand(queries)
        _, places = self._index.search(operand.matrix, limit)
        at = np.maximum(places, 0)  # -1: the lists hold no more
        scores = np.empty(at.shape, np.float32)
        dimension = queries.shape[1]
        at_once = max(1, self._exact.max_exact // (dimension * limit))
        for first in range(0, len(rows), at_once):
            part = slice(first, first + at_once)
            vectors = self._window.vectors(at[part].reshape(-1)).reshape(*at[part].shape, dimension)
            scores[part] = self._exact.exact(queries[part], vectors)
        scores += np.float32(0)  # no -0
        scores[places < 0] = -np.inf
        ids, positions = self._window.columns()
        best.merge(rows, scores, ids[:, at], positions[at])


def sampled_rows(rows: int, sample: int, seed: int) -> Places:
    """Draws some of the row numbers, ascending: those whose hashes are the smallest under a seed."""
    if sample >= rows:
        return np.arange(rows)
    hashes = mix64(np.arange(rows, dtype=np.uint64) ^ mix64(np.array([seed % 2**64], np.uint64)))
    return np.sort(np.argsort(hashes, kind="stable")[:sample])


def _ids_of_row(found: Neighbours, row: int) -> set[tuple[int, int]]:
    return set(zip(*found.ids[:, row, : found.counts[row]].tolist(), strict=True))


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError("approximate search needs faiss: pip install 'rzen-corpus[faiss]'") from error
    return faiss
