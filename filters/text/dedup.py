"""The stage `text_duplicates` finds exact and near duplicates among pairs of texts, and keeps one of each cluster.

Exact duplicates are pairs whose query and positive are equal but for case, whitespace and final punctuation; near
duplicates are pairs of which both sides have similar shingles (MinHash). Sides with images are duplicates only of sides
with the same images. Clusters are connected components: where A is like B and B like C, all three are one cluster.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import RowPairs, one_array
from corpus.hashing import mix64
from corpus.schema import Status
from corpus.stage import ROWS, Gives, Shard, ShuffleStage, SourceInfo
from corpus.text.keys import list_keys, side_keys
from corpus.text.minhash import (
    BAND_TAG,
    Shingles,
    TextNearSettings,
    band_plan,
    near_pairs_of_bands,
    shingles,
    signature_band_keys,
    signatures,
)
from corpus.thresholds import Threshold
from corpus.union_find import UnionFind, components
from filters.text.nearest import min_jaccard

TEXTS = "texts"
_SIDES = ("query", "positive")


class TextDuplicatesSettings(TextNearSettings):
    """Settings of the stage `text_duplicates`. `min_jaccard` holds for each side by itself."""

    near_duplicates: bool = Field(
        True, description="Whether near duplicates are removed as well; false removes equal pairs only."
    )


class TextDuplicates(ShuffleStage):
    """The shuffle stage that keeps the first row of each cluster, in the order of sources, shards and rows.

    If both sides of two pairs have a Jaccard similarity of at least t, so has the union of their shingles, with those
    of the two sides kept distinct. So a pair has one signature, and few pairs are compared that share only a popular
    passage or answer.

    The shuffle carries one row for each pair, and one for each of its bands (only for the first of equal pairs of a
    shard) with its shingles: 4 bytes for each word of its texts, and 40. `finalize` gets the members of clusters, 24
    bytes each, at most once for each band.
    """

    name = "text_duplicates"
    reads = (TEXTS,)
    settings_key = "text_duplicates"
    settings_type = TextDuplicatesSettings
    over = frozenset({Gives.PAIRS})
    summary = (
        "the pair with equal or nearly equal texts that stays (MinHash; signs such as + < % ★ count as words), over "
        "all sources"
    )
    reasons = {"exact_pair": "another pair has equal texts and images"}
    schema = pa.schema([pa.field("representative", pa.int64())])  # its ordinal × 2³² + row; null: the pair is alone
    address_columns = ("representative",)
    emitted_addresses = {"row_address": 1}
    edge_columns = ("row_address", "root")

    thresholds = (min_jaccard(TextDuplicatesSettings().shingle_words),)

    def __init__(self, settings: TextDuplicatesSettings, table: str = ROWS) -> None:
        """`table`: the table with the sides, the source's rows or the cleaned ones of the stage `texts`."""
        super().__init__(settings)
        self._near = settings
        self._table = table
        self.keeps_emitted = settings.keep_emitted
        self.reads = (table,)

    @classmethod
    def create(cls, source: SourceInfo) -> TextDuplicates:
        return cls(cls.settings_of(source), TEXTS)

    def active_thresholds(self) -> tuple[Threshold, ...]:
        return (min_jaccard(self._near.shingle_words),) if self._near.near_duplicates else ()

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each pair by its content, and one for each band of each distinct pair."""
        rows = shard[self._table]
        pair = side_keys(rows.column("query")) + mix64(side_keys(rows.column("positive")))
        emitted = [_emitted(pair[:, 0] & ~BAND_TAG, shard.row_addresses, pair[:, 1], _no_sets(len(rows)))]
        if self._near.near_duplicates and len(rows):
            first = np.sort(np.unique(pair[:, 0], return_index=True)[1])
            emitted.append(self._bands(rows.take(first), shard.row_addresses[first], pair[first, 1]))
        return pa.concat_tables(emitted)

    def _bands(self, rows: pa.Table, addresses: np.ndarray, pair: np.ndarray) -> pa.Table:
        sides = [one_array(rows.column(name)) for name in _SIDES]
        sets = [shingles(pc.struct_field(side, "text"), self._near.shingle_words) for side in sides]
        images = [list_keys(pc.struct_field(side, "images")) for side in sides]
        bands, height = band_plan(self._near)
        signed = [signatures(each, bands * height, tag=tag) for tag, each in enumerate(sets)]
        keys = signature_band_keys(np.minimum(*signed), bands, height)
        keys = mix64(keys + mix64(images[0] + mix64(images[1]))[:, None]) | BAND_TAG
        pair_rows = np.repeat(np.arange(len(rows)), bands)
        samples = [each.smallest(self._near.max_shingles).to_lists().take(pa.array(pair_rows)) for each in sets]
        return _emitted(keys.ravel(), addresses[pair_rows], pair[pair_rows], samples)

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the members of each connected component of rows that share keys, with the component's `root`."""
        keys = rows.column("key").to_numpy()
        addresses, place, member = np.unique(
            rows.column("row_address").to_numpy(), return_index=True, return_inverse=True
        )
        by_content = (keys & BAND_TAG) == 0
        sets = UnionFind(len(addresses))
        same = np.flatnonzero(by_content)
        sets.union(*_equal(keys[same], rows.column("pair").to_numpy()[same], member[same]))
        banded = np.flatnonzero(~by_content)
        shingle_lists = [rows.column(name).take(banded) for name in _SIDES]
        sets.union(*near_pairs_of_bands(keys[banded], member[banded], shingle_lists, self._near))
        labels = sets.labels()
        members = np.flatnonzero(np.bincount(labels, minlength=len(addresses))[labels] > 1)
        matched = rows.select(["row_address", "pair"]).take(place[members])
        return matched.append_column("root", pa.array(addresses[labels[members]]))

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins the clusters of all partitions and keeps the first row of each."""
        addresses = reduced.column("row_address").to_numpy()
        addresses, place, member = np.unique(addresses, return_index=True, return_inverse=True)
        component = components(len(addresses), member, np.searchsorted(addresses, reduced.column("root").to_numpy()))
        pair = reduced.column("pair").to_numpy()[place]
        kept = pa.array(component == np.arange(len(addresses)))
        reason = pc.if_else(pa.array(pair == pair[component]), "exact_pair", "near_pair")
        return pa.table(
            {
                "row_address": addresses,
                "representative": addresses[component],
                "status": pc.if_else(kept, str(Status.KEPT), str(Status.DUPLICATE)),
                "reason": pc.if_else(kept, "", reason),
            }
        )


def _emitted(keys: np.ndarray, addresses: np.ndarray, pair: np.ndarray, sets: list[pa.Array]) -> pa.Table:
    return pa.table({"key": keys, "row_address": addresses, "pair": pair, "query": sets[0], "positive": sets[1]})


def _no_sets(count: int) -> list[pa.Array]:
    return [Shingles(np.empty(0, np.uint32), np.zeros(count + 1, np.int64)).to_lists()] * len(_SIDES)


def _equal(keys: np.ndarray, pair: np.ndarray, member: np.ndarray) -> RowPairs:
    """Returns pairs of members that link rows of the same content."""
    order = np.lexsort((member, pair, keys))
    keys, pair, member = keys[order], pair[order], member[order]
    equal = (keys[1:] == keys[:-1]) & (pair[1:] == pair[:-1])
    return member[:-1][equal], member[1:][equal]
