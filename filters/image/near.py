"""The relation of duplicates among images, by their hashes or by their vectors, and who stands for the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.arrays import Places, RowPairs, ranges
from corpus.hamming import pairs_within_radius
from corpus.hamming256 import Hashes256, differing_bits, near_pairs
from corpus.item_ids import Ids, find_ids, unique_ids

_Mask = npt.NDArray[np.bool_]
# Rows that are near each other by one thing that they have: the node of each row, -1 where it has none (int64[n]); and
# for each node those that are near it (starts, int64[nodes + 1], of runs of nodes). Rows of one node are near.
_Relation = tuple[Places, Places, Places]

_MAX_ROUNDS_ROWS = 2048  # the largest component that is taken in rounds: each round reads all rows that are left of it


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
        is_large = np.bincount(component)[component[order]] > _MAX_ROUNDS_ROWS
        self._take_rounds(representative, component, order[~is_large])
        if is_large.any():
            in_turn = order[is_large]
            representative[in_turn] = in_turn[first_near(self._relations(in_turn))]
        return representative

    def _take_rounds(self, representative: Places, component: Places, remaining: Places) -> None:
        """Finds the representatives of rows in order, in place: the first one of each component in each round."""
        while len(remaining):
            is_first = np.append(True, np.diff(component[remaining]) != 0)
            chosen = remaining[is_first]
            best = chosen[np.cumsum(is_first) - 1]
            near = self._near_chosen(remaining, best, chosen)
            representative[remaining[near]] = best[near]
            remaining = remaining[~near]

    def _relations(self, rows: Places) -> list[_Relation]:
        """Returns by what rows may be near each other: their vectors, their pHashes, their PDQ hashes."""
        hashes, nodes = np.unique(self._hashes[rows], return_inverse=True)
        usable = hashes != 0
        near = list(pairs_within_radius(hashes[usable], self._radius))
        first = int(np.count_nonzero(~usable))  # 0, which is no hash, comes first
        relations = [(self._item[rows], self._starts, self._near), _relation(nodes - first, len(hashes) - first, near)]
        if self._pdq is not None:
            long, nodes = np.unique(self._pdq[rows], axis=0, return_inverse=True)
            compared = np.flatnonzero(long.any(axis=1))
            number = np.full(len(long), -1)
            number[compared] = np.arange(len(compared))
            near = list(near_pairs(np.ascontiguousarray(long[compared]), self._pdq_radius))
            relations.append(_relation(number[nodes.reshape(-1)], len(compared), near))
        return relations

    def _near_chosen(self, rows: Places, best: Places, chosen: Places) -> _Mask:
        """Returns whether each row is near to best[i], bool[m]; `chosen` has each of these once.

        Near items have one component, so an item has a near vector of one of `chosen` at the most.
        """
        items = self._item[chosen]
        counts = self._starts[items + 1] - self._starts[items]
        self._linked[self._near[ranges(self._starts[items], counts)]] = np.repeat(chosen, counts)
        same = self._item[rows] == self._item[best]
        return np.asarray(same | (self._linked[self._item[rows]] == best) | self.by_hash(rows, best))


def _relation(nodes: Places, count: int, pairs: list[RowPairs]) -> _Relation:
    """Returns the relation of rows by their nodes (below 0: none) and the pairs of nodes that are near."""
    a, b = (np.concatenate([np.zeros(0, np.int64), *(pair[side] for pair in pairs)]) for side in (0, 1))
    one, other = np.append(a, b), np.append(b, a)
    order = np.argsort(one, kind="stable")
    starts = np.searchsorted(one[order], np.arange(count + 1)).astype(np.int64)
    return np.maximum(nodes, -1), starts, other[order]


def first_near(relations: list[_Relation]) -> Places:
    """Returns for each of n rows, the best first, the first kept row that is near it by any relation, int64[n].

    A row is kept, and its own first, unless a kept one is near. One row after the other: linear in the rows and the
    pairs of near nodes.
    """
    columns = [(nodes.tolist(), starts.tolist(), near.tolist()) for nodes, starts, near in relations]
    kept = [[-1] * (len(starts) - 1) for _, starts, _ in columns]  # of each node, the first of its rows that is kept
    found = []
    for row in range(len(relations[0][0])):
        best = row
        for (nodes, starts, near), first in zip(columns, kept, strict=True):
            node = nodes[row]
            if node >= 0:
                for each in (node, *near[starts[node] : starts[node + 1]]):
                    if -1 < first[each] < best:
                        best = first[each]
        found.append(best)
        if best == row:
            for (nodes, _, _), first in zip(columns, kept, strict=True):
                if nodes[row] >= 0 and first[nodes[row]] < 0:
                    first[nodes[row]] = row
    return np.array(found, np.int64)
