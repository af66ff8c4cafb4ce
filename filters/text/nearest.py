"""The similarity of a pair of texts to the one that is nearest to it: the number that `min_jaccard` cuts.

It is exact, where the stage `text_duplicates` compares what shares a band of MinHash signatures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array, ranges
from corpus.text.keys import list_keys
from corpus.text.minhash import Shingles, shingles
from corpus.thresholds import Bound, Shows, Threshold

_SIDES = ("query", "positive")


@dataclass(frozen=True)
class _Side:
    """The shingles of one side of n pairs, and where each of them comes: an inverted index."""

    sets: Shingles
    images: np.ndarray  # uint64[n], equal for equal images
    values: np.ndarray  # uint32[m], the shingles of all sets, ascending
    rows: np.ndarray  # int64[m], the pair of each

    def similarities(self, row: int) -> np.ndarray:
        """Returns the Jaccard similarity of a pair's side to that of every pair, 0 where the images differ."""
        start, stop = self.sets.offsets[row : row + 2]
        shingle_values = self.sets.values[start:stop]
        first, last = (np.searchsorted(self.values, shingle_values, side) for side in ("left", "right"))
        common = np.bincount(self.rows[ranges(first, last - first)], minlength=len(self.sets))
        union = np.maximum(1, self.sets.sizes + (stop - start) - common)
        return np.where(self.images == self.images[row], common / union, 0.0)


def nearest_by_shingles(rows: pa.Table, queries: np.ndarray, shingle_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the similarity of each query (int64[q]) to the nearest other pair, by the side that is less similar."""
    sides = [_side(one_array(rows.column(name)), shingle_words) for name in _SIDES]
    found, nearest = np.full(len(queries), np.nan), queries.copy()
    for at, row in enumerate(queries.tolist() if len(rows) > 1 else []):
        similar = np.minimum(*(side.similarities(row) for side in sides))
        similar[row] = -1
        nearest[at] = np.argmax(similar)
        found[at] = similar[nearest[at]]
    return found, nearest


def _side(side: pa.StructArray, shingle_words: int) -> _Side:
    sets = shingles(pc.fill_null(pc.struct_field(side, "text"), ""), shingle_words)
    order = np.argsort(sets.values, kind="stable")
    rows = np.repeat(np.arange(len(sets)), sets.sizes)
    return _Side(sets, list_keys(pc.struct_field(side, "images")), sets.values[order], rows[order])


def min_jaccard(shingle_words: int) -> Threshold:
    """Returns the threshold of near duplicates, for shingles of so many words."""
    return Threshold(
        setting="min_jaccard",
        bound=Bound.BELOW,
        table="texts",
        columns=_SIDES,
        nearest=lambda rows, queries: nearest_by_shingles(rows, queries, shingle_words),
        measures="Jaccard similarity of a pair's texts to those of the nearest other pair",
        reason="near_pair",
        shows=Shows.TEXT,
        cost=5,
        note="Of near duplicates one stays, so fewer are removed than are counted here. Each pair is compared with the "
        "rows that were read; among more rows more are near.",
    )
