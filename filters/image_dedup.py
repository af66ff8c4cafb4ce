"""Stage `duplicates`: of the items that are the same picture, one is kept.

Same are items with equal ids (exact duplicates) and items whose perceptual hashes differ in at most
`hamming_radius` bits (near duplicates). "Same" is not carried on: where A is like B and B like C, A does not stand
for C unless it is like C too. Chains of hashes, each near the next, lead from one picture to quite another, and a
removed item's text may go to the one that stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.hamming import MAX_RADIUS_BITS, Pairs, key_bands, lsh_band_keys, pairs_within_radius, tag_keys
from corpus.item_ids import split_ids
from corpus.schema import ITEM_ID, Status
from corpus.settings import Settings
from corpus.stage import ITEMS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo
from corpus.union_find import UnionFind, components

# A pHash has a bit for each frequency above the median of all 64: half of them, unless many are equal. That they are
# in images that are flat, change in one direction only or are mirror images of themselves; and hashes with few bits set
# lie near each other whatever they show.
_MIN_SET_BITS = 16
_BY_VALUE = {"pixels": -1, "loss": 1, "bytes": -1, "sharpness": -1}  # what decides, in this order: -1: most is best
_DIGEST = 15  # the "band" of rows that have no usable hash: their keys are made of their ids


class DuplicatesSettings(Settings):
    """What counts as the same picture."""

    hamming_radius: int = Field(
        default=4, ge=0, le=MAX_RADIUS_BITS, description="bits of 64 in which pHashes may differ"
    )
    min_contrast: float = Field(
        default=3.0,
        ge=0,
        description="standard deviation of the grey levels; flatter images are compared by bytes only",
    )


class Duplicates(ShuffleStage):
    """Keeps the best of the items that are the same: the largest in pixels, then the one that has lost least by
    compression (`filters.compression_loss`), then the one of most bytes, then the sharpest, then the one with the
    smallest id.

    In this order each item that is the same as none of those kept before it is kept, and every other is a duplicate of
    the first kept one that it is the same as. So no two kept items are near each other, and no item is removed for one
    that is not within the radius of it. Of rows of one and the same item, the first in the order of sources, shards and
    rows is kept. An image whose hash
    tells nothing (see `_MIN_SET_BITS` and `min_contrast`) is a duplicate only of an image with the same bytes.

    The shuffle carries 64 bytes times `hamming_radius` + 1 for each row, and 64 for a row whose hash came before in its
    shard or that has no hash. What comes back to one place are the members of connected families, 64 bytes each, at
    most once for each band; `finalize` takes about 100 bytes more for each while it runs, and compares each member with
    the kept ones of its family until it is near one: mostly one.
    """

    name = "duplicates"
    reads = (ITEMS, "inspect", "quality")
    settings_key = "duplicates"
    settings_type = DuplicatesSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    summary = "the best of all items with the same image: exact and near duplicates, over all sources"
    roles = (VERDICT,)
    schema = pa.schema([pa.field("representative", ITEM_ID)])  # item id; null for an item that is like no other

    def __init__(self, settings: DuplicatesSettings) -> None:
        super().__init__(settings)
        self._radius = settings.hamming_radius
        self._min_contrast = settings.min_contrast

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images and source.plug.filters_images

    def map(self, shard: Shard) -> pa.Table:
        """A row for each band of each hash. Equal hashes of a shard meet in the first band; the others get one."""
        inspected = shard["inspect"]
        hashes = _numbers(inspected, "phash", np.uint64)
        ids = shard[ITEMS].column("item_id").combine_chunks()
        usable = np.bitwise_count(hashes) >= _MIN_SET_BITS
        usable &= _numbers(inspected, "contrast", np.float32) >= self._min_contrast

        hashed = np.flatnonzero(usable)
        keys = lsh_band_keys(hashes[hashed], self._radius)
        wanted = np.zeros(keys.shape, dtype=bool)
        wanted[:, 0] = True
        wanted[np.unique(hashes[hashed], return_index=True)[1]] = True
        rows = np.concatenate([hashed[np.nonzero(wanted)[0]], np.flatnonzero(~usable)])
        return pa.table(
            {
                "key": np.concatenate([keys[wanted], tag_keys(split_ids(ids.filter(pa.array(~usable)))[1], _DIGEST)]),
                "hash": hashes[rows],
                "row_address": shard.row_addresses[rows],
                "item_id": ids.take(rows),
                "pixels": (_numbers(inspected, "width", np.int64) * _numbers(inspected, "height", np.int64))[rows],
                "loss": _numbers(inspected, "loss", np.float32)[rows],
                "bytes": _numbers(inspected, "bytes", np.int64)[rows],
                "sharpness": _numbers(inspected, "sharpness", np.float32)[rows],
            }
        )

    def reduce(self, rows: pa.Table) -> pa.Table:
        """The members of each connected family found among rows that share keys, each with its family's `root` node."""
        bands = key_bands(rows.column("key").to_numpy())
        hashes = rows.column("hash").to_numpy()
        ids = rows.column("item_id").combine_chunks()
        sets = UnionFind(rows.num_rows)
        for band in np.unique(bands).tolist():
            in_band = np.flatnonzero(bands == band)
            by_bytes = band == _DIGEST
            pairs = (
                _equal_ids(ids.take(in_band)) if by_bytes else pairs_within_radius(hashes[in_band], self._radius, band)
            )
            for a, b in pairs:
                sets.union(in_band[a], in_band[b])
        labels = sets.labels()
        members = np.flatnonzero(np.bincount(labels)[labels] > 1)
        found = rows.select(["row_address", "item_id", "hash", *_BY_VALUE]).take(members)
        return found.append_column("root", pa.array(rows.column("row_address").to_numpy()[labels[members]]))

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins what the partitions found into whole families and chooses the representatives within each."""
        addresses = reduced.column("row_address").to_numpy()
        nodes, first, member = np.unique(addresses, return_index=True, return_inverse=True)
        family = components(len(nodes), member, np.searchsorted(nodes, reduced.column("root").to_numpy()))
        items = reduced.take(first)
        ids = items.column("item_id").combine_chunks()
        best = _representatives(family, items, ids, self._radius)
        representatives = ids.take(pa.array(best))
        kept = pa.array(best == np.arange(len(nodes)))
        reason = pc.if_else(pc.equal(ids, representatives), "exact_duplicate", "near_duplicate")
        return pa.table(
            {
                "row_address": nodes,
                "representative": representatives,
                "status": pc.if_else(kept, str(Status.KEPT), str(Status.DUPLICATE)),
                "reason": pc.if_else(kept, "", reason),
            }
        )


def _representatives(family: np.ndarray, items: pa.Table, ids: pa.Array, radius: int) -> np.ndarray:
    """For each item, the position of its representative; earlier positions win what is else equal.

    One key orders all items, whatever their formats are, so the choice does not depend on who is compared first.
    """
    high, low = split_ids(ids)
    values = [sign * items.column(name).to_numpy() for name, sign in _BY_VALUE.items()]
    order = np.lexsort((low, high, *reversed(values), family))
    representative = _first_near(family[order], items.column("hash").to_numpy()[order], radius)
    best = np.empty_like(order)
    best[order] = order[representative]
    return best


def _first_near(family: np.ndarray, hashes: np.ndarray, radius: int) -> np.ndarray:
    """Positions of the representatives of items that lie family by family, the best first: int64[n].

    In each round the first item left of each family becomes a representative, and takes what is left within its radius.
    Items without a usable hash are only in a family with others of the same id, which have the same hash.
    """
    representative = np.arange(len(family))
    remaining = representative.copy()
    while len(remaining):
        is_first = np.append(True, np.diff(family[remaining]) != 0)
        best = remaining[is_first][np.cumsum(is_first) - 1]
        near = np.bitwise_count(hashes[remaining] ^ hashes[best]) <= radius
        representative[remaining[near]] = best[near]
        remaining = remaining[~near]
    return representative


def _equal_ids(ids: pa.Array) -> Iterator[Pairs]:
    """Pairs of positions that chain equal ids together."""
    high, low = split_ids(ids)
    order = np.lexsort((low, high))
    equal = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
    yield order[:-1][equal], order[1:][equal]


def _numbers(table: pa.Table, column: str, kind: type[np.generic]) -> np.ndarray:
    """A column as a numpy array, 0 for null."""
    return pc.fill_null(table.column(column), 0).to_numpy().astype(kind)
