"""Counts the false negatives of an order of labels, and bounds from below how few the counts of the labels allow.

A query's false negatives are the other samples of its batch whose label is equal or related to its own. Label -1 is
none: equal to no other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.arrays import places_in_runs

LabelNumbers = npt.NDArray[np.integer]
LabelPairs = npt.NDArray[np.integer]  # int[m, 2]: numbers of related labels, each pair once

NO_PAIRS: LabelPairs = np.zeros((0, 2), np.int32)
_MAX_JOINED_ROWS = 4_000_000  # of a join, in memory at once


def false_negatives_per_query(label: LabelNumbers, batch_size: int, related: LabelPairs = NO_PAIRS) -> float:
    """Counts a sample's false negatives, on average; each `batch_size` consecutive samples are a batch.

    The last batch may be smaller.

    `label`: int[n], in the order of the samples.
    """
    if not len(label):
        return 0.0
    place = np.flatnonzero(label >= 0)
    names, number = np.unique(label[place], return_inverse=True)
    batches = -(-len(label) // batch_size)
    cells, members = np.unique(number * batches + place // batch_size, return_counts=True)
    equal = int((members * (members - 1)).sum())
    return (equal + 2 * _related_meetings(cells, members, batches, _indices(names, related))) / len(label)


def _indices(names: LabelNumbers, related: LabelPairs) -> npt.NDArray[np.int64]:
    """Selects the pairs among the labels `names` (ascending), as positions there."""
    if not len(names):
        return np.zeros((0, 2), np.int64)
    places = np.searchsorted(names, related).clip(max=len(names) - 1)
    return places[(names[places] == related).all(axis=1)]


def _related_meetings(
    cells: npt.NDArray[np.int64], members: npt.NDArray[np.int64], batches: int, pairs: LabelPairs
) -> int:
    """Counts the pairs of members of related labels in one batch. A cell is label * batches + batch, ascending."""
    labels = cells // batches
    starts, stops = (np.searchsorted(labels, pairs[:, 0], side) for side in ("left", "right"))
    lengths = stops - starts
    total, first = 0, 0
    while first < len(pairs):
        last = first + max(1, int(np.searchsorted(np.cumsum(lengths[first:]), _MAX_JOINED_ROWS, side="right")))
        part = np.repeat(np.arange(first, last), lengths[first:last])
        cell = np.arange(len(part)) - np.repeat(
            np.cumsum(lengths[first:last]) - lengths[first:last], lengths[first:last]
        )
        cell += starts[part]
        partner = pairs[part, 1] * batches + cells[cell] % batches
        other = np.searchsorted(cells, partner).clip(max=len(cells) - 1)
        exists = cells[other] == partner
        total += int((members[cell] * members[other])[exists].sum())
        first = last
    return total


def expected_when_shuffled(label: LabelNumbers, batch_size: int, related: LabelPairs = NO_PAIRS) -> float:
    """Returns the mean of false_negatives_per_query over all orders: (batch_size - 1) / (n - 1) of all that can meet.

    Exact where batches are full, that is where batch_size divides n, or n is less.
    """
    if len(label) < 2:
        return 0.0
    others = min(batch_size, len(label)) - 1
    return false_negatives_per_query(label, len(label), related) * others / (len(label) - 1)


def lower_bound(label: LabelNumbers, batch_size: int, related: LabelPairs = NO_PAIRS) -> float:
    """Returns a lower bound: no order of these labels has fewer false negatives per query.

    Let n samples make K full batches and one of r < batch_size. A label of count c that puts x into the small batch
    and the rest evenly into the others has sum of squares x^2 + (K - s) q^2 + s (q + 1)^2, where q, s = divmod(c - x,
    K): the least by convexity. One more in the small batch changes it by 2 (x - floor((c - x - 1) / K)), which grows
    with x, so the r cheapest such steps, over all labels, are the least of all. The bound is that sum less n, by n.

    Related labels count as one label where all of them are related to each other: for two of counts a and b in a
    batch a^2 + b^2 + 2ab = (a + b)^2. The labels are divided into such cliques, the frequent ones first; what is
    related over the border of a clique is left out, so the bound holds but may be out of reach.
    """
    names, counts = np.unique(label[label >= 0], return_counts=True)
    cliques = _cliques(counts, _indices(names, related))
    counts = np.bincount(cliques, weights=counts).astype(np.int64) if len(counts) else counts
    counts = np.concatenate([counts, np.ones(int((label < 0).sum()), np.int64)])
    full, remainder = divmod(len(label), batch_size)
    small = in_small_batch(counts, full, remainder)
    squares = int((small**2).sum())
    if full:
        even, extra = np.divmod(counts - small, full)
        squares += int(((full - extra) * even**2 + extra * (even + 1) ** 2).sum())
    return (squares - len(label)) / max(1, len(label))


def in_small_batch(counts: npt.NDArray[np.int64], full: int, remainder: int) -> npt.NDArray[np.int64]:
    """Chooses how many of each label go into the last batch of `remainder`, so that the `full` others gain most.

    Returns int64[labels]. The formula stands at `lower_bound`. Among equal gains the labels that come first.
    """
    if not full:
        return counts.copy()
    limit = np.minimum(counts, remainder)
    label_of = np.repeat(np.arange(len(counts)), limit)
    step = places_in_runs(limit)
    cost = step - (counts[label_of] - step - 1) // full
    return np.bincount(label_of[np.argsort(cost, kind="stable")[:remainder]], minlength=len(counts))


def _cliques(counts: npt.NDArray[np.int64], pairs: LabelPairs) -> npt.NDArray[np.int64]:
    """Divides the labels into cliques of related ones: int64[labels], the clique of each."""
    clique = np.arange(len(counts))
    relatives: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        relatives.setdefault(one, set()).add(other)
        relatives.setdefault(other, set()).add(one)
    members = {one: {one} for one in relatives}
    joint = np.minimum(counts[pairs[:, 0]], counts[pairs[:, 1]])
    for one, other in pairs[np.argsort(-joint, kind="stable")].tolist():
        first, second = int(clique[one]), int(clique[other])
        if first == second or any(not members[second] <= relatives[each] for each in members[first]):
            continue
        members[first] |= members[second]
        clique[list(members[second])] = first
    return clique
