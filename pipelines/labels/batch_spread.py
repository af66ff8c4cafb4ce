"""Orders a dataset with labels so that each batch has as few equal or related labels as possible.

The cost of an order is what a trainer sees as false negatives: for each batch the ordered pairs of members whose
labels are equal or related. The k-th member of a label in a batch that has h members of related labels adds
2 (k - 1 + h) to it. So with everything else in place the cheapest placement of one label is a water filling: its
members go, one after the other, where k + h is lowest. Labels without relatives are placed once and are then as even
as can be. Related labels are placed again and again, each around the others, until nothing changes: a block coordinate
descent, which finds that dogs and their breeds fit into different batches.

Labels decide how many of their members go into which batch; the pairs' random numbers decide which members, and
everything else that is left open. In its batch a label's members lie evenly, at a phase of the label's own that moves
slowly from batch to batch: so the window of `batch_size` samples that begins in the midst of a batch is about as good
as the batch itself, while shards that are read side by side do not have the same labels at the same places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from corpus.arrays import places_in_runs, ranges
from corpus.hashing import GOLDEN, mix64
from corpus.sampling import uniform
from pipelines.labels.false_negatives import NO_PAIRS, LabelPairs, in_small_batch

Counts = npt.NDArray[np.int64]
RandomNumbers = npt.NDArray[np.uint64]

ROUNDS = 12  # of placing related labels; they settle in three to six
_RELATED_CELLS = 16  # numbers held per pair for labels with relatives, at most
_VISITS = 60_000  # of water filling, related labels, all rounds together: some ten seconds
_CHAIN = 32  # batches that are put in the order in which related labels meet least
_CELLS = 8  # label and batch, for each pair: beyond that rare labels go where there is room, a stride apart
_FEW_CELLS = 1 << 18  # which are worked through however few pairs there are
_DRIFT = 0.05  # of a batch: how far a label's phase moves, at most, from one batch to the next


def label_spread_order(
    drawn: RandomNumbers, label: npt.NDArray[np.integer], batch_size: int, related: LabelPairs = NO_PAIRS
) -> npt.NDArray[np.int64]:
    """Orders the pairs, which are then cut into batches of `batch_size` (the last may be smaller): int64[n].

    `drawn`: a pseudo-random number for each pair, no two the same (`random_numbers` of its id). `label`:
    int[n], -1 for none. `related`: int[m, 2], numbers of labels; pairs of others are passed over. The order depends
    on these numbers, on which labels are equal and which related, and on nothing else: not on how the labels are
    numbered nor on the order of the pairs.

    Without related labels it has exactly the false negatives of `lower_bound`. Holds some 70 bytes a pair.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: at least 1")
    members, counts, pairs = _by_label(drawn, label, related)
    full, remainder = divmod(len(drawn), batch_size)
    small = in_small_batch(counts, full, remainder)
    starts = np.cumsum(counts) - counts
    seeds = mix64(drawn[members[starts]]) if len(starts) else drawn
    batch = np.full(len(members), full, np.int32)
    if full:
        _fill_batches(batch, counts - small, starts, seeds, pairs, BatchCapacity(full, batch_size))
    phase = _phases(batch, np.repeat(np.arange(len(counts)), counts), seeds)
    return members[np.lexsort((phase, batch))]


def _by_label(
    drawn: RandomNumbers, label: npt.NDArray[np.integer], related: LabelPairs
) -> tuple[npt.NDArray[np.int64], Counts, npt.NDArray[np.int64]]:
    """Groups the pairs by label, frequent labels first: the pairs, each label's count, related labels by position."""
    members = np.lexsort((drawn, label))
    ordered = label[members]
    new = np.ones(len(members), np.bool_)
    new[1:] = (np.diff(ordered) != 0) | (ordered[1:] < 0)
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(members))
    ranked = np.lexsort((drawn[members[starts]], -counts))
    names = np.where(ordered[starts] < 0, -1, ordered[starts])
    place = np.empty(len(ranked), np.int64)
    place[ranked] = np.arange(len(ranked))
    return members[ranges(starts[ranked], counts[ranked])], counts[ranked], _pairs(names, place, related)


def _pairs(names: npt.NDArray[np.integer], place: Counts, related: LabelPairs) -> npt.NDArray[np.int64]:
    """Selects the pairs of which both labels are among `names` (ascending), by position and sorted: int64[m, 2]."""
    if not len(names) or not len(related):
        return np.zeros((0, 2), np.int64)
    index = np.searchsorted(names, related).clip(max=len(names) - 1)
    kept = (names[index] == related).all(axis=1) & (related >= 0).all(axis=1) & (related[:, 0] != related[:, 1])
    return np.unique(np.sort(place[index[kept]], axis=1), axis=0).reshape(-1, 2)


def _fill_batches(
    batch: npt.NDArray[np.int32],
    counts: Counts,
    starts: Counts,
    seeds: RandomNumbers,
    pairs: npt.NDArray[np.int64],
    capacity: BatchCapacity,
) -> None:
    """Writes into `batch`, which is laid out label by label, the batch of the first `counts` members of each label."""
    batches, size = len(capacity.free), int(capacity.free[0])
    numbers = np.arange(batches, dtype=np.int32)
    independent = np.ones(len(counts), np.bool_)
    independent[pairs] = False
    reserved = int((counts[independent] // batches).sum())
    relatives = place_related(counts, pairs, seeds, capacity, reserved)
    independent[:] = True
    independent[list(relatives)] = False
    for label, members in relatives.items():
        batch[starts[label] : starts[label] + counts[label]] = np.repeat(numbers, members)
    max_labels = max(_CELLS * size, _FEW_CELLS // batches)
    frequent = np.flatnonzero(independent & (counts > 0))[:max_labels].tolist()
    for label, members in zip(frequent, place_independent(counts, frequent, seeds, capacity), strict=True):
        batch[starts[label] : starts[label] + counts[label]] = np.repeat(numbers, members)
    independent[frequent] = False
    rare = np.flatnonzero(independent)
    label_of = np.repeat(rare, counts[rare])
    step = places_in_runs(counts[rare])
    stride = (step + uniform(seeds[label_of])) / counts[label_of]
    batch[(starts[label_of] + step)[np.argsort(stride, kind="stable")]] = np.repeat(numbers, capacity.free)


def _phases(batch: npt.NDArray[np.int32], label: Counts, seeds: RandomNumbers) -> npt.NDArray[np.float64]:
    """Returns the position of each member in its batch, from 0 to 1: float64[n].

    Both arrays are laid out label by label.
    """
    new = np.ones(len(batch), np.bool_)
    new[1:] = (np.diff(batch) != 0) | (np.diff(label) != 0)
    runs = np.flatnonzero(new)
    run_length = np.diff(runs, append=len(batch))
    drift = _DRIFT * (2 * uniform(mix64(seeds)) - 1)
    phase = (uniform(seeds)[label[runs]] + drift[label[runs]] * batch[runs]) % 1
    step = np.arange(len(batch)) - np.repeat(runs, run_length)
    return (step + np.repeat(phase, run_length)) / np.repeat(run_length, run_length)


class BatchCapacity:
    """The number of free places in each of `batches` batches of `size` members."""

    def __init__(self, batches: int, size: int) -> None:
        self.free = np.full(batches, size, np.int64)
        self._numbers = np.arange(batches, dtype=np.uint64) * GOLDEN

    def random_ranks(self, seed: np.uint64) -> npt.NDArray[np.uint64]:
        """Returns a pseudo-random number for each batch, which breaks ties."""
        return mix64(self._numbers ^ seed)


def water_fill(amount: int, height: Counts, capacity: Counts, ties: Sequence[npt.NDArray[np.generic]]) -> Counts:
    """Distributes `amount` members over batches of that `capacity`, each in turn where height + members is lowest.

    Returns int64[batches]. `height`: int64[batches], members of related labels. `ties`: keys of np.lexsort, the last
    one counts most; the lowest go first. The capacity must suffice.
    """
    low, high = int(height.min()), int(height.max()) + amount + 1
    while high - low > 1:  # the highest level that `amount` fills up, low: filled, high: too much
        level = (low + high) // 2
        if int(np.minimum(np.maximum(level - height, 0), capacity).sum()) <= amount:
            low = level
        else:
            high = level
    filled = np.minimum(np.maximum(low - height, 0), capacity)
    remainder = amount - int(filled.sum())
    if remainder:
        candidates = np.flatnonzero((height <= low) & (filled < capacity))
        filled[candidates[np.lexsort([key[candidates] for key in ties])[:remainder]]] += 1
    return filled


def place_related(
    counts: Counts,
    related: npt.NDArray[np.integer],
    seeds: npt.NDArray[np.uint64],
    capacity: BatchCapacity,
    reserved: int,
) -> dict[int, Counts]:
    """Places the labels with relatives: label -> int64[batches], its members in each; reduces the capacity by them.

    `related`: int[m, 2], pairs of labels, each pair once. `reserved` members of each batch stay free for others. Where
    there are more labels with relatives than memory is spent on, those of the rarest labels are passed over.
    """
    batches, max_cells = len(capacity.free), _RELATED_CELLS * int(capacity.free.sum())
    edges = related[(counts[related] > 0).all(axis=1)]
    weight = np.zeros(len(counts), np.int64)  # related members, for each of the label's
    np.add.at(weight, edges[:, 0], counts[edges[:, 1]])
    np.add.at(weight, edges[:, 1], counts[edges[:, 0]])
    labels = np.flatnonzero(weight)
    if len(labels) * batches > max_cells:
        labels = np.sort(labels[np.argsort(-(weight * counts)[labels], kind="stable")[: max(1, max_cells // batches)]])
    neighbours = _neighbours(labels, edges, len(counts))
    # Labels with few relatives first, beside others of the same relatives; the hubs go where there are none of these.
    order = np.argsort([weight[label] for label in labels], kind="stable").tolist()
    placed = np.zeros((len(labels), batches), np.int32)
    related_members = np.zeros_like(placed)
    capacity.free -= reserved
    for _ in range(min(ROUNDS, max(2, _VISITS // max(1, len(labels))))):
        changed = False
        for at in order:
            others = neighbours[at]
            before = placed[at].astype(np.int64)
            capacity.free += before
            # Among equals the batch whose members have the same relatives: who stay away from it together.
            shared = counts[labels[others]] @ related_members[others] if len(others) else np.zeros(batches, np.int64)
            ties = (capacity.random_ranks(seeds[labels[at]]), -capacity.free, -before, -shared)
            after = water_fill(int(counts[labels[at]]), related_members[at].astype(np.int64), capacity.free, ties)
            capacity.free -= after
            if (after != before).any():
                changed = True
                placed[at] = after
                related_members[others] += (after - before).astype(np.int32)
        if not changed:
            break
    batch_order = _order_batches(placed, related_members)
    placed, capacity.free = placed[:, batch_order], capacity.free[batch_order] + reserved
    return {int(label): placed[at].astype(np.int64) for at, label in enumerate(labels)}


def place_independent(
    counts: Counts, labels: Sequence[int], seeds: npt.NDArray[np.uint64], capacity: BatchCapacity
) -> Iterator[Counts]:
    """Places labels without relatives: yields int64[batches] for each, its members; reduces the capacity by them.

    Each batch gets floor or ceil of count / batches where the capacity allows it. The remainder goes where most
    places are free, which finds a placement of that kind whenever there is one (Ryser, Combinatorial Mathematics,
    1963).
    """
    flat = np.zeros(len(capacity.free), np.int64)
    for label in labels:
        filled = water_fill(
            int(counts[label]), flat, capacity.free, (capacity.random_ranks(seeds[label]), -capacity.free)
        )
        capacity.free -= filled
        yield filled


def _order_batches(placed: npt.NDArray[np.int32], related_members: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Orders the batches so that those that follow each other hold few members of related labels: int64[batches].

    This serves the windows that begin in the midst of a batch. It is a greedy chain from batch to nearest batch, within
    runs of some dozens of batches: over the whole order, what is related would lie far apart and an epoch would drift.
    """
    order = np.arange(placed.shape[1])
    for first in range(0, len(order), _CHAIN):
        part = slice(first, first + _CHAIN)
        meeting = placed[:, part].T.astype(np.float32) @ related_members[:, part].astype(np.float32)
        remaining = np.ones(len(meeting), np.bool_)
        at = 0
        for place in range(len(meeting)):
            order[first + place] = first + at
            remaining[at] = False
            at = int(np.where(remaining, meeting[at], np.inf).argmin())
    return order


def _neighbours(labels: Counts, edges: npt.NDArray[np.integer], total: int) -> list[Counts]:
    """Returns the relatives of each of the labels, as positions in `labels`."""
    place = np.full(total, -1, np.int64)
    place[labels] = np.arange(len(labels))
    both = place[np.concatenate([edges, edges[:, ::-1]])].reshape(-1, 2)
    both = both[(both >= 0).all(axis=1)]
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, len(labels)))) if len(labels) else []
