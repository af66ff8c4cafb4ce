"""What a frame looks like: measured a few times per second, on a grey picture that is small already."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[Any]  # uint8, (height, width)

MEASURED_PX = 160  # longest side of what is measured: sharpness depends on it
_NOISE_FIRST, _NOISE_SECOND = 3, 10  # grey levels that a codec adds to an even surface
_SHAPE = (32, 24)  # width and height at which two pictures are compared for motion: noise averages out
_PHASH_SIDE = 32
_SHOWN_LEVELS = 8.0  # of contrast: a hash of less says nothing but noise


@dataclass(frozen=True)
class Look:
    """One measured frame. Levels are 0 to 255."""

    time_s: float
    sharpness: float  # see `sharpness`
    brightness: float  # mean level
    light: float  # level above which a tenth of the pixels lie
    motion: float  # mean difference in levels to the look before it
    phash: int | None  # 64 bits; None where there is nothing to be seen
    shape: Grey  # what the next look is compared with


@dataclass(frozen=True)
class Summary:
    """What a clip looks like, over all looks at it."""

    sharpness: float  # median
    brightness: float  # mean
    motion: float  # median, in levels per look
    black: bool  # at no time anything is lighter than almost black
    still: bool  # at no time anything moves


def look_at(time_s: float, bgr: NDArray[np.uint8], before: Look | None) -> Look:
    """Measures a picture (height, width, 3) whose longer side is MEASURED_PX or a little more."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    scale = MEASURED_PX / max(grey.shape)
    measured = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    shape = cv2.resize(measured, _SHAPE, interpolation=cv2.INTER_AREA)
    ranked = np.sort(shape, axis=None)
    dark, light = float(ranked[ranked.size // 10]), float(ranked[ranked.size * 9 // 10])
    motion = 0.0 if before is None else float(cv2.norm(shape, before.shape, cv2.NORM_L1)) / shape.size
    shown = light - dark >= _SHOWN_LEVELS
    hashed = phash(grey) if shown else None
    return Look(time_s, sharpness(measured), float(measured.mean()), light, motion, hashed, shape)


def summary(looks: Sequence[Look], black_level: float, still_levels: float) -> Summary:
    """Of the looks at one clip, in order. The motion of the first is towards what was before the clip: left out."""
    if not looks:
        return Summary(0.0, 0.0, 0.0, False, False)
    motions = [look.motion for look in looks[1:]]
    return Summary(
        sharpness=median(look.sharpness for look in looks),
        brightness=sum(look.brightness for look in looks) / len(looks),
        motion=median(motions) if motions else 0.0,
        black=max(look.light for look in looks) < black_level,
        still=bool(motions) and max(motions) < still_levels,
    )


def look_time(look: Look) -> float:
    """The key by which looks are sorted."""
    return look.time_s


def looks_in(looks: Sequence[Look], start_s: float, end_s: float) -> Sequence[Look]:
    """The looks with start_s <= time < end_s, of looks in order."""
    return looks[bisect_left(looks, start_s, key=look_time) : bisect_left(looks, end_s, key=look_time)]


def hashes_of(looks: Iterable[Look]) -> tuple[int, ...]:
    """Their pHashes, where there are any."""
    return tuple(look.phash for look in looks if look.phash is not None)


def phash(grey: Grey) -> int:
    """The 64-bit perceptual hash of a picture: its 8×8 lowest frequencies, 1 where above their median.

    DCT of 32×32 pixels; source: hackerfactor.com/blog, entry 432. The first bit is the highest. Within a few bits of
    that of `imagehash.phash`, which shrinks with another filter.
    """
    small = cv2.resize(grey, (_PHASH_SIDE, _PHASH_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8]
    ranked = np.sort(low, axis=None)
    return int.from_bytes(np.packbits(low > (ranked[31] + ranked[32]) / 2).tobytes(), "big")


def sharpness(grey: Grey) -> float:
    """How abruptly a picture changes where it changes: mean squared second over mean squared first difference.

    About 1.5 to 4 when sharp, below 0.7 when blurred, 0 without edges; the longest side is MEASURED_PX. Differences
    that are a codec's noise are left out.
    """
    second = _energy(np.abs(cv2.Laplacian(grey, cv2.CV_16S)), _NOISE_SECOND)
    first = _energy(cv2.absdiff(grey[:, 1:], grey[:, :-1]), _NOISE_FIRST)
    first += _energy(cv2.absdiff(grey[1:], grey[:-1]), _NOISE_FIRST)
    return second / (first + 0.2 * grey.size)


def _energy(differences: NDArray[Any], least: int) -> float:
    return float(cv2.norm(cv2.threshold(differences, least, 0, cv2.THRESH_TOZERO)[1], cv2.NORM_L2SQR))
