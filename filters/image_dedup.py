"""The stage `duplicates` finds exact and near duplicates among images, and keeps one of each cluster.

Items with equal ids are exact duplicates; items whose pHashes differ in at most `hamming_radius` bits are near
duplicates. The relation is not transitive: where A is near B and B near C, A does not represent C unless it is near C
too. Chains of hashes, each near the next, lead from one image to quite another, and the text of a removed item may go
to its representative.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import RowPairs
from corpus.hamming import MAX_RADIUS_BITS, key_bands, lsh_band_keys, pairs_within_radius, tag_keys
from corpus.item_ids import split_ids
from corpus.schema import ITEM_ID, Status
from corpus.settings import Settings
from corpus.stage import ITEMS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo
from corpus.union_find import UnionFind, components

# A pHash has a bit for each frequency above the median of all 64: half of them, unless many are equal, as in images
# that are flat, change in one direction only or are symmetric. Hashes with few bits set lie near each other whatever
# the images show.
_MIN_SET_BITS = 16
_RANKING = {
    "pixels": -1,
    "compression_loss": 1,
    "bytes": -1,
    "sharpness": -1,
}  # columns by importance; -1: higher is better
_ID_BAND = 15  # the band of rows without a usable hash: their keys are hashes of their ids


class DuplicatesSettings(Settings):
    """Settings of the stage `duplicates`: which images are near duplicates."""

    hamming_radius: int = Field(
        default=4,
        ge=0,
        le=MAX_RADIUS_BITS,
        description="By how many of their 64 bits the pHashes of near duplicates may differ.",
    )
    min_contrast: float = Field(
        default=3.0,
        ge=0,
        description="The lowest standard deviation of the grey levels of an image that is compared by pHash; a "
        "flatter one is a duplicate only of an identical file.",
    )


class Duplicates(ShuffleStage):
    """The shuffle stage that keeps the best of each cluster of duplicate images.

    The best is the largest in pixels, then the one with the smallest compression loss (`filters.compression_loss`), the
    most bytes, the highest sharpness, the smallest id. In this order an item is kept unless it is a duplicate of a kept
    one; every other is a duplicate of the first kept item within its radius. So no two kept items are near each other,
    and no item is removed for one outside of its radius. Of rows of the same item, the first in the order of sources,
    shards and rows is kept. An image without a usable hash (see `_MIN_SET_BITS` and `min_contrast`) is a duplicate only
    of an image with the same bytes.

    The shuffle carries 64 bytes times `hamming_radius` + 1 for each row, and 64 for a row whose hash came before in its
    shard or that has no hash. `finalize` gets the members of connected components, 64 bytes each, at most once for each
    band; it takes about 100 bytes more for each while it runs, and compares each member with the kept ones of its
    component until it is near one: mostly one.
    """

    name = "duplicates"
    reads = (ITEMS, "image_stats", "quality")
    settings_key = "duplicates"
    settings_type = DuplicatesSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    summary = "the best of all items with the same image: exact and near duplicates, over all sources"
    roles = (VERDICT,)
    schema = pa.schema([pa.field("representative", ITEM_ID)])  # item id; null for an item without duplicates

    def __init__(self, settings: DuplicatesSettings) -> None:
        super().__init__(settings)
        self._radius = settings.hamming_radius
        self._min_contrast = settings.min_contrast

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images and source.plug.filters_images

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each band of each distinct hash; of equal hashes of a shard the others get the first band."""
        inspected = shard["image_stats"]
        hashes = _numbers(inspected, "phash", np.uint64)
        ids = shard[ITEMS].column("item_id").combine_chunks()
        usable = np.bitwise_count(hashes) >= _MIN_SET_BITS
        usable &= _numbers(inspected, "contrast", np.float32) >= self._min_contrast

        hashed = np.flatnonzero(usable)
        keys = lsh_band_keys(hashes[hashed], self._radius)
        emitted = np.zeros(keys.shape, dtype=bool)
        emitted[:, 0] = True
        emitted[np.unique(hashes[hashed], return_index=True)[1]] = True
        rows = np.concatenate([hashed[np.nonzero(emitted)[0]], np.flatnonzero(~usable)])
        return pa.table(
            {
                "key": np.concatenate([keys[emitted], tag_keys(split_ids(ids.filter(pa.array(~usable)))[1], _ID_BAND)]),
                "hash": hashes[rows],
                "row_address": shard.row_addresses[rows],
                "item_id": ids.take(rows),
                "pixels": (_numbers(inspected, "width", np.int64) * _numbers(inspected, "height", np.int64))[rows],
                "compression_loss": _numbers(inspected, "compression_loss", np.float32)[rows],
                "bytes": _numbers(inspected, "bytes", np.int64)[rows],
                "sharpness": _numbers(inspected, "sharpness", np.float32)[rows],
            }
        )

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the members of each connected component of rows that share keys, with the component's `root`."""
        bands = key_bands(rows.column("key").to_numpy())
        hashes = rows.column("hash").to_numpy()
        ids = rows.column("item_id").combine_chunks()
        sets = UnionFind(rows.num_rows)
        for band in np.unique(bands).tolist():
            in_band = np.flatnonzero(bands == band)
            by_bytes = band == _ID_BAND
            pairs = (
                _equal_ids(ids.take(in_band)) if by_bytes else pairs_within_radius(hashes[in_band], self._radius, band)
            )
            for a, b in pairs:
                sets.union(in_band[a], in_band[b])
        labels = sets.labels()
        members = np.flatnonzero(np.bincount(labels)[labels] > 1)
        matched = rows.select(["row_address", "item_id", "hash", *_RANKING]).take(members)
        return matched.append_column("root", pa.array(rows.column("row_address").to_numpy()[labels[members]]))

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins the components of all partitions and chooses the representatives within each."""
        addresses = reduced.column("row_address").to_numpy()
        addresses, first, member = np.unique(addresses, return_index=True, return_inverse=True)
        component = components(len(addresses), member, np.searchsorted(addresses, reduced.column("root").to_numpy()))
        items = reduced.take(first)
        ids = items.column("item_id").combine_chunks()
        best = _representatives(component, items, ids, self._radius)
        representatives = ids.take(pa.array(best))
        kept = pa.array(best == np.arange(len(addresses)))
        reason = pc.if_else(pc.equal(ids, representatives), "exact_duplicate", "near_duplicate")
        return pa.table(
            {
                "row_address": addresses,
                "representative": representatives,
                "status": pc.if_else(kept, str(Status.KEPT), str(Status.DUPLICATE)),
                "reason": pc.if_else(kept, "", reason),
            }
        )


def _representatives(component: np.ndarray, items: pa.Table, ids: pa.Array, radius: int) -> np.ndarray:
    """Returns the position of each item's representative, int64[n]; of equally good items the first is taken.

    One key orders all items, whatever their formats, so that the choice does not depend on the order of comparisons.
    """
    high, low = split_ids(ids)
    values = [sign * items.column(name).to_numpy() for name, sign in _RANKING.items()]
    order = np.lexsort((low, high, *reversed(values), component))
    representative = _first_near(component[order], items.column("hash").to_numpy()[order], radius)
    best = np.empty_like(order)
    best[order] = order[representative]
    return best


def _first_near(component: np.ndarray, hashes: np.ndarray, radius: int) -> np.ndarray:
    """Returns the positions of the representatives of items that are sorted by component, the best first: int64[n].

    In each round the first remaining item of each component becomes a representative of the remaining ones within its
    radius. Items without a usable hash share a component only with others of the same id, which have the same hash.
    """
    representative = np.arange(len(component))
    remaining = representative.copy()
    while len(remaining):
        is_first = np.append(True, np.diff(component[remaining]) != 0)
        best = remaining[is_first][np.cumsum(is_first) - 1]
        near = np.bitwise_count(hashes[remaining] ^ hashes[best]) <= radius
        representative[remaining[near]] = best[near]
        remaining = remaining[~near]
    return representative


def _equal_ids(ids: pa.Array) -> Iterator[RowPairs]:
    """Yields pairs of positions that link equal ids."""
    high, low = split_ids(ids)
    order = np.lexsort((low, high))
    equal = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
    yield order[:-1][equal], order[1:][equal]


def _numbers(table: pa.Table, column: str, kind: type[np.generic]) -> np.ndarray:
    """Returns a column as a numpy array, 0 for null."""
    return pc.fill_null(table.column(column), 0).to_numpy().astype(kind)
