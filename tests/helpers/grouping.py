"""Clips with planted likenesses, and what becomes of them in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from video.grouping.groups import ClipColumns, GroupSettings, group_clips
from video.grouping.negatives import NegativeSettings, sibling_negatives

RNG = np.random.default_rng(7)
PICTURES = RNG.integers(0, 2**64, 64, dtype=np.uint64)  # far from each other: in 32 bits or so
EVERY_CLIP = GroupSettings(max_group_size=1000)
EVERY_SIBLING = NegativeSettings(num_negatives=200)


@dataclass(frozen=True)
class Made:
    """A clip as a test plants it."""

    name: str
    start_s: float
    end_s: float
    hashes: Sequence[int] = ()
    video: bytes = b"one"


def columns(clips: Sequence[Made]) -> ClipColumns:
    return ClipColumns(
        pa.array([clip.video for clip in clips], pa.binary()),
        np.array([clip.start_s for clip in clips], float),
        np.array([clip.end_s for clip in clips], float),
        pa.array([item(clip.name) for clip in clips], pa.binary(16)),
        pa.array([[int(value) for value in clip.hashes] for clip in clips], pa.list_(pa.uint64())),
    )


def item(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def noisy(picture: int, bits: int = 3) -> int:
    """The hash of much the same picture: other by so many bits."""
    flips = RNG.choice(64, bits, replace=False)
    return int(PICTURES[picture]) ^ sum(1 << int(flip) for flip in flips)


def shots(pictures: str, length_s: float = 5.0, video: bytes = b"one") -> list[Made]:
    """A clip of four keyframes for each letter, one after the other; equal letters show much the same."""
    return [
        Made(f"{place:02}{letter}", place * length_s, (place + 1) * length_s, [noisy(ord(letter) - 65)] * 4, video)
        for place, letter in enumerate(pictures)
    ]


def grouped(clips: Sequence[Made], settings: GroupSettings = EVERY_CLIP) -> dict[str, tuple[str, str, str | None]]:
    """Of each clip: its group, its reason, and the name of the one that stands for it."""
    table = group_clips(columns(clips), settings).table(columns(clips).item_id)
    assert table.column_names == ["group", "representative", "status", "reason"]
    named = {item(clip.name): clip.name for clip in clips}
    rows = zip(clips, table.to_pylist(), strict=True)
    return {c.name: (r["group"], r["reason"], named.get(r["representative"])) for c, r in rows}


def staying(clips: Sequence[Made], settings: GroupSettings = EVERY_CLIP) -> list[str]:
    return [name for name, (_, reason, _) in grouped(clips, settings).items() if not reason]


def named(clips: Sequence[Made], rows: np.ndarray) -> dict[str, list[str]]:
    return {
        clip.name: [clips[row].name for row in found if row >= 0]
        for clip, found in zip(clips, rows.tolist(), strict=True)
    }


def siblings(
    clips: Sequence[Made], settings: NegativeSettings = EVERY_SIBLING, groups: GroupSettings = EVERY_CLIP
) -> dict[str, list[str]]:
    made = columns(clips)
    return named(clips, sibling_negatives(made, group_clips(made, groups), settings))
