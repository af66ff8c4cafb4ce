"""The false negatives of pairs that mining found: in samples, in batches, and as numbers of the published pairs.

`pipelines.pairs.clusters` lists pairs with equal or nearly equal sides, `mining.false_negatives` those that are too
near to be negatives. A sample names both; the order of samples keeps the latter out of each other's batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import Ints
from corpus.item_ids import find_ids, split_ids
from corpus.schema import ITEM_ID, MAX_FALSE_NEGATIVES, MINED_FALSE_NEGATIVES


@dataclass(frozen=True, eq=False)
class PairLinks:
    """Pairs of published pairs, by their places in published order: `pair` must not have `other` as a negative."""

    pair: Ints  # [e]
    other: Ints  # [e]

    @staticmethod
    def none() -> PairLinks:
        """Returns no links."""
        return PairLinks(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.pair)

    def ordered(self, order: Ints) -> PairLinks:
        """Returns the same links where the pair order[i] is published as number i."""
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return PairLinks(place[self.pair], place[self.other])

    def together(self, batch_size: int) -> np.ndarray:
        """Returns which links are within one batch, bool[e]."""
        return np.asarray(self.pair // batch_size == self.other // batch_size)

    def met(self, batch_size: int) -> int:
        """Counts the pairs that are in one batch with another that they are linked to."""
        both = self.together(batch_size)
        return len(np.unique(np.concatenate([self.pair[both], self.other[both]])))


def links_of(rows: pa.Table, places: Ints, ids: np.ndarray, place_of: Ints) -> PairLinks:
    """Returns the links of rows of tables, which are published at `places`.

    `ids` of all candidates, uint64[2, n] and ascending; `place_of` each is its place in published order, -1: none.
    """
    name = MINED_FALSE_NEGATIVES.name
    if name not in rows.column_names:
        return PairLinks.none()
    lists = rows.column(name).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    pair, candidate = np.repeat(places, lengths), find_ids(ids, split_ids(lists.flatten()))
    other = np.where(candidate >= 0, place_of[candidate], -1)
    known = (other >= 0) & (other != pair)
    return PairLinks(pair[known].astype(np.int64), other[known].astype(np.int64))


def concatenate_links(parts: list[PairLinks]) -> PairLinks:
    """Joins the links of several tables."""
    parts = [PairLinks.none(), *parts]
    return PairLinks(np.concatenate([part.pair for part in parts]), np.concatenate([part.other for part in parts]))


def sample_false_negatives(pairs: pa.Table) -> list[list[bytes]]:
    """Returns the ids of at most 32 false negatives of each pair: those of its clusters, then those of mining."""
    listed = [
        pc.fill_null(pairs.column(name), pa.scalar([], pa.list_(ITEM_ID))).to_pylist()
        for name in ("false_negatives", MINED_FALSE_NEGATIVES.name)
        if name in pairs.column_names
    ]
    if not listed:
        return [[]] * pairs.num_rows
    return [list(dict.fromkeys(chain(*lists)))[:MAX_FALSE_NEGATIVES] for lists in zip(*listed, strict=True)]
