"""Random negatives: what fills up a pair's hard negatives where too few were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.publishing.mixture import Arrangement, Candidates, PublishError, draw
from pipelines.publishing.sides import Sides


@dataclass(frozen=True, eq=False)
class Fill:
    """As its negative number `slot`, `pair` gets the positive side of the pair `donor`, `origin` random."""

    pair: np.ndarray  # int64[k], in published order
    slot: np.ndarray  # int64[k]
    donor: np.ndarray  # int64[k], in published order


def fill_negatives(
    sides: Sides, candidates: Candidates, arranged: Arrangement, key: str, related: np.ndarray | None = None
) -> Fill:
    """Draw what is missing of each pair's negatives from the other pairs of its dataset, by `key`.

    Never the pair's own content, never a negative twice, never a pair of the same group, of the same label or of a
    related one (`related`: int[m, 2], numbers of labels of which one contains the other). And
    where `sides` tell the sources (the videos of clips), never one of the same source: there, what may be a negative is
    named by the pairs themselves. Raises PublishError where no pair is left to draw.
    """
    taken = sides.negative_keys.copy()
    total, slots = taken.shape
    ids = candidates.ids[:, arranged.chosen]
    source = sides.source_key
    group, label = candidates.group[arranged.chosen], candidates.label[arranged.chosen]

    labels = int(candidates.label.max(initial=-1)) + 1
    apart = _both_ways(related, labels)

    def unfit(pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        content = sides.positive_key[donor]
        return (
            (content == sides.positive_key[pair])
            | (content == sides.query_key[pair])
            | (content[:, None] == taken[pair]).any(axis=1)
            | ((group[donor] == group[pair]) & (group[pair] >= 0))
            | ((label[donor] == label[pair]) & (label[pair] >= 0))
            | (np.isin(label[donor].astype(np.int64) * labels + label[pair], apart) & (label[pair] >= 0))
            | ((source[donor] == source[pair]) & (source[pair] != 0))
        )

    donors = np.full((total, slots), -1, np.int64)
    for slot in range(slots):
        pending = np.flatnonzero(sides.own_negatives <= slot)
        donor = (draw(ids[:, pending], f"{key}/{slot}") % np.uint64(max(total, 1))).astype(np.int64)
        for _ in range(total):  # from a random pair onwards, in an order that is random itself
            fits = ~unfit(pending, donor)
            donors[pending[fits], slot] = donor[fits]
            taken[pending[fits], slot] = sides.positive_key[donor[fits]]
            pending, donor = pending[~fits], (donor[~fits] + 1) % total
            if not len(pending):
                break
        if len(pending):
            raise PublishError(
                f"{len(pending)} of its {total} pairs find no random negative number {slot}: all others have the same "
                "content, group, label or video, or a related label; ask for fewer negatives"
            )
    pair, slot_of = np.nonzero(donors >= 0)
    return Fill(pair, slot_of, donors[pair, slot_of])


def _both_ways(related: np.ndarray | None, labels: int) -> np.ndarray:
    """int64: one label's number times `labels`, plus the other's, for each pair of related labels in either order."""
    if related is None or not len(related):
        return np.zeros(0, np.int64)
    one, other = related.astype(np.int64).T
    return np.concatenate([one * labels + other, other * labels + one])
