"""Which clips of a video are too alike to be negatives of each other: clusters by keyframe hashes and embeddings.

All pairs of clips of the same video are compared, in batches over arrays; clips of different videos never are. "Alike"
is carried on: where A is like B and B like C, all three are one cluster.

Clips that overlap in time share pictures, whatever happens in them: they are not compared, and both stay, unless they
are the very same item or a third clip is like both. Who groups clips must keep them apart (`video.groups` does). Nor
are clips compared that somebody told apart: what looks the same and is something else is what a model shall learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.settings import Settings

Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints]

_BATCH_PAIRS = 1 << 14  # compared in one call: an array of their hashes stays in a core's cache
_TILE_ROWS = 256  # of a video's matrix of cosines
_ROUNDING = 1e-6  # of a cosine in float32, and of a share


class AlikeSettings(Settings):
    """When two clips of a video show the same."""

    radius_bits: int = Field(8, ge=0, le=64, description="by how many of 64 bits hashes of the same picture may differ")
    min_share: float = Field(
        0.5, gt=0, le=1, description="of the shorter clip's keyframes that have a near match in the other"
    )
    min_cosine: float = Field(0.95, gt=0, le=1, description="of embeddings of alike clips; depends on the model")


@dataclass(frozen=True, eq=False)
class OrderedClips:
    """n clips, those of a video side by side and in order of time."""

    video_at: Ints  # int64[videos + 1]: where the rows of each video start
    start_ms: Ints  # int64[n]
    end_ms: Ints  # int64[n]
    item: Ints  # int64[n]: equal where item ids are
    hash_at: Ints  # int64[n + 1]: clip i has hashes[hash_at[i] : hash_at[i + 1]]
    hashes: NDArray[np.uint64]
    embedding: NDArray[Any] | None  # [n, d]; a row of zeros, or with a NaN in it: there is none
    told: Ints  # int64[n]: equal where the same is told of clips; -1 where nothing is

    @property
    def length_ms(self) -> Ints:
        return self.end_ms - self.start_ms


def alike_clusters(clips: OrderedClips, settings: AlikeSettings) -> Ints:
    """The first member of each clip's cluster, int64[n].

    Alike are clips with the same item id; and, of clips that don't overlap and are not told apart, those of which the
    shorter one (either, where they are equally long to the millisecond) has enough keyframes with a near match in the
    other, and those whose embeddings point the same way.
    """
    parent = np.arange(len(clips.item))
    for a, b in _same_items(clips):
        join(parent, a, b)
    for a, b in chain(_near_embeddings(clips, settings), _near_hashes(clips, settings)):  # a comes before b
        told_apart = (clips.told[a] != clips.told[b]) & (clips.told[a] >= 0) & (clips.told[b] >= 0)
        compared = (clips.end_ms[a] <= clips.start_ms[b]) & ~told_apart
        join(parent, a[compared], b[compared])
    return roots(parent, np.arange(len(parent)))


def join(parent: Ints, a: Ints, b: Ints) -> None:
    """Union-find: put a[i] and b[i] into one set, for each i. A parent is never larger than its node.

    Each round hooks every root onto the smallest root that it has an edge to.
    """
    while len(a):
        a, b = roots(parent, a), roots(parent, b)
        apart = a != b
        a, b = a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))


def roots(parent: Ints, nodes: Ints) -> Ints:
    """The smallest members of the sets that nodes are in; halves the paths it goes."""
    while True:
        above = parent[nodes]
        further = parent[above]
        if np.array_equal(above, further):
            return above
        parent[nodes] = further


def _same_items(clips: OrderedClips) -> Iterator[Pairs]:
    video = _video_of(clips)
    order = np.lexsort((clips.item, video))
    one, next_one = order[:-1], order[1:]
    same = (video[one] == video[next_one]) & (clips.item[one] == clips.item[next_one])
    yield one[same], next_one[same]


def _near_hashes(clips: OrderedClips, settings: AlikeSettings) -> Iterator[Pairs]:
    hashed = np.flatnonzero(np.diff(clips.hash_at))
    lengths = clips.length_ms
    ends = np.searchsorted(hashed, clips.video_at[1:])[_video_of(clips)[hashed]]
    for one, other in _later_pairs(ends):
        a, b = hashed[one], hashed[other]
        share_a, share_b = _shares(clips, a, b, settings.radius_bits)
        longer = lengths[a] - lengths[b]
        share = np.where(longer < 0, share_a, np.where(longer > 0, share_b, np.maximum(share_a, share_b)))
        alike = share >= settings.min_share - _ROUNDING
        yield a[alike], b[alike]


def _later_pairs(ends: Ints) -> Iterator[Pairs]:
    """Each row with each later row before its end, ends[row], in batches of about _BATCH_PAIRS."""
    later = ends - np.arange(len(ends)) - 1
    until = np.cumsum(later)
    first = 0
    while first < len(ends):
        done = until[first] - later[first]
        last = max(first + 1, int(np.searchsorted(until, done + _BATCH_PAIRS, side="right")))
        counts = later[first:last]
        one = np.repeat(np.arange(first, last), counts)
        begins = np.repeat(until[first:last] - counts - done, counts)
        yield one, one + 1 + np.arange(len(one)) - begins
        first = last


def _shares(clips: OrderedClips, a: Ints, b: Ints, radius_bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """For each pair, the share of a's hashes that have one near in b, and of b's that have one near in a."""
    (some, of_a), (others, of_b) = _hash_columns(clips, a), _hash_columns(clips, b)
    found_a, found_b = np.zeros(some.shape, bool), np.zeros(others.shape, bool)
    for in_a, one in zip(found_a, some, strict=True):
        for in_b, other in zip(found_b, others, strict=True):
            near = np.bitwise_count(one ^ other) <= radius_bits
            in_a |= near
            in_b |= near
    return (found_a & of_a).sum(axis=0) / of_a.sum(axis=0), (found_b & of_b).sum(axis=0) / of_b.sum(axis=0)


def _hash_columns(clips: OrderedClips, rows: Ints) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The k-th hash of each row, [most hashes of a row, rows], and whether it has one: else its last is repeated."""
    counts = clips.hash_at[rows + 1] - clips.hash_at[rows]
    places = np.arange(counts.max(initial=0))[:, None]
    return clips.hashes[clips.hash_at[rows] + np.minimum(places, counts - 1)], places < counts


def _near_embeddings(clips: OrderedClips, settings: AlikeSettings) -> Iterator[Pairs]:
    if clips.embedding is None:
        return
    for first, end in zip(clips.video_at[:-1], clips.video_at[1:], strict=True):
        units = _units(clips.embedding[first:end])
        for top in range(0, len(units), _TILE_ROWS):
            cosines = units[top : top + _TILE_ROWS] @ units[top:].T
            a, b = np.nonzero(cosines >= settings.min_cosine - _ROUNDING)
            yield a[a < b] + top + first, b[a < b] + top + first


def _units(embedding: NDArray[Any]) -> NDArray[np.float32]:
    """Rows at length 1; rows that have no direction become zeros, which are like nothing."""
    rows = embedding.astype(np.float64)
    rows[~np.isfinite(rows).all(axis=1)] = 0
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)


def _video_of(clips: OrderedClips) -> Ints:
    return np.repeat(np.arange(len(clips.video_at) - 1), np.diff(clips.video_at))
