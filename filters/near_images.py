"""The relation of duplicates among images, by their hashes or by their vectors, and who stands for the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.arrays import Places, ranges
from corpus.hamming256 import Hashes256, differing_bits
from corpus.item_ids import Ids, find_ids, unique_ids

_Mask = npt.NDArray[np.bool_]


class NearImages:
    """The relation of duplicates among n images: the same item, a hash within its radius, or a near vector.

    `hashes` are pHashes, uint64[n], 0 for one that is not compared; `pdq` PDQ hashes, zeros for one that is not.
    `pairs` has the ids of items whose vectors are near, uint64[2, m] twice; each is near both ways.
    """

    def __init__(
        self,
        hashes: npt.NDArray[np.uint64],
        radius: int,
        ids: Ids,
        pairs: tuple[Ids, Ids],
        pdq: Hashes256 | None = None,
        pdq_radius: int = 0,
    ) -> None:
        self._hashes, self._radius = hashes, radius
        self._pdq, self._pdq_radius = pdq, pdq_radius
        known = unique_ids([ids])
        self._item = find_ids(known, ids)  # the number of each row's item
        a, b = (find_ids(known, each) for each in pairs)
        listed = (a >= 0) & (b >= 0)  # the others are near to an item that an earlier stage has removed
        both_ways = np.stack([np.append(a[listed], b[listed]), np.append(b[listed], a[listed])])
        both_ways = both_ways[:, np.argsort(both_ways[0], kind="stable")]
        self._near = both_ways[1]
        self._starts = np.searchsorted(both_ways[0], np.arange(known.shape[1] + 1)).astype(np.int64)
        self._linked = np.full(known.shape[1], -1, np.int64)  # the representative that was last near to each item

    def by_hash(self, a: Places, b: Places) -> _Mask:
        """Returns whether two rows are near by a hash that both have, bool[m]."""
        one, other = self._hashes[a], self._hashes[b]
        near = (one != 0) & (other != 0) & (np.bitwise_count(one ^ other) <= self._radius)
        if self._pdq is not None:
            long, other_long = self._pdq[a], self._pdq[b]
            both = long.any(axis=1) & other_long.any(axis=1)
            near |= both & (differing_bits(long, other_long) <= self._pdq_radius)
        return np.asarray(near)

    def representatives(self, component: Places, order: Places) -> Places:
        """Returns the representative of each item, int64[n]; `order` sorts the items by component, the best first.

        In each round the first remaining item of each component becomes a representative of the remaining ones that
        are near it.
        """
        representative = np.arange(len(component))
        remaining = order
        while len(remaining):
            is_first = np.append(True, np.diff(component[remaining]) != 0)
            chosen = remaining[is_first]
            best = chosen[np.cumsum(is_first) - 1]
            near = self._near_chosen(remaining, best, chosen)
            representative[remaining[near]] = best[near]
            remaining = remaining[~near]
        return representative

    def _near_chosen(self, rows: Places, best: Places, chosen: Places) -> _Mask:
        """Returns whether each row is near to best[i], bool[m]; `chosen` has each of these once.

        Near items have one component, so an item has a near vector of one of `chosen` at the most.
        """
        items = self._item[chosen]
        counts = self._starts[items + 1] - self._starts[items]
        self._linked[self._near[ranges(self._starts[items], counts)]] = np.repeat(chosen, counts)
        same = self._item[rows] == self._item[best]
        return np.asarray(same | (self._linked[self._item[rows]] == best) | self.by_hash(rows, best))
