"""Near items among very many: each is compared with those of its own cluster and of the nearest others.

k-means divides the pool into clusters of about 2,000 (SemDeDup, A. Abbas and others, arXiv 2303.09540, which looks
inside of clusters only). Pairs whose clusters are far from each other are missed; how many is measured on a sample of
the queries, which are searched for exactly as well. Inside of clusters the search is exact.

A worker trains the clusters itself, on a seeded sample of the pool, and keeps all vectors in memory. Which clusters
there are can depend on the release of faiss, so results are only as reproducible as that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from corpus.arrays import Places
from corpus.bisection import ShardError
from corpus.pool import Pool
from corpus.search.exact import MEMORY_BYTES, offsets_of
from corpus.vectors import Vectors
from mining.approximate import sampled_rows
from mining.item_search import ItemBlock, NearItems, item_blocks, near_items
from mining.settings import ItemNeighbourSettings

_ITEMS_PER_CLUSTER = 2000
_TRAINED_PER_CLUSTER = 64
_ITERATIONS = 20
_AT_ONCE = 8192  # vectors that are assigned to clusters
_SAMPLED_QUERIES = 16  # of each shard


class ClusteredItems:
    """The items of a pool by clusters, in one worker. Thread-safe once built. Raises ShardError without faiss."""

    def __init__(self, pool: Pool, settings: ItemNeighbourSettings) -> None:
        self._settings = settings
        blocks = list(item_blocks(pool))
        ids, vectors = np.concatenate([b.ids for b in blocks], axis=1), np.concatenate([b.vectors for b in blocks])
        del blocks
        clusters = max(1, len(vectors) // _ITEMS_PER_CLUSTER)
        self._centroids = _train(vectors, clusters, settings.max_exact_items)
        assigned = _nearest(self._centroids, vectors, 1)[:, 0]
        order = np.argsort(assigned, kind="stable")
        self._items = ItemBlock(np.ascontiguousarray(ids[:, order]), vectors[order])
        self._starts = np.searchsorted(assigned[order], np.arange(clusters + 1))

    def near(self, queries: ItemBlock) -> NearItems:
        """Finds the near items of queries in their nearest clusters, as `mining.item_search.near_items` does in all."""
        settings = self._settings
        clusters = _nearest(self._centroids, queries.vectors, min(settings.clusters, len(self._starts) - 1))
        parts = []
        for cluster in np.unique(clusters).tolist():
            rows = np.flatnonzero((clusters == cluster).any(axis=1))
            part = ItemBlock(queries.ids[:, rows], queries.vectors[rows])
            found = near_items(part, partial(self._cluster, cluster), settings.k, settings.min_cosine, MEMORY_BYTES)
            parts.append((rows, found))
        return _merged(parts, len(queries.vectors), settings.k)

    def missed(self, queries: ItemBlock) -> dict[str, int]:
        """Counts the near pairs of a sample of the queries, and those of them that the clusters split."""
        rows = sampled_rows(len(queries.vectors), _SAMPLED_QUERIES, seed=0)
        sample = ItemBlock(queries.ids[:, rows], queries.vectors[rows])
        settings = self._settings
        exact = near_items(sample, lambda: [self._items], settings.k, settings.min_cosine, MEMORY_BYTES)
        found = self.near(sample)
        split = sum(len(_pairs(exact, row) - _pairs(found, row)) for row in range(len(rows)))
        return {"sampled": len(rows), "sampled_pairs": int(exact.offsets[-1]), "split_pairs": split}

    def _cluster(self, cluster: int) -> list[ItemBlock]:
        part = slice(*self._starts[cluster : cluster + 2].tolist())
        return [ItemBlock(self._items.ids[:, part], self._items.vectors[part])]


def _train(vectors: Vectors, clusters: int, limit: int | None) -> Any:
    """Returns the centroids of clusters as an index of faiss, trained on a seeded sample of the vectors."""
    try:
        import faiss
    except ImportError as error:
        raise ShardError(
            f"more than {limit:,} items are searched by clusters, which takes faiss: pip install 'rzen-corpus[faiss]', "
            "or set `max_exact_items: null` in stages.item_neighbours"
        ) from error
    sample = vectors[sampled_rows(len(vectors), clusters * _TRAINED_PER_CLUSTER, seed=0)]
    options = {"niter": _ITERATIONS, "seed": 0, "spherical": True, "min_points_per_centroid": 1}
    kmeans = faiss.Kmeans(vectors.shape[1], clusters, max_points_per_centroid=_TRAINED_PER_CLUSTER, **options)
    kmeans.train(sample.astype(np.float32))
    return kmeans.index


def _nearest(centroids: Any, vectors: Vectors, count: int) -> Places:
    """Returns the nearest clusters of each vector, int64[n, count]."""
    starts = range(0, len(vectors), _AT_ONCE)
    found = [centroids.search(vectors[at : at + _AT_ONCE].astype(np.float32), count)[1] for at in starts]
    return np.concatenate([np.zeros((0, count), np.int64), *found])


def _merged(parts: Sequence[tuple[Places, NearItems]], queries: int, k: int) -> NearItems:
    """Returns the k nearest of each query from what its clusters have."""
    row = np.concatenate([np.zeros(0, np.int64), *(np.repeat(rows, found.counts) for rows, found in parts)])
    ids = np.concatenate([np.zeros((2, 0), np.uint64), *(found.ids for _, found in parts)], axis=1)
    cosines = np.concatenate([np.zeros(0, np.float32), *(found.cosines for _, found in parts)])
    order = np.lexsort((ids[1], ids[0], -cosines, row))
    rank = np.arange(len(row)) - np.searchsorted(row[order], row[order])
    order = order[rank < k]
    counts: Places = np.bincount(row[order], minlength=queries).astype(np.int64)
    return NearItems(offsets_of(counts), ids[:, order], cosines[order])


def _pairs(found: NearItems, row: int) -> set[tuple[int, int]]:
    part = slice(*found.offsets[row : row + 2].tolist())
    return set(zip(*found.ids[:, part].tolist(), strict=True))
