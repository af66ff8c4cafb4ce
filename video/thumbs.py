"""Pictures of 16×12 grey levels: enough to tell whether two frames show the same, and cheap for every frame."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Thumb = NDArray[np.float32]  # (12, 16)

FLASH_S = 0.5  # within this time after a flash the picture is back
_WIDTH, _HEIGHT = 16, 12
_FLAT_LEVELS = 8.0  # of contrast: a picture with less shows nothing


def thumb_of(bgr: NDArray[np.uint8]) -> Thumb:
    """A picture as 12×16 grey levels, float32."""
    small = cv2.resize(bgr, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)


def contrast_of(thumb: Thumb) -> float:
    """Grey levels between the lowest and the highest tenth: a subtitle or a logo on black doesn't count."""
    ranked = np.sort(thumb, axis=None)
    return float(ranked[ranked.size * 9 // 10] - ranked[ranked.size // 10])


def likeness(one: Thumb, other: Thumb) -> float:
    """Correlation of two pictures, -1 to 1, whatever the light; 0 where one shows nothing."""
    return float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])


def likeness_moved(one: Thumb, other: Thumb) -> float:
    """The best `likeness` where the camera may have moved by up to two columns and a row between two pictures."""
    return float(cv2.matchTemplate(other, one[1:-1, 2:-2], cv2.TM_CCOEFF_NORMED).max())


@dataclass
class History:
    """The thumbs of the last seconds, by time. Places count from the oldest that is kept: they don't last."""

    kept_s: float
    times: list[float] = field(default_factory=list)
    thumbs: list[Thumb] = field(default_factory=list)
    contrasts: list[float] = field(default_factory=list)

    def push(self, time_s: float, thumb: Thumb) -> None:
        self.times.append(time_s)
        self.thumbs.append(thumb)
        self.contrasts.append(contrast_of(thumb))
        if self.times[len(self.times) // 2] < time_s - self.kept_s:  # seldom, and then half of it
            gone = bisect_left(self.times, time_s - self.kept_s)
            del self.times[:gone], self.thumbs[:gone], self.contrasts[:gone]

    def at(self, time_s: float) -> int:
        """The place of the frame that is shown at a time: the last one not after it, or the first of all."""
        return max(0, bisect_right(self.times, time_s + 1e-6) - 1)

    def within(self, start_s: float, end_s: float) -> range:
        """The places of the frames with start_s <= time < end_s."""
        return range(bisect_left(self.times, start_s - 1e-6), bisect_left(self.times, end_s - 1e-6))

    def shows(self, place: int) -> bool:
        """Whether there is anything to be seen: not black, white or one colour."""
        return self.contrasts[place] >= _FLAT_LEVELS


def same_around(history: History, before_s: float, after_s: float, until_s: float, alike: float) -> bool:
    """Whether the picture just before `before_s` is seen again from `after_s` to `until_s`, by a likeness."""
    before = [place for place in history.within(before_s - FLASH_S, before_s) if history.shows(place)][-2:]
    after = [place for place in history.within(after_s, until_s) if history.shows(place)]
    pairs = ((one, other) for one in before for other in after)
    return any(likeness_moved(history.thumbs[one], history.thumbs[other]) >= alike for one, other in pairs)
