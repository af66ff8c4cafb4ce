"""Stage `text_duplicates`: of the pairs that say the same, one is kept.

Same are pairs whose query and positive are equal, case, blanks and the end's punctuation put aside (exact), and pairs
of which both sides are nearly the same (near). Sides with images are only the same as sides with the same images.
"Same" is carried on: where A is like B and B like C, all three are one family.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.hashing import mix64
from corpus.schema import Status
from corpus.stage import ROWS, Gives, Shard, ShuffleStage, SourceInfo
from corpus.text.keys import list_keys, one_array, side_keys
from corpus.text.minhash import Shingles, shingles, signatures
from corpus.text.near import (
    Pairs,
    TextNearSettings,
    band_plan,
    jaccard_at_least,
    shared_keys,
    signature_band_keys,
    smallest_values,
    unique_pairs,
)
from corpus.union_find import UnionFind, components

_NEAR = np.uint64(1 << 63)  # in a key: of a band, else of the pair itself
TEXTS = "texts"
_SIDES = ("query", "positive")


class TextDuplicatesSettings(TextNearSettings):
    """What counts as the same pair. `min_jaccard` holds for each side by itself."""

    near: bool = Field(True, description="else only equal ones are looked for")


class TextDuplicates(ShuffleStage):
    """Keeps the first row of each family, in the order of sources, shards and rows.

    If both sides have a Jaccard similarity of at least t, so has the union of their shingles, those of the two sides
    told apart. So a pair has one signature, and few pairs are compared that share a popular passage or answer only.

    The shuffle carries a row for each pair, and for each of its bands (of those that are equal in a shard, for the
    first alone) one with its sets of shingles: 4 bytes for each word of its texts, and 40. What comes back to one place
    are the members of families, 24 bytes each, at most once for each band.
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
    schema = pa.schema([pa.field("representative", pa.int64())])  # its ordinal × 2³² + row; null: the pair is alone

    def __init__(self, settings: TextDuplicatesSettings, table: str = ROWS) -> None:
        """`table`: where the sides are, as the source gives them or as the stage `texts` cleaned them."""
        super().__init__(settings)
        self._near = settings
        self._table = table
        self.reads = (table,)

    @classmethod
    def create(cls, source: SourceInfo) -> TextDuplicates:
        return cls(cls.settings_of(source), TEXTS)

    def map(self, shard: Shard) -> pa.Table:
        """A row for each pair by its whole content, and one for each band of each different pair."""
        rows = shard[self._table]
        pair = side_keys(rows.column("query")) + mix64(side_keys(rows.column("positive")))
        emitted = [_emitted(pair[:, 0] & ~_NEAR, shard.row_addresses, pair[:, 1], _no_sets(len(rows)))]
        if self._near.near and len(rows):
            first = np.sort(np.unique(pair[:, 0], return_index=True)[1])
            emitted.append(self._bands(rows.take(first), shard.row_addresses[first], pair[first, 1]))
        return pa.concat_tables(emitted)

    def _bands(self, rows: pa.Table, nodes: np.ndarray, pair: np.ndarray) -> pa.Table:
        sides = [one_array(rows.column(name)) for name in _SIDES]
        sets = [shingles(pc.struct_field(side, "text"), self._near.shingle_words) for side in sides]
        images = [list_keys(pc.struct_field(side, "images")) for side in sides]
        bands, height = band_plan(self._near)
        signed = [signatures(each, bands * height, tag=tag) for tag, each in enumerate(sets)]
        keys = signature_band_keys(np.minimum(*signed), bands, height)
        keys = mix64(keys + mix64(images[0] + mix64(images[1]))[:, None]) | _NEAR
        which = np.repeat(np.arange(len(rows)), bands)
        samples = [each.smallest(self._near.max_shingles).to_lists().take(pa.array(which)) for each in sets]
        return _emitted(keys.ravel(), nodes[which], pair[which], samples)

    def reduce(self, rows: pa.Table) -> pa.Table:
        """The members of each family found among rows that share keys, each with the `root` node of its family."""
        keys = rows.column("key").to_numpy()
        nodes, place, member = np.unique(rows.column("row_address").to_numpy(), return_index=True, return_inverse=True)
        by_content = (keys & _NEAR) == 0
        families = UnionFind(len(nodes))
        same = np.flatnonzero(by_content)
        families.union(*_equal(keys[same], rows.column("pair").to_numpy()[same], member[same]))
        families.union(*self._near_pairs(rows, np.flatnonzero(~by_content), member, len(nodes)))
        labels = families.labels()
        members = np.flatnonzero(np.bincount(labels, minlength=len(nodes))[labels] > 1)
        found = rows.select(["row_address", "pair"]).take(place[members])
        return found.append_column("root", pa.array(nodes[labels[members]]))

    def _near_pairs(self, rows: pa.Table, banded: np.ndarray, member: np.ndarray, members: int) -> Pairs:
        """Near pairs of members, of those of the rows that are `banded`."""
        place = np.zeros(members, np.int64)
        place[member[banded[::-1]]] = banded[::-1]
        with_sets = np.unique(member[banded])  # members that have sets, in order
        query, positive = (Shingles.of_lists(rows.column(name).take(place[with_sets])) for name in _SIDES)
        item = np.searchsorted(with_sets, member[banded])
        # In a bucket that is too large: rows with like positives near each other, and of those the like queries.
        similarity_order = (smallest_values(positive).astype(np.uint64) << np.uint64(32)) | smallest_values(query)
        keys = rows.column("key").to_numpy()[banded]
        candidates = shared_keys(keys, item, similarity_order[item], self._near.max_compared)
        first, second = unique_pairs([candidates], len(with_sets))
        for sets in (query, positive):
            near = jaccard_at_least(sets, first, second, self._near)
            first, second = first[near], second[near]
        return with_sets[first], with_sets[second]

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins what the partitions found into whole families; the first of each stays."""
        addresses = reduced.column("row_address").to_numpy()
        nodes, place, member = np.unique(addresses, return_index=True, return_inverse=True)
        family = components(len(nodes), member, np.searchsorted(nodes, reduced.column("root").to_numpy()))
        pair = reduced.column("pair").to_numpy()[place]
        kept = pa.array(family == np.arange(len(nodes)))
        reason = pc.if_else(pa.array(pair == pair[family]), "exact_pair", "near_pair")
        return pa.table(
            {
                "row_address": nodes,
                "representative": nodes[family],
                "status": pc.if_else(kept, str(Status.KEPT), str(Status.DUPLICATE)),
                "reason": pc.if_else(kept, "", reason),
            }
        )


def _emitted(keys: np.ndarray, nodes: np.ndarray, pair: np.ndarray, sets: list[pa.Array]) -> pa.Table:
    return pa.table({"key": keys, "row_address": nodes, "pair": pair, "query": sets[0], "positive": sets[1]})


def _no_sets(count: int) -> list[pa.Array]:
    return [Shingles(np.empty(0, np.uint32), np.zeros(count + 1, np.int64)).to_lists()] * len(_SIDES)


def _equal(keys: np.ndarray, pair: np.ndarray, member: np.ndarray) -> Pairs:
    """Members that chain rows of the same content together."""
    order = np.lexsort((member, pair, keys))
    keys, pair, member = keys[order], pair[order], member[order]
    equal = (keys[1:] == keys[:-1]) & (pair[1:] == pair[:-1])
    return member[:-1][equal], member[1:][equal]
