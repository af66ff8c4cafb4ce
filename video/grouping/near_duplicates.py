"""Finds near-duplicate clips of a video, too similar to be negatives of each other, by the hashes of their keyframes.

The clips of a video are compared in order of merit: a clip that is similar to no representative before it becomes one,
and represents those that are similar to itself and to no better one. Similarity is not transitive: a clip that is
similar only to a represented one stays. Clips of different videos are never compared.

Clips that overlap in time share pictures, whatever happens in them: they are not compared, and both stay, unless they
are the very same item. Callers must not group them (see `video.grouping.groups`). Nor are clips compared whose
descriptions differ: what looks the same and is something else is what a model shall learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.arrays import Ints, RowPairs
from corpus.settings import Settings
from corpus.union_find import join_representatives

_BATCH_PAIRS = 1 << 14  # compared in one call: an array of their hashes fits into a core's cache
_ROUNDING = 1e-6  # of a share


class NearDuplicateSettings(Settings):
    """Settings of when two clips of a video are near duplicates."""

    hamming_radius: int = Field(
        8, ge=0, le=64, description="By how many of their 64 bits the pHashes of the same picture may differ."
    )
    min_frame_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The share of the shorter clip's keyframes that must have a near match in the other clip.",
    )


@dataclass(frozen=True, eq=False)
class OrderedClips:
    """The columns of n clips, those of a video side by side and in order of merit, the best first."""

    video_at: Ints  # int64[videos + 1]: where the rows of each video start
    start_ms: Ints  # int64[n]
    end_ms: Ints  # int64[n]
    item: Ints  # int64[n]: equal where item ids are
    hash_at: Ints  # int64[n + 1]: clip i has hashes[hash_at[i] : hash_at[i + 1]]
    hashes: NDArray[np.uint64]
    description: Ints  # int64[n]: equal where descriptions are; -1 where there is none

    @property
    def length_ms(self) -> Ints:
        """The lengths, int64[n]."""
        return self.end_ms - self.start_ms


def representatives(clips: OrderedClips, settings: NearDuplicateSettings) -> Ints:
    """Returns the representative of each clip, int64[n]: itself, or the best representative that is similar to it.

    Clips with the same item id are similar. So are clips that don't overlap and have no different descriptions, if
    enough keyframes of the shorter one (either, where they are equally long to the millisecond) have a near match in
    the other.
    """
    found = np.arange(len(clips.item))
    video_end = np.repeat(clips.video_at[1:], np.diff(clips.video_at))
    for a, b in _later_pairs(video_end):
        free = (found[a] == a) & (found[b] == b)  # clips that are represented already need no comparison
        a, b = a[free], b[free]
        similar = clips.item[a] == clips.item[b]
        compared = np.flatnonzero(~similar & _comparable(clips, a, b))
        similar[compared] = _hashes_match(clips, a[compared], b[compared], settings)
        join_representatives(found, a[similar], b[similar])
    return found


def _comparable(clips: OrderedClips, a: Ints, b: Ints) -> NDArray[np.bool_]:
    """Returns whether pairs of clips may be compared by their hashes: both have some, they don't overlap, and their
    descriptions don't differ.
    """
    hashed = np.diff(clips.hash_at) > 0
    disjoint = np.maximum(clips.start_ms[a], clips.start_ms[b]) >= np.minimum(clips.end_ms[a], clips.end_ms[b])
    described_apart = clips.description[a] != clips.description[b]
    described_apart &= (clips.description[a] >= 0) & (clips.description[b] >= 0)
    return hashed[a] & hashed[b] & disjoint & ~described_apart


def _hashes_match(clips: OrderedClips, a: Ints, b: Ints, settings: NearDuplicateSettings) -> NDArray[np.bool_]:
    share_a, share_b = _shares(clips, a, b, settings.hamming_radius)
    longer = clips.length_ms[a] - clips.length_ms[b]
    share = np.where(longer < 0, share_a, np.where(longer > 0, share_b, np.maximum(share_a, share_b)))
    return share >= settings.min_frame_share - _ROUNDING


def _later_pairs(row_end: Ints) -> Iterator[RowPairs]:
    """Yields each row with each later row before its end, row_end[row], in batches of about _BATCH_PAIRS."""
    later = row_end - np.arange(len(row_end)) - 1
    until = np.cumsum(later)
    first = 0
    while first < len(row_end):
        done = until[first] - later[first]
        last = max(first + 1, int(np.searchsorted(until, done + _BATCH_PAIRS, side="right")))
        counts = later[first:last]
        one = np.repeat(np.arange(first, last), counts)
        begins = np.repeat(until[first:last] - counts - done, counts)
        yield one, one + 1 + np.arange(len(one)) - begins
        first = last


def _shares(clips: OrderedClips, a: Ints, b: Ints, hamming_radius: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns, for each pair, the share of a's hashes that have one near in b, and of b's that have one near in a."""
    (some, of_a), (others, of_b) = _hash_columns(clips, a), _hash_columns(clips, b)
    found_a, found_b = np.zeros(some.shape, bool), np.zeros(others.shape, bool)
    for in_a, one in zip(found_a, some, strict=True):
        for in_b, other in zip(found_b, others, strict=True):
            near = np.bitwise_count(one ^ other) <= hamming_radius
            in_a |= near
            in_b |= near
    return (found_a & of_a).sum(axis=0) / of_a.sum(axis=0), (found_b & of_b).sum(axis=0) / of_b.sum(axis=0)


def _hash_columns(clips: OrderedClips, rows: Ints) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Returns the k-th hash of each row, [max hashes of a row, rows], its last where it has fewer, and whether it has
    one.
    """
    counts = clips.hash_at[rows + 1] - clips.hash_at[rows]
    places = np.arange(counts.max(initial=0))[:, None]
    return clips.hashes[clips.hash_at[rows] + np.minimum(places, counts - 1)], places < counts
