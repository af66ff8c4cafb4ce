"""Chooses the siblings that are named as a clip's negatives, and the other moments of its video as a moment's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.hashing import mix64
from corpus.sampling import random_numbers
from corpus.settings import Settings
from video.grouping.groups import ClipColumns, ClipGrouping, time_order
from video.grouping.near_duplicates import Ints

_CELLS = 1 << 21  # of a table of clips by siblings that is computed at once
_EXCLUDED = np.uint64(2**64 - 1)

_Table = Callable[[Ints, Ints], NDArray]  # of rows [q, 1] and other rows [q, m] to [q, m]


class NegativeSettings(Settings):
    """Which clips of a video are named as negatives of each other."""

    num_negatives: int = Field(
        4, ge=0, le=256, description="At most so many siblings are the explicit negatives of a clip."
    )
    sampling_strategy: Literal["nearest", "random"] = Field(
        "nearest", description="Which siblings are taken first: the nearest in time, or random ones by the seed."
    )
    seed: int = Field(0, ge=0, description="The seed of the random strategy.")
    min_gap_s: float = Field(
        0.0, ge=0, description="A sibling that is nearer in time is no negative; 0 rules out overlapping ones only."
    )
    max_iou: float = Field(
        0.3, gt=0, le=1, description="A moment is a negative of another below this temporal intersection over union."
    )


def sibling_negatives(clips: ClipColumns, groups: ClipGrouping, settings: NegativeSettings) -> Ints:
    """Returns rows of at most `num_negatives` members of each clip's group, best first: int64[n, num_negatives], -1 for
    none.

    Left out are the clip itself, clips with the same representative, clips that overlap with it, and those nearer in
    time than `min_gap_s`. The strategy: nearest in time, of equally near ones the earlier first; or in an order by the
    seed and the two ids.
    """
    codes = groups.group.dictionary_encode()
    none = np.array([name == "" for name in codes.dictionary.to_pylist()], bool)
    sets = codes.indices.to_numpy().astype(np.int64)
    if len(sets):
        sets[none[sets]] = -1
    start_ms, end_ms = clips.start_ms, clips.end_ms
    gap_ms = round(settings.min_gap_s * 1000)

    def allowed(row: Ints, other: Ints) -> NDArray:
        apart_ms = np.maximum(start_ms[row], start_ms[other]) - np.minimum(end_ms[row], end_ms[other])
        return (groups.representative[row] != groups.representative[other]) & (apart_ms >= gap_ms)

    candidates = time_order(clips, sets)
    return _best_candidates(
        sets, candidates[sets[candidates] >= 0], allowed, _ranks(clips, settings), settings.num_negatives
    )


def moment_negatives(moments: ClipColumns, settings: NegativeSettings, groups: ClipGrouping | None = None) -> Ints:
    """Returns rows of at most `num_negatives` other moments of each moment's video, best first, -1 for none.

    The result is int64[n, num_negatives]. A negative's temporal intersection over union with the moment is below
    `max_iou`. It has another item and, with `groups` (of the same rows), another representative. An item of several
    rows is named once. The strategy is that of `sibling_negatives`.
    """
    video, _ = moments.videos()
    items = moments.items()
    start_ms, end_ms = moments.start_ms, moments.end_ms
    length_ms = end_ms - start_ms

    def allowed(row: Ints, other: Ints) -> NDArray:
        shared_ms = np.minimum(end_ms[row], end_ms[other]) - np.maximum(start_ms[row], start_ms[other])
        shared_ms = np.maximum(shared_ms, 0)
        is_allowed = shared_ms < settings.max_iou * (length_ms[row] + length_ms[other] - shared_ms)
        if groups is not None:
            is_allowed &= groups.representative[row] != groups.representative[other]
        return is_allowed & (items[row] != items[other])

    order = time_order(moments, video)
    _, firsts = np.unique(np.stack([video, items])[:, order], axis=1, return_index=True)
    return _best_candidates(video, order[np.sort(firsts)], allowed, _ranks(moments, settings), settings.num_negatives)


def _ranks(clips: ClipColumns, settings: NegativeSettings) -> _Table:
    """Returns the ranks by the strategy: the lower, the better."""
    if settings.sampling_strategy == "random":
        hashes = random_numbers(clips.item_id, settings.seed)
        return lambda row, other: mix64(mix64(hashes[row]) ^ hashes[other]) >> np.uint64(1)
    start_ms, end_ms = clips.start_ms, clips.end_ms

    def apart_ms(row: Ints, other: Ints) -> NDArray:
        gap_ms = np.maximum(start_ms[row], start_ms[other]) - np.minimum(end_ms[row], end_ms[other])
        return np.maximum(gap_ms, 0).astype(np.uint64)

    return apart_ms


def _best_candidates(sets: Ints, candidates: Ints, allowed: _Table, ranks: _Table, max_negatives: int) -> Ints:
    """Returns for each row the allowed candidates of its set with the lowest ranks; of equal ranks, those that come
    first.

    `sets` is the number of each row's set, -1 for none. `candidates` are rows, those of a set side by side. Sets with
    equally many candidates are processed at once.
    """
    chosen = np.full((len(sets), max_negatives), -1, np.int64)
    counts = np.bincount(sets[candidates], minlength=sets.max(initial=-1) + 1)
    first_of_set = np.cumsum(counts) - counts
    size_of = np.where(sets >= 0, counts[sets], 0) if len(counts) else np.zeros(len(sets), np.int64)
    for size in np.unique(size_of[size_of > 0]):
        rows = np.flatnonzero(size_of == size)
        step = max(1, _CELLS // int(size))
        for first in range(0, len(rows), step):
            row = rows[first : first + step]
            others = candidates[first_of_set[sets[row]][:, None] + np.arange(size)]
            rank = np.where(allowed(row[:, None], others), ranks(row[:, None], others), _EXCLUDED)
            best = np.argsort(rank, axis=1, kind="stable")[:, :max_negatives]
            names = np.where(np.take_along_axis(rank, best, 1) < _EXCLUDED, np.take_along_axis(others, best, 1), -1)
            chosen[row, : names.shape[1]] = names
    return chosen
