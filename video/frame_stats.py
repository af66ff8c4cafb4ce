"""Statistics of frames, measured a few times per second on frames that are scaled down already, and of whole clips."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.phash import perceptual_hashes
from corpus.image.quality import MEASURED_PX, Grey, sharpness

_THUMBNAIL_SIZE = (32, 24)  # width and height at which frames are compared for motion: noise averages out
_MIN_CONTRAST = 8.0  # levels between the 10th and the 90th percentile: hashes of flatter frames are noise


@dataclass(frozen=True)
class FrameStats:
    """The statistics of one measured frame. Levels are 0 to 255."""

    time_s: float
    sharpness: float  # see `corpus.image.quality`
    brightness: float  # mean level
    p90_brightness: float  # level above which a tenth of the pixels lie
    motion: float  # mean difference in levels to the measured frame before it
    phash: int | None  # 64 bits; None where the frame has too little contrast
    thumbnail: Grey  # for the comparison with the next measured frame


@dataclass(frozen=True)
class ClipStats:
    """The statistics of a clip, over all its measured frames."""

    sharpness: float  # median
    brightness: float  # mean
    motion: float  # median, in levels per measured frame
    black: bool  # no frame has anything lighter than almost black
    static: bool  # no two frames differ visibly


def measure_frame(time_s: float, bgr: NDArray[np.uint8], previous: FrameStats | None) -> FrameStats:
    """Measures a frame (height, width, 3), scaled to a longest side of MEASURED_PX where it is larger."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    scale = MEASURED_PX / max(grey.shape)
    measured = grey
    if scale < 1:
        measured = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    thumbnail = cv2.resize(measured, _THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    ranked = np.sort(thumbnail, axis=None)
    p10, p90 = float(ranked[ranked.size // 10]), float(ranked[ranked.size * 9 // 10])
    motion = 0.0
    if previous is not None:
        motion = float(cv2.norm(thumbnail, previous.thumbnail, cv2.NORM_L1)) / thumbnail.size
    phash = perceptual_hashes(grey)[0] if p90 - p10 >= _MIN_CONTRAST else None
    return FrameStats(time_s, sharpness(measured), float(measured.mean()), p90, motion, phash, thumbnail)


def summarize(stats: Sequence[FrameStats], black_level: float, static_threshold: float) -> ClipStats:
    """Combines the measured frames of one clip, in order. The first one's motion is left out: it is from outside."""
    if not stats:
        return ClipStats(0.0, 0.0, 0.0, False, False)
    motions = [frame.motion for frame in stats[1:]]
    return ClipStats(
        sharpness=median(frame.sharpness for frame in stats),
        brightness=sum(frame.brightness for frame in stats) / len(stats),
        motion=median(motions) if motions else 0.0,
        black=max(frame.p90_brightness for frame in stats) < black_level,
        static=bool(motions) and max(motions) < static_threshold,
    )


def stats_time(stats: FrameStats) -> float:
    """Returns the sort key of measured frames: their time."""
    return stats.time_s


def stats_between(stats: Sequence[FrameStats], start_s: float, end_s: float) -> Sequence[FrameStats]:
    """Returns the measured frames with start_s <= time < end_s, of frames in order."""
    return stats[bisect_left(stats, start_s, key=stats_time) : bisect_left(stats, end_s, key=stats_time)]


def hashes_of(stats: Iterable[FrameStats]) -> tuple[int, ...]:
    """Returns the pHashes of measured frames, where they have one."""
    return tuple(frame.phash for frame in stats if frame.phash is not None)
