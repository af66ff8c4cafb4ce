"""Groups the clips of each video as each other's hard negatives, one representative for each set of near duplicates.

Functions take and return columns, for all videos at once. The result for a video depends on that video alone, and not
on the order of the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from corpus.arrays import Ints
from corpus.schema import Status
from corpus.settings import Settings
from video.grouping.near_duplicates import NearDuplicateSettings, OrderedClips, representatives

NEAR_DUPLICATE_SIBLING = "near_duplicate_sibling"


class GroupSettings(Settings):
    """Settings of the groups of a video's clips."""

    near_duplicate: NearDuplicateSettings = Field(
        NearDuplicateSettings(), description="When two clips of a video show the same."
    )
    min_group_size: int = Field(
        2, ge=2, description="The fewest clips of a group; clips of a video with fewer stay, but without a group."
    )
    max_group_size: int = Field(
        32,
        ge=2,
        le=1024,
        description="The most clips of a group; larger ones are split by time into nearly equal parts.",
    )

    @model_validator(mode="after")
    def _check(self) -> GroupSettings:
        if self.max_group_size < 2 * self.min_group_size - 1:
            # Else the halves of a group just over the maximum would be under the minimum.
            raise ValueError(
                f"max_group_size ({self.max_group_size}) must be at least twice min_group_size "
                f"({self.min_group_size}) less 1"
            )
        return self


@dataclass(frozen=True, eq=False)
class ClipColumns:
    """The columns of n clips of any number of videos, in any order. Times are seconds on the video's own timeline.

    Raises ValueError where columns differ in length, an item id is missing, or an end isn't after its start.
    """

    video: pa.Array | NDArray[np.uint64]  # n keys: binary or string, or uint64
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    item_id: pa.Array  # binary[n], of the clips
    hashes: pa.Array | None = None  # list<uint64>[n]: pHashes of keyframes; null or empty: no frame has one
    description: pa.Array | None = None  # string[n]: null or empty: none

    def __post_init__(self) -> None:
        for name in ("start_s", "end_s", "item_id", "hashes", "description"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.video):
                raise ValueError(f"{len(column)} rows of {name} for {len(self.video)} clips")
        if self.item_id.null_count:
            raise ValueError(f"{self.item_id.null_count} clips have no item_id: leave out clips that are not kept")
        wrong = np.flatnonzero(~(np.isfinite(self.start_s) & np.isfinite(self.end_s) & (self.start_s < self.end_s)))
        if len(wrong):
            row = wrong[0]
            raise ValueError(f"clip {row} is no interval: start_s {self.start_s[row]}, end_s {self.end_s[row]}")

    @property
    def start_ms(self) -> Ints:
        """The starts in whole milliseconds, int64[n]."""
        return np.rint(self.start_s * 1000).astype(np.int64)

    @property
    def end_ms(self) -> Ints:
        """The ends in whole milliseconds, int64[n]."""
        return np.rint(self.end_s * 1000).astype(np.int64)

    def videos(self) -> tuple[Ints, list[bytes]]:
        """Returns each clip's video as a number, int64[n], and the bytes of the keys that these numbers stand for."""
        if isinstance(self.video, np.ndarray):
            keys, numbers = np.unique(self.video.astype("<u8"), return_inverse=True)
            return numbers.astype(np.int64), [key.tobytes() for key in keys]
        coded = self.video.cast(pa.large_binary()).dictionary_encode()
        if coded.null_count:
            raise ValueError(f"{coded.null_count} clips have no video")
        return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()

    def descriptions(self) -> Ints:
        """Returns each clip's description as a number, int64[n], equal where descriptions are; -1 for none."""
        if self.description is None:
            return np.full(len(self.video), -1, np.int64)
        descriptions = pc.if_else(pc.equal(self.description, ""), None, self.description)
        return pc.fill_null(descriptions.dictionary_encode().indices.cast(pa.int64()), -1).to_numpy(
            zero_copy_only=False
        )

    def items(self) -> Ints:
        """Returns item ids as numbers, int64[n], with the same equality and order."""
        ranks = pc.rank(self.item_id.cast(pa.large_binary()), tiebreaker="dense")
        return ranks.to_numpy().astype(np.int64)


@dataclass(frozen=True, eq=False)
class ClipGrouping:
    """The group and the representative of each of n clips, in the order of the input."""

    representative: Ints  # int64[n]: row of the representative; of a representative its own row
    alone: NDArray[np.bool_]  # bool[n]: it represents no other
    group: pa.Array  # string[n]: group id; "" for none, and for represented clips

    def table(self, item_id: pa.Array) -> pa.Table:
        """Returns columns of a stage's table: `group`, `representative`, `status` and `reason`.

        `representative` is an item id, null for a clip that represents only itself. Represented clips have status
        duplicate and reason near_duplicate_sibling.
        """
        stays = pa.array(self.representative == np.arange(len(self.representative)))
        return pa.table(
            {
                "group": self.group,
                "representative": item_id.take(pa.array(self.representative, mask=self.alone)),
                "status": pc.if_else(stays, Status.KEPT.value, Status.DUPLICATE.value),
                "reason": pc.if_else(stays, "", NEAR_DUPLICATE_SIBLING),
            }
        )


def group_clips(clips: ClipColumns, settings: GroupSettings) -> ClipGrouping:
    """Chooses representatives among the near duplicates of each video, and groups the representatives.

    Better clips come first: the longest (to the millisecond), then the earliest, then the one with the smallest id. A
    clip that is similar to no better representative is one itself; every other is represented by the best that it is
    similar to. No two clips of a group are similar, and no two overlap in time: see `assign_groups`.
    """
    video, keys = clips.videos()
    order = merit_order(clips, video)
    best = representatives(_ordered(clips, video, order), settings.near_duplicate)
    representative, alone = np.empty_like(order), np.empty(len(order), bool)
    representative[order] = order[best]
    alone[order] = np.bincount(best, minlength=len(best))[best] == 1
    by_time = time_order(clips, video)
    rows = by_time[representative[by_time] == by_time]
    group = np.full(len(order), "", object)
    group[rows] = assign_groups(video[rows], clips.start_ms[rows], clips.end_ms[rows], keys, settings)
    return ClipGrouping(representative, alone, pa.array(group, pa.string()))


def group_id(video_key: bytes, part: int) -> str:
    """Returns the SHA-256 of the video's key and, in 8 bytes, of the number of the part: 64 hexadecimal digits."""
    return hashlib.sha256(video_key + part.to_bytes(8, "little")).hexdigest()


def time_order(clips: ClipColumns, video: Ints) -> Ints:
    """Returns the rows by video, then start, end and item id, the order that decides all ties."""
    return np.lexsort((clips.items(), clips.end_s, clips.start_s, video))


def merit_order(clips: ClipColumns, video: Ints) -> Ints:
    """Returns the rows by video, then the longest first (to the millisecond), then as in `time_order`."""
    lengths_ms = clips.end_ms - clips.start_ms
    return np.lexsort((clips.items(), clips.end_s, clips.start_s, -lengths_ms, video))


def _ordered(clips: ClipColumns, video: Ints, order: Ints) -> OrderedClips:
    hash_at, hashes = np.zeros(len(order) + 1, np.int64), np.empty(0, np.uint64)
    if clips.hashes is not None:
        lists = clips.hashes.take(pa.array(order))
        values = lists.flatten().cast(pa.uint64())
        if values.null_count:
            raise ValueError(f"{values.null_count} hashes are null: leave them out of the lists")
        hash_at[1:] = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))
        hashes = values.to_numpy(zero_copy_only=False)
    return OrderedClips(
        np.searchsorted(video[order], np.arange(video.max(initial=-1) + 2)),
        clips.start_ms[order],
        clips.end_ms[order],
        clips.items()[order],
        hash_at,
        hashes,
        clips.descriptions()[order],
    )


def assign_groups(
    video: Ints, start_ms: Ints, end_ms: Ints, keys: Sequence[bytes], settings: GroupSettings
) -> list[str]:
    """Returns the group id of each of n clips, which are ordered by video and, within one, by time.

    Clips that overlap, such as moments that were described one by one, get different groups: each clip goes to the
    first group that ended before it. Groups over the maximum are split; clips of groups under the minimum have none
    ("").
    """
    names = [""] * len(video)
    start_times, end_times = start_ms.tolist(), end_ms.tolist()
    for number, rows in groupby(range(len(video)), key=video.tolist().__getitem__):
        part = 0
        for lane in _lanes(list(rows), start_times, end_times):
            if len(lane) < settings.min_group_size:
                continue
            pieces = -(-len(lane) // settings.max_group_size)
            for place, row in enumerate(lane):
                names[row] = group_id(keys[number], part + place * pieces // len(lane))
            part += pieces
    return names


def _lanes(rows: list[int], start_times: list[int], end_times: list[int]) -> list[list[int]]:
    """Partitions rows, in order of time, into as few lists as possible without an overlap within a list."""
    lanes: list[list[int]] = []
    for row in rows:
        free = next((lane for lane in lanes if end_times[lane[-1]] <= start_times[row]), None)
        if free is None:
            lanes.append([row])
        else:
            free.append(row)
    return lanes
