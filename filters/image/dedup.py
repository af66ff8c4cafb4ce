"""The stage `duplicates` finds exact, near and semantic duplicates among images, and keeps one of each cluster.

Items with equal ids are exact duplicates; items whose pHashes differ in at most `hamming_radius` bits are near
duplicates, and so are, with `pdq_radius`, items whose PDQ hashes differ in at most so many of their 256 bits. Items
whose vectors have a cosine of at least `min_cosine` are semantic duplicates (SemDeDup, A. Abbas and others, arXiv
2303.09540), where sources have vectors. The relation is not transitive: where A is near B and B near C, A does not
represent C unless it is near C too. Chains of images, each near the next, lead from one to quite another, and the text
of a removed item may go to its representative.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import Places, RowPairs, one_array
from corpus.hamming import MAX_RADIUS_BITS, key_bands, lsh_band_keys, pairs_within_radius, tag_keys
from corpus.hamming256 import (
    HASH_BYTES,
    MAX_LONG_RADIUS_BITS,
    Hashes256,
    as_words,
    block_pair_keys,
    hash_blocks,
    near_pairs,
    near_pairs_between,
)
from corpus.item_ids import Ids, split_ids
from corpus.schema import ITEM_ID, Status
from corpus.settings import Settings, tuning
from corpus.stage import (
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    ITEMS,
    VERDICT,
    Gives,
    Shard,
    ShuffleStage,
    SourceInfo,
    SourcePlug,
)
from corpus.thresholds import Threshold
from corpus.union_find import UnionFind, components
from filters.image.head_filter import HEAD_FILTER
from filters.image.near import NearImages
from filters.image.nearest import HAMMING_RADIUS, MIN_COSINE

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
_NEIGHBOUR_BAND = 13  # of rows and those that they are near to by their vectors: a key is the hash of an id
_PDQ_BAND = 14  # of rows that are compared by PDQ: a key is two blocks of hashes
_ID_COLUMNS = {_ID_BAND: "item_id", _NEIGHBOUR_BAND: "neighbour"}  # whose values rows of the band share
_NO_PDQ = bytes(HASH_BYTES)  # of a row whose PDQ hash is not compared; a PDQ hash has half of its bits set


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
    min_cosine: float | None = Field(
        default=0.95,
        ge=-1,
        le=1,
        description="The lowest cosine of the vectors of semantic duplicates, where `stages.item_vectors` has an "
        "encoder; null finds none.",
    )


class Duplicates(ShuffleStage):
    """The shuffle stage that keeps the best of each cluster of duplicate images.

    The best is the largest in pixels, then the one with the smallest compression loss
    (`filters.image.compression_loss`), the most bytes, the highest sharpness, the smallest id. In this order an item is
    kept unless it is a duplicate of a kept one; every other is a duplicate of the first kept item that it is near to,
    by a hash or by its vector. So no two kept items are near each other, and no item is removed for one that it is not
    near to itself. Of rows of the same item, the first in the order of sources, shards and rows is kept. An image
    without a usable hash (see `_MIN_SET_BITS` and `min_contrast`) and without a vector is a duplicate only of an image
    with the same bytes.

    The reasons: exact_duplicate, of the same bytes; near_duplicate, by a hash; semantic_duplicate, by its vector only.
    Vectors are compared by the stage `item_neighbours`, of whose tables only the cosines are read here.

    The shuffle carries 64 bytes times `hamming_radius` + 1 for each row, and 64 for a row whose hash came before in its
    shard or that has no hash. `finalize` gets the members of connected components, 64 bytes each, at most once for each
    band; it takes about 100 bytes more for each while it runs, and compares each member with the kept ones of its
    component until it is near one: mostly one. With `pdq_radius` a row has 32 bytes more, and there are `pdq_blocks`
    more of each (see `corpus.hamming256`, also for the time that takes). With vectors a row has 16 bytes more, and
    there is one more for each item and for each neighbour.
    """

    name = "duplicates"
    reads: tuple[str, ...] = (ITEMS, "image_stats", "quality")
    settings_key = "duplicates"
    settings_type = DuplicatesSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    optional_reads = (ITEM_NEIGHBOURS, HEAD_FILTER)
    summary = "the best of all items with the same image: exact, near and semantic duplicates, over all sources"
    reasons = {"exact_duplicate": "another item has the same bytes"}
    roles = (VERDICT,)
    edge_columns = ("row_address", "root")
    thresholds = (HAMMING_RADIUS, MIN_COSINE)
    schema = pa.schema([pa.field("representative", ITEM_ID)])  # item id; null for an item without duplicates

    def __init__(
        self, settings: DuplicatesSettings, semantic: bool = False, tables: Collection[str] = frozenset()
    ) -> None:
        """Takes whether any source has vectors, and the tables that the source has which the stage is over."""
        super().__init__(settings)
        self._settings = settings
        self._radius = settings.hamming_radius
        self._by_pdq = settings.pdq_radius is not None
        self._min_cosine = settings.min_cosine if semantic else None
        self.reads = (*type(self).reads, *(name for name in self.optional_reads if name in tables))

    def active_thresholds(self) -> tuple[Threshold, ...]:
        return self.thresholds if ITEM_NEIGHBOURS in self.reads else (HAMMING_RADIUS,)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images and source.plug.filters_images

    @classmethod
    def create(cls, source: SourceInfo) -> Duplicates:
        return cls(cls.settings_of(source), _has_vectors(source.stages), source.tables)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        if stages.duplicates.pdq_radius is not None and not stages.image_stats.pdq:
            yield "stages.duplicates.pdq_radius: no PDQ hashes are computed: set `pdq: true` in stages.image_stats"
        lowest = stages.duplicates.min_cosine
        if _has_vectors(stages) and lowest is not None and lowest < (stored := stages.item_neighbours.min_cosine):
            yield (
                f"stages.duplicates.min_cosine: {lowest:g} is below {stored:g}, the lowest cosine that "
                "stages.item_neighbours.min_cosine writes down: lower that, too"
            )

    def fingerprint_inputs(self) -> dict[str, Any]:
        inputs = self.settings.canonical()
        return inputs if self._min_cosine is not None else {k: v for k, v in inputs.items() if k != "min_cosine"}

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each band of each distinct hash; of equal hashes of a shard the others get the first band.

        With vectors it emits a row with the key of each row's id, too, and one with the key of each neighbour's.
        """
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
        near_rows, near_ids = _near_items(shard, ids, self._min_cosine)
        near_keys = tag_keys(split_ids(near_ids)[1], _NEIGHBOUR_BAND)
        rows = np.concatenate([band_rows, pdq_rows, without, near_rows])
        columns = {
            "key": np.concatenate([band_keys, pdq_keys, id_keys, near_keys]),
            "hash": np.where(usable, hashes, 0)[rows],
            "row_address": shard.row_addresses[rows],
            "item_id": ids.take(rows),
            "pixels": (_numbers(inspected, "width", np.int64) * _numbers(inspected, "height", np.int64))[rows],
            "compression_loss": _numbers(inspected, "compression_loss", np.float32)[rows],
            "bytes": _numbers(inspected, "bytes", np.int64)[rows],
            "sharpness": _numbers(inspected, "sharpness", np.float32)[rows],
        }
        if self._by_pdq:
            columns["pdq"] = _hash_column(pdq[rows])
        if self._min_cosine is not None:
            columns["neighbour"] = pa.concat_arrays([pa.nulls(len(rows) - len(near_rows), ITEM_ID), near_ids])
        return pa.table(columns)

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
            if band in (_ID_BAND, _NEIGHBOUR_BAND):
                pairs = _equal_ids(one_array(rows.column(_ID_COLUMNS[band])).take(in_band))
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
        pdq = _words(items.column("pdq")) if self._by_pdq else None
        near = NearImages(
            items.column("hash").to_numpy(),
            self._radius,
            split_ids(ids),
            _neighbour_pairs(reduced),
            pdq,
            self._settings.pdq_radius or 0,
        )
        best = near.representatives(component, _best_first(component, items, ids))
        representatives = ids.take(pa.array(best))
        kept = pa.array(best == np.arange(len(addresses)))
        by_hash = pa.array(near.by_hash(np.arange(len(best)), best))
        reason = pc.if_else(by_hash, "near_duplicate", "semantic_duplicate")
        reason = pc.if_else(pc.equal(ids, representatives), "exact_duplicate", reason)
        return pa.table(
            {
                "row_address": addresses,
                "representative": representatives,
                "status": pc.if_else(kept, str(Status.KEPT), str(Status.DUPLICATE)),
                "reason": pc.if_else(kept, "", reason),
            }
        )


def _has_vectors(stages: Any) -> bool:
    """Returns whether settings of stages have an encoder of items."""
    settings = getattr(stages, ITEM_VECTORS, None)
    return settings is not None and settings.encoder is not None


def _near_items(shard: Shard, ids: pa.Array, min_cosine: float | None) -> tuple[Places, pa.Array]:
    """Returns the rows of a shard with vectors, each with the ids of the items that are near to it and with its own."""
    if min_cosine is None or ITEM_NEIGHBOURS not in shard.tables:
        return np.zeros(0, np.int64), pa.array([], ITEM_ID)
    lists = one_array(shard[ITEM_NEIGHBOURS].column("neighbours"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    entries = lists.flatten()
    near = np.flatnonzero(entries.field("cosine").to_numpy() >= np.float32(min_cosine))
    has_vector = np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False))
    rows = np.concatenate([np.repeat(np.arange(len(lists)), counts)[near], has_vector])
    self_ids = ids.take(pa.array(has_vector))
    return rows, pa.concat_arrays([entries.field("item_id").take(pa.array(near)), self_ids])


def _neighbour_pairs(reduced: pa.Table) -> tuple[Ids, Ids]:
    """Returns the ids of both items of each pair that is near by its vectors, uint64[2, m] each."""
    if "neighbour" not in reduced.column_names:
        return np.zeros((2, 0), np.uint64), np.zeros((2, 0), np.uint64)
    pairs = reduced.select(["item_id", "neighbour"]).filter(reduced.column("neighbour").is_valid())
    return split_ids(pairs.column("item_id")), split_ids(pairs.column("neighbour"))


def _best_first(component: np.ndarray, items: pa.Table, ids: pa.Array) -> Places:
    """Returns the order of items by component, the best first; of equally good items the first is first.

    One key orders all items, whatever their formats, so that the choice does not depend on the order of comparisons.
    """
    high, low = split_ids(ids)
    values = [sign * items.column(name).to_numpy() for name, sign in _RANKING.items()]
    return np.lexsort((low, high, *reversed(values), component))


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
