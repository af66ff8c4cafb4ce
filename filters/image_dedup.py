"""The stage `duplicates` finds exact and near duplicates among images, and keeps one of each cluster.

Items with equal ids are exact duplicates; items whose pHashes differ in at most `hamming_radius` bits are near
duplicates, and so are, with `pdq_radius`, items whose PDQ hashes differ in at most so many of their 256 bits. The
relation is not transitive: where A is near B and B near C, A does not represent C unless it is near C too. Chains of
hashes, each near the next, lead from one image to quite another, and the text of a removed item may go to its
representative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import RowPairs, one_array
from corpus.hamming import MAX_RADIUS_BITS, key_bands, lsh_band_keys, pairs_within_radius, tag_keys
from corpus.hamming256 import (
    HASH_BYTES,
    MAX_LONG_RADIUS_BITS,
    Hashes256,
    as_words,
    block_pair_keys,
    differing_bits,
    hash_blocks,
    near_pairs,
    near_pairs_between,
)
from corpus.item_ids import split_ids
from corpus.schema import ITEM_ID, Status
from corpus.settings import Settings, tuning
from corpus.stage import ITEMS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo, SourcePlug
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
_PDQ_BAND = 14  # of rows that are compared by PDQ: a key is two blocks of hashes
_NO_PDQ = bytes(HASH_BYTES)  # of a row whose PDQ hash is not compared; a PDQ hash has half of its bits set

NearRows = Callable[[np.ndarray, np.ndarray], np.ndarray]  # which of some rows are near which others, bool[m]


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
    pdq_radius: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LONG_RADIUS_BITS,
        description="By how many of their 256 bits the PDQ hashes of near duplicates may differ (31 is its authors' "
        "choice); null compares none. It takes `pdq: true` in `stages.image_stats`.",
    )
    min_pdq_quality: int = Field(
        default=50,
        ge=0,
        le=100,
        description="The lowest quality of a PDQ hash that is compared, 0 to 100: an image without much detail has "
        "one near those of others.",
    )
    pdq_blocks: int = tuning(
        4,
        ge=1,
        le=64,
        description="Into how many blocks PDQ hashes are divided to be compared: a worker holds two of them at a time, "
        "the shuffle carries so many rows for each hash.",
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
    component until it is near one: mostly one. With `pdq_radius` a row has 32 bytes more, and there are `pdq_blocks`
    more of each (see `corpus.hamming256`, also for the time that takes).
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
        self._settings = settings
        self._radius = settings.hamming_radius
        self._by_pdq = settings.pdq_radius is not None

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images and source.plug.filters_images

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        if stages.duplicates.pdq_radius is not None and not stages.image_stats.pdq:
            yield "stages.duplicates.pdq_radius: no PDQ hashes are computed: set `pdq: true` in stages.image_stats"

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each band of each distinct hash; of equal hashes of a shard the others get the first band."""
        inspected = shard["image_stats"]
        hashes = _numbers(inspected, "phash", np.uint64)
        ids = shard[ITEMS].column("item_id").combine_chunks()
        usable = np.bitwise_count(hashes) >= _MIN_SET_BITS
        usable &= _numbers(inspected, "contrast", np.float32) >= self._settings.min_contrast
        pdq = self._pdq_hashes(inspected)
        usable_pdq = pdq.any(axis=1)

        hashed, without = np.flatnonzero(usable), np.flatnonzero(~(usable | usable_pdq))
        band_rows, band_keys = _first_of_each(hashed, hashes[hashed], lsh_band_keys(hashes[hashed], self._radius))
        pdq_rows, pdq_keys = self._by_blocks(np.flatnonzero(usable_pdq), pdq)
        id_keys = tag_keys(split_ids(ids.take(pa.array(without)))[1], _ID_BAND)
        rows = np.concatenate([band_rows, pdq_rows, without])
        columns = {
            "key": np.concatenate([band_keys, pdq_keys, id_keys]),
            "hash": np.where(usable, hashes, 0)[rows],
            "row_address": shard.row_addresses[rows],
            "item_id": ids.take(rows),
            "pixels": (_numbers(inspected, "width", np.int64) * _numbers(inspected, "height", np.int64))[rows],
            "compression_loss": _numbers(inspected, "compression_loss", np.float32)[rows],
            "bytes": _numbers(inspected, "bytes", np.int64)[rows],
            "sharpness": _numbers(inspected, "sharpness", np.float32)[rows],
        }
        return pa.table(columns | ({"pdq": _hash_column(pdq[rows])} if self._by_pdq else {}))

    def _pdq_hashes(self, inspected: pa.Table) -> Hashes256:
        """Returns the PDQ hashes that are compared, zeros for the others."""
        if not self._by_pdq:
            return np.zeros((inspected.num_rows, HASH_BYTES // 8), np.uint64)
        usable = pc.greater_equal(inspected.column("pdq_quality"), self._settings.min_pdq_quality)
        usable = pc.and_(pc.fill_null(usable, False), pc.is_valid(inspected.column("pdq")))
        return _words(pc.if_else(usable, inspected.column("pdq"), pa.scalar(_NO_PDQ, pa.binary(HASH_BYTES))))

    def _by_blocks(self, rows: np.ndarray, pdq: Hashes256) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows and keys by which PDQ hashes are brought together: two blocks of them at a time."""
        count = self._settings.pdq_blocks
        blocks = hash_blocks(pdq[rows], count)
        others = (blocks[:, None] + np.arange(count)) % count  # a row's own block first
        keys = tag_keys(block_pair_keys(count)[blocks[:, None], others], _PDQ_BAND)
        return _first_of_each(rows, pdq[rows].view("V32").ravel(), keys)

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the members of each connected component of rows that share keys, with the component's `root`."""
        bands = key_bands(rows.column("key").to_numpy())
        hashes = rows.column("hash").to_numpy()
        sets = UnionFind(rows.num_rows)
        for band in np.unique(bands).tolist():
            in_band = np.flatnonzero(bands == band)
            if band == _ID_BAND:
                pairs = _equal_ids(rows.column("item_id").combine_chunks().take(in_band))
            elif band == _PDQ_BAND:
                pairs = self._pdq_pairs(rows.select(["key", "pdq"]).take(in_band))
            else:
                pairs = pairs_within_radius(hashes[in_band], self._radius, band)
            for a, b in pairs:
                sets.union(in_band[a], in_band[b])
        labels = sets.labels()
        members = np.flatnonzero(np.bincount(labels)[labels] > 1)
        matched = rows.select([name for name in rows.column_names if name != "key"]).take(members)
        return matched.append_column("root", pa.array(rows.column("row_address").to_numpy()[labels[members]]))

    def _pdq_pairs(self, rows: pa.Table) -> Iterator[RowPairs]:
        """Yields near pairs of rows that share their key: of one block, or of one block and another."""
        assert self._settings.pdq_radius is not None
        keys, hashes = rows.column("key").to_numpy(), _words(rows.column("pdq"))
        blocks = hash_blocks(hashes, self._settings.pdq_blocks)
        for key in np.unique(keys).tolist():
            here = np.flatnonzero(keys == key)
            in_first = blocks[here] == blocks[here].min()
            one, other = here[in_first], here[~in_first]
            if len(other):
                pairs = near_pairs_between(hashes[one], hashes[other], self._settings.pdq_radius)
            else:
                other, pairs = one, near_pairs(hashes[one], self._settings.pdq_radius)
            for a, b in pairs:
                yield one[a], other[b]

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins the components of all partitions and chooses the representatives within each."""
        addresses = reduced.column("row_address").to_numpy()
        addresses, first, member = np.unique(addresses, return_index=True, return_inverse=True)
        component = components(len(addresses), member, np.searchsorted(addresses, reduced.column("root").to_numpy()))
        items = reduced.take(first)
        ids = items.column("item_id").combine_chunks()
        best = _representatives(component, items, ids, self._near(items, ids))
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

    def _near(self, items: pa.Table, ids: pa.Array) -> NearRows:
        """Returns the relation of duplicates: equal ids, or one of the hashes within its radius where both have it."""
        halves = split_ids(ids)
        hashes = items.column("hash").to_numpy()
        usable = hashes != 0
        pdq = _words(items.column("pdq")) if self._by_pdq else None

        def near(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            found = (halves[:, a] == halves[:, b]).all(axis=0)
            found |= usable[a] & usable[b] & (np.bitwise_count(hashes[a] ^ hashes[b]) <= self._radius)
            if pdq is not None:
                one, other = pdq[a], pdq[b]
                both = one.any(axis=1) & other.any(axis=1)
                found |= both & (differing_bits(one, other) <= (self._settings.pdq_radius or 0))
            return found

        return near


def _representatives(component: np.ndarray, items: pa.Table, ids: pa.Array, near: NearRows) -> np.ndarray:
    """Returns the position of each item's representative, int64[n]; of equally good items the first is taken.

    One key orders all items, whatever their formats, so that the choice does not depend on the order of comparisons.
    """
    high, low = split_ids(ids)
    values = [sign * items.column(name).to_numpy() for name, sign in _RANKING.items()]
    order = np.lexsort((low, high, *reversed(values), component))
    return _first_near(component, order, near)


def _first_near(component: np.ndarray, order: np.ndarray, near: NearRows) -> np.ndarray:
    """Returns the representative of each item, int64[n]; `order` sorts the items by component, the best first.

    In each round the first remaining item of each component becomes a representative of the remaining ones that are
    near it.
    """
    representative = np.arange(len(component))
    remaining = order
    while len(remaining):
        is_first = np.append(True, np.diff(component[remaining]) != 0)
        best = remaining[is_first][np.cumsum(is_first) - 1]
        is_near = near(remaining, best)
        representative[remaining[is_near]] = best[is_near]
        remaining = remaining[~is_near]
    return representative


def _first_of_each(rows: np.ndarray, hashes: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and keys to emit: all keys (uint64[n, k]) of the first row of each hash, the first key of others."""
    emitted = np.zeros(keys.shape, dtype=bool)
    emitted[:, 0] = True
    emitted[np.unique(hashes, return_index=True)[1]] = True
    return rows[np.nonzero(emitted)[0]], keys[emitted]


def _equal_ids(ids: pa.Array) -> Iterator[RowPairs]:
    """Yields pairs of positions that link equal ids."""
    high, low = split_ids(ids)
    order = np.lexsort((low, high))
    equal = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
    yield order[:-1][equal], order[1:][equal]


def _numbers(table: pa.Table, column: str, kind: type[np.generic]) -> np.ndarray:
    """Returns a column as a numpy array, 0 for null."""
    return pc.fill_null(table.column(column), 0).to_numpy().astype(kind)


def _words(column: pa.Array | pa.ChunkedArray) -> Hashes256:
    """Returns a column of 32 bytes each, without nulls, as four numbers each."""
    array = one_array(column)
    if not len(array):
        return np.zeros((0, HASH_BYTES // 8), np.uint64)
    data = np.frombuffer(array.buffers()[1], np.uint8)
    return as_words(data[array.offset * HASH_BYTES : (array.offset + len(array)) * HASH_BYTES])


def _hash_column(words: Hashes256) -> pa.Array:
    """Returns the inverse of `_words`."""
    data = pa.py_buffer(np.ascontiguousarray(words))
    return pa.Array.from_buffers(pa.binary(HASH_BYTES), len(words), [None, data])
