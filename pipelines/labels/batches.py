"""How many members of each label go into which batch: as few equal or related labels together as possible.

The cost of an allotment is what a trainer sees as false negatives: for each batch the ordered pairs of members whose
labels are equal or related. The k-th member of a label in a batch that has h members of related labels adds
2 (k - 1 + h) to it. So with everything else in place the cheapest allotment of one label is found by pouring: its
members go, one after the other, where k + h is lowest, as water finds its level. Labels without relatives are poured
once and are then as even as can be. Related labels are poured again and again, each around the others, until nothing
changes: a descent in blocks, which finds that dogs and their breeds fit into different batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from corpus.hashing import mix64

Counts = npt.NDArray[np.int64]

ROUNDS = 12  # of pouring related labels; they settle in three to six
_RELATED_CELLS = 16  # numbers held per pair for labels with relatives, at most
_VISITS = 60_000  # of pouring, related labels, all rounds together: some ten seconds
_CHAIN = 32  # batches that are put in the order in which related labels meet least


class Room:
    """What is still free in each of `batches` batches of `size` members."""

    def __init__(self, batches: int, size: int) -> None:
        self.free = np.full(batches, size, np.int64)
        self._numbers = np.arange(batches, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)

    def chance(self, seed: np.uint64) -> npt.NDArray[np.uint64]:
        """A number for each batch that looks random: what decides where nothing else does."""
        return mix64(self._numbers ^ seed)


def pour(amount: int, height: Counts, room: Counts, ties: Sequence[npt.NDArray[np.generic]]) -> Counts:
    """int64[batches]: `amount` members over batches of that `room`, each in turn where height + members is lowest.

    `height`: int64[batches], members of related labels. `ties`: keys of np.lexsort, the last one counts most; the
    lowest go first. The room must suffice.
    """
    low, high = int(height.min()), int(height.max()) + amount + 1
    while high - low > 1:  # the highest level that `amount` fills up, low: filled, high: too much
        level = (low + high) // 2
        if int(np.minimum(np.maximum(level - height, 0), room).sum()) <= amount:
            low = level
        else:
            high = level
    poured = np.minimum(np.maximum(low - height, 0), room)
    over = amount - int(poured.sum())
    if over:
        open_ones = np.flatnonzero((height <= low) & (poured < room))
        poured[open_ones[np.lexsort([key[open_ones] for key in ties])[:over]]] += 1
    return poured


def allot_related(
    counts: Counts, related: npt.NDArray[np.integer], seeds: npt.NDArray[np.uint64], room: Room, reserved: int
) -> dict[int, Counts]:
    """Label -> int64[batches], for the labels with relatives; takes their members out of the room.

    `related`: int[m, 2], pairs of labels, each pair once. `reserved` members of each batch stay free for others. Where
    there are more labels with relatives than memory is spent on, those of the rarest labels are passed over.
    """
    batches, most = len(room.free), _RELATED_CELLS * int(room.free.sum())
    edges = related[(counts[related] > 0).all(axis=1)]
    weight = np.zeros(len(counts), np.int64)  # related members, for each of the label's
    np.add.at(weight, edges[:, 0], counts[edges[:, 1]])
    np.add.at(weight, edges[:, 1], counts[edges[:, 0]])
    labels = np.flatnonzero(weight)
    if len(labels) * batches > most:
        labels = np.sort(labels[np.argsort(-(weight * counts)[labels], kind="stable")[: max(1, most // batches)]])
    neighbours = _neighbours(labels, edges, len(counts))
    # Labels with few relatives first, beside others of the same kin; the hubs go where there is none of it.
    order = np.argsort([weight[label] for label in labels], kind="stable").tolist()
    mine = np.zeros((len(labels), batches), np.int32)
    near = np.zeros_like(mine)  # members of related labels
    room.free -= reserved
    for _ in range(min(ROUNDS, max(2, _VISITS // max(1, len(labels))))):
        changed = False
        for at in order:
            others = neighbours[at]
            before = mine[at].astype(np.int64)
            room.free += before
            # Among equals the batch whose members have the same relatives: who stay away from it together.
            kin = counts[labels[others]] @ near[others] if len(others) else np.zeros(batches, np.int64)
            ties = (room.chance(seeds[labels[at]]), -room.free, -before, -kin)
            after = pour(int(counts[labels[at]]), near[at].astype(np.int64), room.free, ties)
            room.free -= after
            if (after != before).any():
                changed = True
                mine[at] = after
                near[others] += (after - before).astype(np.int32)
        if not changed:
            break
    chained = _chained(mine, near)
    mine, room.free = mine[:, chained], room.free[chained] + reserved
    return {int(label): mine[at].astype(np.int64) for at, label in enumerate(labels)}


def allot_single(counts: Counts, labels: Sequence[int], seeds: npt.NDArray[np.uint64], room: Room) -> Iterator[Counts]:
    """int64[batches] for each of the labels, which have no relatives; takes their members out of the room.

    Each batch gets floor or ceil of count / batches where the room allows it. What is left over goes where most room
    is left, which finds an allotment of that kind whenever there is one (Ryser, Combinatorial Mathematics, 1963).
    """
    flat = np.zeros(len(room.free), np.int64)
    for label in labels:
        poured = pour(int(counts[label]), flat, room.free, (room.chance(seeds[label]), -room.free))
        room.free -= poured
        yield poured


def _chained(mine: npt.NDArray[np.int32], near: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """int64[batches]: the batches so that those that follow each other hold few members of related labels.

    For the windows that begin in the midst of a batch. From batch to the nearest one left, within runs of some dozens
    of batches: over the whole order, what is related would lie far apart and an epoch would drift.
    """
    order = np.arange(mine.shape[1])
    for first in range(0, len(order), _CHAIN):
        part = slice(first, first + _CHAIN)
        meeting = mine[:, part].T.astype(np.float32) @ near[:, part].astype(np.float32)
        left = np.ones(len(meeting), np.bool_)
        at = 0
        for place in range(len(meeting)):
            order[first + place] = first + at
            left[at] = False
            at = int(np.where(left, meeting[at], np.inf).argmin())
    return order


def _neighbours(labels: Counts, edges: npt.NDArray[np.integer], total: int) -> list[Counts]:
    """For each of the labels the places, among them, of those that are related to it."""
    place = np.full(total, -1, np.int64)
    place[labels] = np.arange(len(labels))
    both = place[np.concatenate([edges, edges[:, ::-1]])].reshape(-1, 2)
    both = both[(both >= 0).all(axis=1)]
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, len(labels)))) if len(labels) else []
