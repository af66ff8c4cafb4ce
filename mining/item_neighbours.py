"""Stage `item_neighbours`: the items of all sources that are near to each item by their vectors.

It writes down what is nearer than a low cosine, and how near it is. The stage `duplicates` decides from which cosine on
two items are duplicates (SemDeDup, A. Abbas and others, arXiv 2303.09540): another threshold is another decision, not
another search. Unlike SemDeDup's the search is exact, and not bounded by clusters, up to `max_exact_items`; above, an
item is compared with those of its own cluster and of the nearest others (`mining.clustered_items`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.arrays import one_array
from corpus.item_ids import packed_ids, split_ids
from corpus.pool import Pool, PoolRead, PoolScope
from corpus.schema import ITEM_ID
from corpus.stage import ITEM_NEIGHBOURS, ITEM_VECTORS, Gives, MapStage, Resources, Shard, SourceInfo
from corpus.vectors import column_valid, column_vectors
from mining.clustered_items import ClusteredItems
from mining.item_search import ItemBlock, NearItems, count_items, item_blocks, near_items
from mining.kept_pool import KeptPool
from mining.settings import ItemNeighbourSettings

NEAR_ITEM = pa.struct([pa.field("item_id", ITEM_ID), pa.field("cosine", pa.float32())])


class ItemNeighbours(MapStage):
    """The near items of each image of all sources with vectors, the nearest first; null for one without a vector.

    An item with `k` of them may have more. Where A is near to B, B is near to A: one of the two is written down for the
    other unless both have k others that are nearer.
    """

    name = ITEM_NEIGHBOURS
    reads = (ITEM_VECTORS,)
    pools = (PoolRead(ITEM_VECTORS, PoolScope.SOURCES),)
    settings_key = ITEM_NEIGHBOURS
    settings_type = ItemNeighbourSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    filters_rows = False
    summary = "the images of all sources that are near by their vectors, with the cosines"
    schema = pa.schema([pa.field("neighbours", pa.list_(NEAR_ITEM))])

    def __init__(self, settings: ItemNeighbourSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self.resources = Resources(holds_model=True, in_flight=settings.shards_at_once)  # a worker keeps its pool

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        searched = source.stages.duplicates.min_cosine is not None and source.plug.filters_images
        return super().applies_to(source) and ITEM_VECTORS in source.tables and searched

    def fingerprint_inputs(self) -> dict[str, Any]:
        settings = self._settings
        clustered = {"max_exact_items": settings.max_exact_items, "clusters": settings.clusters}
        return {"k": settings.k, "min_cosine": settings.min_cosine, **clustered}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Search(self._settings)


class _Search:
    """The function of the stage in one worker. Thread-safe."""

    def __init__(self, settings: ItemNeighbourSettings) -> None:
        self._settings = settings
        self._pool: KeptPool[ItemBlock] = KeptPool(item_blocks, settings.pool_bytes)
        self._clustered: tuple[Pool, ClusteredItems | None] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        """Finds the neighbours of a shard's items."""
        table, pool = shard[ITEM_VECTORS], shard.pools[ITEM_VECTORS]
        valid = column_valid(table.column("vector"))
        rows = np.flatnonzero(valid)
        ids = split_ids(one_array(table.column("item_id")).take(pa.array(rows)))
        queries = ItemBlock(ids, column_vectors(table.column("vector"))[rows])
        clustered = self._clusters(pool)
        if clustered is None:
            found, metrics = self._exact(queries, pool), {}
        else:
            found, metrics = clustered.near(queries), clustered.missed(queries)
        full = np.count_nonzero(found.counts == self._settings.k)
        shard.metrics[ITEM_NEIGHBOURS] = {
            "searched": len(rows),
            "near": int(found.offsets[-1]),
            "with_neighbours": int(np.count_nonzero(found.counts)),
            "full_lists": int(full),
            **metrics,
        }
        return pa.table({"neighbours": _lists(found, valid)})

    def _exact(self, queries: ItemBlock, pool: Pool) -> NearItems:
        settings = self._settings
        memory_bytes = settings.memory_bytes // settings.shards_at_once
        return near_items(queries, lambda: self._pool.blocks(pool), settings.k, settings.min_cosine, memory_bytes)

    def _clusters(self, pool: Pool) -> ClusteredItems | None:
        """Returns the clusters of a pool that is too large for an exact search; None for any other."""
        with self._lock:
            if self._clustered is None or self._clustered[0] != pool:
                limit = self._settings.max_exact_items
                many = limit is not None and count_items(pool) > limit
                self._clustered = pool, ClusteredItems(pool, self._settings) if many else None
            return self._clustered[1]


def _lists(found: NearItems, valid: np.ndarray) -> pa.Array:
    """Returns the near items of all rows; null in those that were not searched for."""
    counts = np.zeros(len(valid), np.int64)
    counts[valid] = found.counts
    offsets = pa.array(np.append(0, np.cumsum(counts)).astype(np.int32), mask=np.append(~valid, False))
    entries = pa.StructArray.from_arrays([packed_ids(found.ids), pa.array(found.cosines)], fields=list(NEAR_ITEM))
    return pa.ListArray.from_arrays(offsets, entries)
