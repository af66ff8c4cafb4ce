"""Near items among very many: each is compared with those of its own cluster and of the nearest others.

k-means divides the pool into clusters of about 2,000 (SemDeDup, A. Abbas and others, arXiv 2303.09540, which looks
inside of clusters only). Pairs whose clusters are far from each other are missed; how many is measured on a sample of
the queries, which are searched for exactly as well. What is found has the cosines of the exact search.

A worker trains the clusters itself, on a seeded sample of the pool, and keeps the vectors in memory twice. Which
clusters there are can depend on the release of faiss, so results are only as reproducible as that is.
"""

from __future__ import annotations

import numpy as np

from corpus.arrays import Places
from corpus.execution import ShardError
from corpus.pool import Pool
from mining.approximate import IvfIndex, sampled_rows
from mining.item_search import ItemBlock, NearItems, item_blocks, near_items
from mining.search import MEMORY_BYTES, offsets_of
from mining.settings import ItemNeighbourSettings

_ITEMS_PER_CLUSTER = 2000
_SAMPLED_QUERIES = 16  # of each shard


class ClusteredItems:
    """The items of a pool by clusters, in one worker. Thread-safe once built. Raises ShardError without faiss."""

    def __init__(self, pool: Pool, dimension: int, settings: ItemNeighbourSettings) -> None:
        self._settings = settings
        blocks = list(item_blocks(pool))
        clusters = sum(block.ids.shape[1] for block in blocks) // _ITEMS_PER_CLUSTER
        parts = ((block.ids, block.vectors) for block in blocks)
        try:
            self._index = IvfIndex(parts, dimension, lists=max(1, clusters), storage="float16")
        except ImportError as error:
            raise ShardError(
                f"more than {settings.max_exact_items:,} items are searched by clusters: {error}; or set "
                "`max_exact_items: null` in stages.item_neighbours"
            ) from error

    def near(self, queries: ItemBlock) -> NearItems:
        """Finds the near items of queries in their nearest clusters, as `mining.item_search.near_items` does in all."""
        settings = self._settings
        found = self._index.search(queries.vectors, settings.k + 1, min(settings.clusters, self._index.lists))
        near = found.scores >= np.float32(settings.min_cosine)
        near &= (found.ids != queries.ids[:, :, None]).any(axis=0)  # not the item itself
        near &= np.cumsum(near, axis=1) <= settings.k
        counts: Places = np.count_nonzero(near, axis=1).astype(np.int64)
        return NearItems(offsets_of(counts), found.ids[:, near], found.scores[near])

    def missed(self, queries: ItemBlock) -> dict[str, int]:
        """Counts the near pairs of a sample of the queries, and those of them that the clusters split."""
        rows = sampled_rows(len(queries.vectors), _SAMPLED_QUERIES, seed=0)
        sample = ItemBlock(queries.ids[:, rows], queries.vectors[rows])
        settings = self._settings
        exact = near_items(sample, self._blocks, settings.k, settings.min_cosine, MEMORY_BYTES)
        found = self.near(sample)
        # Both lists end after k: a pair that the clusters split makes room for another one, which is not counted.
        split = sum(len(_pairs(exact, row) - _pairs(found, row)) for row in range(len(rows)))
        return {"sampled": len(rows), "sampled_pairs": int(exact.offsets[-1]), "split_pairs": split}

    def _blocks(self) -> list[ItemBlock]:
        return [ItemBlock(*block) for block in self._index.blocks()]


def _pairs(found: NearItems, row: int) -> set[tuple[int, int]]:
    part = slice(*found.offsets[row : row + 2].tolist())
    return set(zip(*found.ids[:, part].tolist(), strict=True))
