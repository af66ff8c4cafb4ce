"""Orders a dataset so that a batch consists of communities: pairs whose positives are near to each other's queries.

In-batch negatives drawn at random are easy. B3 (Thirukovalluru et al., 2025, arXiv:2505.11293) therefore builds batches
of communities: a graph joins each pair with those at ranks 30 to 130 of a teacher's search, beyond the ranks that are
often false negatives; communities of 32 pairs are found in it, and a batch is a random choice of communities. B3
partitions the graph with METIS. Here a community grows from a seed, each time by the pair that has most edges to its
members, which needs no library and gives the same result everywhere.

Two pairs with an equal query or positive, or of which one names the other as a false negative, are never in a community
together, and are exchanged between batches as long as that lets fewer of them meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpus.arrays import Ints
from corpus.hashing import GOLDEN, mix64

Near = npt.NDArray[np.int32]

_COMPARED = 16  # candidates with the most edges, of which the edges back are counted, too
_TRIES = 64  # places that are tried for a pair
_ROUNDS = 4
_MASK = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Exclusions:
    """The pairs of n that must not meet in a batch."""

    query: Ints  # int64[n]: equal where queries are; -1 for a query that occurs once
    positive: Ints  # int64[n], the same
    offsets: Ints  # int64[n + 1]: pair i must not meet others[offsets[i] : offsets[i + 1]]
    others: Ints  # int64[k]; each two pairs are there both ways

    @staticmethod
    def of(query: Ints, positive: Ints, first: Ints, second: Ints) -> Exclusions:
        """Returns those of equal sides, and of pairs `first` that name pairs `second` as false negatives (int64[m])."""
        n = len(query)
        both = np.unique(np.concatenate([first * n + second, second * n + first]))
        both = both[both // max(n, 1) != both % max(n, 1)]
        offsets = np.searchsorted(both, np.arange(n + 1) * n)
        return Exclusions(query, positive, offsets, both % max(n, 1))

    def named(self, pair: int) -> Ints:
        """Returns the pairs that it names, or that name it."""
        return self.others[self.offsets[pair] : self.offsets[pair + 1]]

    def meetings(self, batch: Ints) -> int:
        """Counts, over all pairs, the others in their batch that must not be there. `batch`: int64[n]."""
        count = 0
        batches = int(batch.max(initial=-1)) + 1
        cells = []
        for code in (self.query, self.positive):
            place = np.flatnonzero(code >= 0)
            _, members = np.unique(code[place] * batches + batch[place], return_counts=True)
            count += int((members * (members - 1)).sum())
            cells.append(code)
        owner = np.repeat(np.arange(len(batch)), np.diff(self.offsets))
        equal = np.zeros(len(owner), np.bool_)
        for code in cells:
            equal |= (code[owner] >= 0) & (code[owner] == code[self.others])
        return count + int((~equal & (batch[owner] == batch[self.others])).sum())


def grow_communities(near: Near, size: int, exclusions: Exclusions, drawn: npt.NDArray[np.uint64]) -> Ints:
    """Partitions pairs into communities of at most `size`: the community of each pair, int64[n].

    `near`: int32[n, width], the pairs whose positives are near to each pair, -1 for none. Seeds are taken in the order
    of `drawn`. A community takes the pair that most of its members have among their near ones, of the best of these the
    one that has most members among its own, of equals the first pair. A seed with no free neighbour stays alone.

    Holds `near` (4 bytes a pair and rank: 2 GB for 5M pairs with 100 ranks), 16 bytes for each two pairs that must not
    meet, and some 50 bytes a pair. 200,000 pairs with 100 ranks took 27 s on one core of a busy machine, and the time
    grows with the number of pairs: some 11 minutes for 5M.
    """
    n = len(near)
    community = np.full(n, -1, np.int64)
    state = _Growth(near, exclusions, community)
    number = 0
    for seed in np.argsort(drawn, kind="stable").tolist():
        if community[seed] < 0:
            state.grow(seed, number, size)
            number += 1
    return community


class _Growth:
    """Grows one community at a time. Its arrays over all pairs are cleared where they were written to."""

    def __init__(self, near: Near, exclusions: Exclusions, community: Ints) -> None:
        self._near = near
        self._exclusions = exclusions
        self._community = community
        self._votes = np.zeros(len(near), np.int32)
        self._member = np.zeros(len(near) + 1, np.bool_)  # the last one is for -1
        self._refused = np.zeros(len(near), np.bool_)

    def grow(self, seed: int, number: int, size: int) -> None:
        """Makes the community of this number, of free pairs."""
        members, touched, refused = [seed], list[Ints](), list[Ints]()
        sides = (self._exclusions.query, self._exclusions.positive)
        used: tuple[set[int], set[int]] = (set(), set())
        while True:
            pair = members[-1]
            self._community[pair], self._member[pair] = number, True
            for code, of_side in zip(sides, used, strict=True):
                of_side.add(int(code[pair]))
            named = self._exclusions.named(pair)
            self._refused[named] = True
            refused.append(named)
            if len(members) == size:
                break
            near = self._near[pair]
            near = near[near >= 0]
            near = near[self._community[near] < 0].astype(np.int64)
            touched.append(near[self._votes[near] == 0])
            self._votes[near] += 1
            chosen = self._best(np.concatenate(touched), sides, used)
            if chosen < 0:
                break
            members.append(chosen)
        self._member[members] = False
        for each in touched:
            self._votes[each] = 0
        for each in refused:
            self._refused[each] = False

    def _best(self, candidates: Ints, sides: tuple[Ints, Ints], used: tuple[set[int], set[int]]) -> int:
        candidates = candidates[(self._community[candidates] < 0) & ~self._refused[candidates]]
        for code, of_side in zip(sides, used, strict=True):
            side_codes = code[candidates]
            if (side_codes >= 0).any():
                candidates = candidates[(side_codes < 0) | ~np.isin(side_codes, list(of_side))]
        if not len(candidates):
            return -1
        votes = self._votes[candidates]
        if len(candidates) > _COMPARED:
            merit = votes.astype(np.int64) * len(self._near) - candidates  # no two the same
            best = np.argpartition(-merit, _COMPARED)[:_COMPARED]
            candidates, votes = candidates[best], votes[best]
        mutual = votes + self._member[self._near[candidates]].sum(axis=1)
        return int(candidates[np.lexsort((candidates, -mutual))[0]])


def separate(order: Ints, batch_size: int, exclusions: Exclusions, drawn: npt.NDArray[np.uint64]) -> None:
    """Exchanges pairs of `order`, in place, while that lets fewer meet in a batch that must not.

    Tries are drawn by the pairs' own random numbers, so the result depends on nothing else.
    """
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    codes = (exclusions.query, exclusions.positive)
    held: list[dict[tuple[int, int], int]] = [{}, {}]
    for code, many in zip(codes, held, strict=True):
        for pair in np.flatnonzero(code >= 0).tolist():
            cell = (int(code[pair]), int(place[pair]) // batch_size)
            many[cell] = many.get(cell, 0) + 1

    def met(pair: int, batch: int, without: int = -1) -> int:
        """Counts the pairs in a batch that a pair must not meet, save itself and one that leaves."""
        found = 0
        here = int(place[pair]) // batch_size == batch
        for code, many in zip(codes, held, strict=True):
            side = int(code[pair])
            if side >= 0:
                found += many.get((side, batch), 0) - here - (without >= 0 and int(code[without]) == side)
        named = exclusions.named(pair)
        return found + int(((place[named] // batch_size == batch) & (named != without)).sum())

    def move(pair: int, at: int) -> None:
        for code, many in zip(codes, held, strict=True):
            side = int(code[pair])
            if side >= 0:
                many[side, int(place[pair]) // batch_size] -= 1
                many[side, at // batch_size] = many.get((side, at // batch_size), 0) + 1
        order[at], place[pair] = pair, at

    for step in range(_ROUNDS):
        crowded = _meeting(order, place, batch_size, exclusions).tolist()
        if not crowded:
            return
        for pair, seed in zip(crowded, mix64(drawn[crowded] ^ np.uint64(step + 1)).tolist(), strict=True):
            home_batch = int(place[pair]) // batch_size
            before = met(pair, home_batch)
            for number in range(_TRIES if before else 0):
                at = ((seed + number * int(GOLDEN)) & _MASK) * len(order) >> 64
                other, batch = int(order[at]), at // batch_size
                if batch == home_batch:
                    continue
                if before + met(other, batch) > met(pair, batch, other) + met(other, home_batch, pair):
                    home = int(place[pair])
                    move(pair, at)
                    move(other, home)
                    break


def _meeting(order: Ints, place: Ints, batch_size: int, exclusions: Exclusions) -> Ints:
    """Returns the pairs that meet one in their batch that they must not, in order."""
    batch = place // batch_size
    batches = -(-len(order) // batch_size)
    found = np.zeros(len(order), np.bool_)
    for code in (exclusions.query, exclusions.positive):
        pairs = np.flatnonzero(code >= 0)
        _, cell, counts = np.unique(code[pairs] * batches + batch[pairs], return_inverse=True, return_counts=True)
        found[pairs] |= counts[cell] > 1
    owner = np.repeat(np.arange(len(order)), np.diff(exclusions.offsets))
    found[owner[batch[owner] == batch[exclusions.others]]] = True
    return order[found[order]]
