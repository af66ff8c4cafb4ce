"""The order of a dataset with labels: in each batch as few equal or related labels as possible.

Labels decide how many of their members go into which batch (`pipelines.labels.batches`); the pairs' drawn numbers
decide which members, and everything else that is left open. In its batch a label's members lie evenly, at a phase
of its own that moves slowly from batch to batch: so the window of `batch_size` samples that begins in the midst of a
batch is about as good as the batch itself, while shards that are read side by side do not have the same labels at
the same places.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpus.hashing import mix64
from pipelines.labels.batches import Counts, Room, allot_related, allot_single
from pipelines.labels.false_negatives import NO_PAIRS, Pairs, in_small_batch

Drawn = npt.NDArray[np.uint64]

_CELLS = 8  # label and batch, for each pair: beyond that rare labels go where there is room, a stride apart
_FEW_CELLS = 1 << 18  # which are worked through however few pairs there are
_DRIFT = 0.05  # of a batch: how far a label's phase moves, at most, from one batch to the next


def label_spread_order(
    drawn: Drawn, label: npt.NDArray[np.integer], batch_size: int, related: Pairs = NO_PAIRS
) -> npt.NDArray[np.int64]:
    """int64[n]: the pairs in their order, which is cut into batches of `batch_size`; the last may be smaller.

    `drawn`: a number for each pair that looks random, different for each (`draw` of its id and a key). `label`:
    int[n], -1 for none. `related`: int[m, 2], numbers of labels; pairs of others are passed over. The order depends
    on the drawn numbers, on which labels are equal and which related, and on nothing else: not on how the labels are
    numbered nor on the order of the pairs.

    Without related labels it has exactly the false negatives of `lower_bound`. Holds some 70 bytes a pair.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: at least 1")
    members, counts, pairs = _by_label(drawn, label, related)
    full, left = divmod(len(drawn), batch_size)
    small = in_small_batch(counts, full, left)
    starts = np.cumsum(counts) - counts
    seeds = mix64(drawn[members[starts]]) if len(starts) else drawn
    batch = np.full(len(members), full, np.int32)
    if full:
        _fill_batches(batch, counts - small, starts, seeds, pairs, Room(full, batch_size))
    phase = _phases(batch, np.repeat(np.arange(len(counts)), counts), seeds)
    return members[np.lexsort((phase, batch))]


def _by_label(
    drawn: Drawn, label: npt.NDArray[np.integer], related: Pairs
) -> tuple[npt.NDArray[np.int64], Counts, npt.NDArray[np.int64]]:
    """The pairs label by label, frequent labels first; each label's count; related ones by their places there."""
    members = np.lexsort((drawn, label))
    ordered = label[members]
    new = np.ones(len(members), np.bool_)
    new[1:] = (np.diff(ordered) != 0) | (ordered[1:] < 0)
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(members))
    ranked = np.lexsort((drawn[members[starts]], -counts))
    runs = np.repeat(starts[ranked] - (np.cumsum(counts[ranked]) - counts[ranked]), counts[ranked])
    names = np.where(ordered[starts] < 0, -1, ordered[starts])
    place = np.empty(len(ranked), np.int64)
    place[ranked] = np.arange(len(ranked))
    return members[runs + np.arange(len(members))], counts[ranked], _pairs(names, place, related)


def _pairs(names: npt.NDArray[np.integer], place: Counts, related: Pairs) -> npt.NDArray[np.int64]:
    """int64[m, 2]: the pairs of which both labels are among `names` (ascending), by place, in the order of places."""
    if not len(names) or not len(related):
        return np.zeros((0, 2), np.int64)
    found = np.searchsorted(names, related).clip(max=len(names) - 1)
    kept = (names[found] == related).all(axis=1) & (related >= 0).all(axis=1) & (related[:, 0] != related[:, 1])
    return np.unique(np.sort(place[found[kept]], axis=1), axis=0).reshape(-1, 2)


def _fill_batches(
    batch: npt.NDArray[np.int32], counts: Counts, starts: Counts, seeds: Drawn, pairs: npt.NDArray[np.int64], room: Room
) -> None:
    """Write into `batch`, which is laid out label by label, the batch of the first `counts` members of each label."""
    batches, size = len(room.free), int(room.free[0])
    numbers = np.arange(batches, dtype=np.int32)
    single = np.ones(len(counts), np.bool_)
    single[pairs] = False
    reserved = int((counts[single] // batches).sum())
    kin = allot_related(counts, pairs, seeds, room, reserved)
    single[:] = True
    single[list(kin)] = False
    for label, allotted in kin.items():
        batch[starts[label] : starts[label] + counts[label]] = np.repeat(numbers, allotted)
    most = max(_CELLS * size, _FEW_CELLS // batches)
    frequent = np.flatnonzero(single & (counts > 0))[:most].tolist()
    for label, allotted in zip(frequent, allot_single(counts, frequent, seeds, room), strict=True):
        batch[starts[label] : starts[label] + counts[label]] = np.repeat(numbers, allotted)
    single[frequent] = False
    rare = np.flatnonzero(single)
    of = np.repeat(rare, counts[rare])
    step = np.arange(len(of)) - np.repeat(np.cumsum(counts[rare]) - counts[rare], counts[rare])
    stride = (step + _fraction(seeds[of])) / counts[of]
    batch[(starts[of] + step)[np.argsort(stride, kind="stable")]] = np.repeat(numbers, room.free)


def _phases(batch: npt.NDArray[np.int32], label: Counts, seeds: Drawn) -> npt.NDArray[np.float64]:
    """float64[n]: where in its batch each member lies, from 0 to 1. Both arrays are laid out label by label."""
    new = np.ones(len(batch), np.bool_)
    new[1:] = (np.diff(batch) != 0) | (np.diff(label) != 0)
    runs = np.flatnonzero(new)
    together = np.diff(runs, append=len(batch))
    drift = _DRIFT * (2 * _fraction(mix64(seeds)) - 1)
    phase = (_fraction(seeds)[label[runs]] + drift[label[runs]] * batch[runs]) % 1
    step = np.arange(len(batch)) - np.repeat(runs, together)
    return (step + np.repeat(phase, together)) / np.repeat(together, together)


def _fraction(numbers: Drawn) -> npt.NDArray[np.float64]:
    return (numbers >> np.uint64(11)).astype(np.float64) * 2.0**-53
