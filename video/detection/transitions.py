"""Finds fades, dissolves and flashes in the thumbnails of the last seconds.

A fade leads through black, white or one colour: the contrast of the pictures dips. In a dissolve each picture is the
mean of those some time before and after it, while these differ much; camera motion has no such mean. (The linear model
is that of Hampapur, Jain and Weymouth, Multimedia Tools and Applications 1995.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.float32]  # (12, 16)

FLASH_S = 0.5  # after a flash, the picture is back within this time
_WIDTH, _HEIGHT = 16, 12
_MIN_CONTRAST_LEVELS = 8.0  # of contrast: thumbnails with less are blank


def thumbnail_of(bgr: NDArray[np.uint8]) -> Thumbnail:
    """Returns a picture as 12×16 grey levels, float32."""
    small = cv2.resize(bgr, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)


def contrast_of(thumbnail: Thumbnail) -> float:
    """Returns the grey levels between the lowest and the highest tenth: a subtitle or a logo on black doesn't count."""
    ranked = np.sort(thumbnail, axis=None)
    return float(ranked[ranked.size * 9 // 10] - ranked[ranked.size // 10])


def ncc(one: Thumbnail, other: Thumbnail) -> float:
    """Returns the normalized cross-correlation of two thumbnails, -1 to 1, independent of the light; 0 where one is
    blank.
    """
    return float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])


def ncc_shifted(one: Thumbnail, other: Thumbnail) -> float:
    """Returns the best `ncc` over shifts by up to two columns and a row, for camera motion."""
    return float(cv2.matchTemplate(other, one[1:-1, 2:-2], cv2.TM_CCOEFF_NORMED).max())


@dataclass
class ThumbnailHistory:
    """The thumbnails of the last seconds, by time. Indices count from the oldest kept one, so they change."""

    kept_s: float
    times: list[float] = field(default_factory=list)
    thumbnails: list[Thumbnail] = field(default_factory=list)
    contrasts: list[float] = field(default_factory=list)

    def push(self, time_s: float, thumbnail: Thumbnail) -> None:
        """Adds a thumbnail and drops those that are too old."""
        self.times.append(time_s)
        self.thumbnails.append(thumbnail)
        self.contrasts.append(contrast_of(thumbnail))
        if self.times[len(self.times) // 2] < time_s - self.kept_s:  # rarely, and then half of them
            stale = bisect_left(self.times, time_s - self.kept_s)
            del self.times[:stale], self.thumbnails[:stale], self.contrasts[:stale]

    def at(self, time_s: float) -> int:
        """Returns the index of the frame displayed at a time: the last one not after it, or the first of all."""
        return max(0, bisect_right(self.times, time_s + 1e-6) - 1)

    def within(self, start_s: float, end_s: float) -> range:
        """Returns the indices of the frames with start_s <= time < end_s."""
        return range(bisect_left(self.times, start_s - 1e-6), bisect_left(self.times, end_s - 1e-6))

    def has_content(self, place: int) -> bool:
        """Returns whether a thumbnail has contrast: it is not black, white or one colour."""
        return self.contrasts[place] >= _MIN_CONTRAST_LEVELS


def same_around(history: ThumbnailHistory, before_s: float, after_s: float, until_s: float, min_ncc: float) -> bool:
    """Returns whether the picture just before `before_s` is shown again from `after_s` to `until_s`, by correlation."""
    before = [place for place in history.within(before_s - FLASH_S, before_s) if history.has_content(place)][-2:]
    after = [place for place in history.within(after_s, until_s) if history.has_content(place)]
    pairs = ((one, other) for one in before for other in after)
    return any(ncc_shifted(history.thumbnails[one], history.thumbnails[other]) >= min_ncc for one, other in pairs)


RANKS = {"slide": -1, "fade": 0, "cut": 1, "dissolve": 2, "flash": 3}  # of one event the lowest is valid

_REACH_S = 1.0  # from a fade's run, or from a dissolve's middle, to its edges at most
_MIN_BESIDE_LEVELS = 12.0  # of contrast, beside a fade
_DIP = 0.3  # contrast in the dip of a fade, over that beside it
_PALE_S = 0.6  # a longer dip must reach down to a blank picture
_FLAT_LEVELS = 5.0  # of contrast: black, white or one colour, with codec noise
_REACHES_S = (0.16, 0.32, 0.64)  # from the middle of a dissolve to both sides: near for motion, far for slow ones
_DISSOLVE_LEVELS = 9.0  # mean difference between both sides of a dissolve
_DISSOLVE_BEND = 0.25  # distance of the middle from the mean of both sides, over the sides' distance; 0.5 at a cut
_DIFFERENT = 0.6  # correlation below which two pictures are different
_FLASH_S = 0.08  # half a flash
_STEADY = 0.85  # correlation of a picture with itself twice that time later
_DISSOLVE_S = 2.0  # a longer steady change is no transition


@dataclass(frozen=True, order=True)
class Cut:
    """A boundary between two scenes."""

    time_s: float  # of the first frame of the new scene; of the middle of a transition
    start_s: float  # of the first frame within the transition; at a hard cut `time_s`
    end_s: float  # of the first frame after the transition; at a hard cut `time_s`
    kind: Literal["cut", "slide", "fade", "dissolve", "flash"] = "cut"


@dataclass
class FadeDetector:
    """A detector of dips of the contrast: a cut in the middle of each."""

    history: ThumbnailHistory
    _dip: list[float] = field(default_factory=list)  # times of the frames of a dip that may continue

    def push(self, time_s: float) -> list[Cut]:
        """Returns the cut that the newest frame makes certain, if any."""
        place = self.history.at(time_s - _REACH_S)
        if _dips(self.history, place):
            self._dip.append(self.history.times[place])
            return []
        return self.finish()

    def finish(self) -> list[Cut]:
        """Returns the fade shortly before the end of the video."""
        dip, self._dip = self._dip, []
        return _fade(self.history, dip[0], dip[-1]) if dip else []


@dataclass
class BlankDetector:
    """A detector of blank scenes, too long for a dip: a cut before each, and one after it."""

    history: ThumbnailHistory
    _run: tuple[float, float] | None = None  # first and last time of the current run of blank frames
    _run_end_s: float | None = None  # end of a long run whose following frames are yet to come

    def push(self, time_s: float) -> list[Cut]:
        """Returns the cuts that the newest frame makes certain."""
        cuts = self._after() if self._run_end_s is not None and time_s > self._run_end_s + _REACH_S else []
        if self.history.contrasts[-1] < _FLAT_LEVELS:
            was_long = self._long()
            self._run = (self._run[0] if self._run else time_s, time_s)
            return cuts + ([] if was_long or not self._long() else self._before(self._run[0]))
        if self._long() and self._run:
            self._run_end_s = self._run[1]
        self._run = None
        return cuts

    def finish(self) -> list[Cut]:
        """Returns the cut after a blank scene that ended shortly before the video."""
        return self._after() if self._run_end_s is not None else []

    def _long(self) -> bool:
        return self._run is not None and self._run[1] - self._run[0] > 2 * _REACH_S

    def _before(self, first_s: float) -> list[Cut]:
        first = self.history.at(first_s)
        before = _climb(self.history, first, -1)
        if before == first or self.history.contrasts[before] < _MIN_BESIDE_LEVELS:
            return []
        return [Cut(first_s, self.history.times[before + 1], first_s, "fade")]

    def _after(self) -> list[Cut]:
        assert self._run_end_s is not None
        last, self._run_end_s = self.history.at(self._run_end_s), None
        after = _climb(self.history, last, +1)
        if self.history.contrasts[after] < _MIN_BESIDE_LEVELS:
            return []
        new_s = self.history.times[last + 1]
        return [Cut(new_s, new_s, self.history.times[after], "fade")]


@dataclass
class DissolveDetector:
    """A detector of frames that are the mean of those around them; the middle of such a run is the middle of a
    dissolve.
    """

    history: ThumbnailHistory
    _run: list[float] = field(default_factory=list)  # times of such frames, up to now
    _ended: list[float] = field(default_factory=list)  # middles of runs whose following frames are yet to come

    def push(self, time_s: float) -> list[Cut]:
        """Returns the cuts that the newest frame makes certain."""
        middle_s = self.history.times[self.history.at(time_s - _REACHES_S[-1])]
        if any(_is_middle(self.history, middle_s, reach_s) for reach_s in _REACHES_S):
            self._run.append(middle_s)
        elif self._run:
            if self._run[-1] - self._run[0] < _DISSOLVE_S:
                self._ended.append(self._run[len(self._run) // 2])
            self._run = []
        due = [middle for middle in self._ended if time_s > middle + _REACH_S]
        self._ended = [middle for middle in self._ended if time_s <= middle + _REACH_S]
        return [_dissolve(self.history, middle) for middle in due]

    def finish(self) -> list[Cut]:
        """Returns the dissolves shortly before the end of the video."""
        return [_dissolve(self.history, middle) for middle in self._ended]


@dataclass
class FlashDetector:
    """A detector of steady pictures that are replaced, whatever lies between: cuts that a flash has hidden."""

    history: ThumbnailHistory
    _run: list[float] = field(default_factory=list)  # times of the middles of such changes, up to now

    def push(self, time_s: float) -> list[Cut]:
        """Returns the cut that the newest frame makes certain, if any."""
        middle_s = self.history.times[self.history.at(time_s - 3 * _FLASH_S)]
        if self._changes(middle_s):
            self._run.append(middle_s)
            return []
        return self.finish()

    def finish(self) -> list[Cut]:
        """Returns the cut shortly before the end of the video."""
        run, self._run = self._run, []
        if not run:
            return []
        history, middle_s = self.history, run[len(run) // 2]
        start, end = history.at(middle_s - _FLASH_S) + 1, history.at(middle_s + _FLASH_S)
        return [Cut(middle_s, min(middle_s, history.times[start]), max(middle_s, history.times[end]), "flash")]

    def _changes(self, middle_s: float) -> bool:
        places = [self.history.at(middle_s + offset * _FLASH_S) for offset in (-3, -1, 1, 3)]
        early, before, after, late = (self.history.thumbnails[place] for place in places)
        if len(set(places)) < 4 or ncc(before, after) >= _DIFFERENT:
            return False
        steady = min(ncc_shifted(early, before), ncc_shifted(after, late)) >= _STEADY
        return steady and ncc_shifted(before, after) < _DIFFERENT


def _dips(history: ThumbnailHistory, place: int) -> bool:
    """Returns whether the contrast is far below its maxima within a second before and after."""
    time_s, contrasts = history.times[place], history.contrasts
    first, last = history.at(time_s - _REACH_S), history.at(time_s + _REACH_S)
    beside = min(max(contrasts[first : place + 1]), max(contrasts[place : last + 1]))
    return beside >= _MIN_BESIDE_LEVELS and contrasts[place] < _DIP * beside


def _fade(history: ThumbnailHistory, first_s: float, last_s: float) -> list[Cut]:
    """Returns the cut in a dip, unless that is a pale or dark shot between two others."""
    first, last = history.at(first_s), history.at(last_s)
    if last_s - first_s > _PALE_S and max(history.contrasts[first : last + 1]) > _FLAT_LEVELS:
        return []
    left, right = _climb(history, first, -1), _climb(history, last, +1)
    middle_s = history.times[(first + last + 1) // 2]
    return [Cut(middle_s, history.times[min(left + 1, first)], history.times[right], "fade")]


def _climb(history: ThumbnailHistory, place: int, step: Literal[-1, 1]) -> int:
    """Walks from a blank frame outwards to the first that the fade doesn't touch, where the contrast stops rising."""
    limit = history.times[place] + step * _REACH_S
    contrasts = history.contrasts
    while 0 <= place + step < len(contrasts) and (history.times[place + step] - limit) * step <= 0:
        if contrasts[place] > _FLAT_LEVELS and contrasts[place + step] <= contrasts[place] * 1.02:
            break
        place += step
    return place


def _is_middle(history: ThumbnailHistory, middle_s: float, reach_s: float) -> bool:
    before, after = history.at(middle_s - reach_s), history.at(middle_s + reach_s)
    if history.times[before] > middle_s - reach_s / 2 or not (
        history.has_content(before) and history.has_content(after)
    ):
        return False
    first, second = history.thumbnails[before], history.thumbnails[after]
    difference = float(np.abs(second - first).mean())
    if difference < _DISSOLVE_LEVELS:
        return False
    deviation = float(np.abs(history.thumbnails[history.at(middle_s)] - (first + second) / 2).mean())
    return deviation < _DISSOLVE_BEND * difference and ncc(first, second) < _DIFFERENT


def _dissolve(history: ThumbnailHistory, middle_s: float) -> Cut:
    """Returns the cut of a dissolve; its edges follow from the share of the later picture in each frame."""
    first, middle, last = (history.at(middle_s + off_s) for off_s in (-_REACH_S, 0, _REACH_S))
    shares = _shares(history.thumbnails[first : last + 1])
    start = end = middle - first
    while start > 0 and shares[start - 1] > 0.08:
        start -= 1
    while end < len(shares) - 1 and shares[end] < 0.92:
        end += 1
    return Cut(middle_s, history.times[first + start], history.times[first + end], "dissolve")


def _shares(thumbnails: list[Thumbnail]) -> list[float]:
    """Returns the position of each picture between the first (0) and the last (1), by projection."""
    way = (thumbnails[-1] - thumbnails[0]).ravel()
    length = float(way @ way) or 1.0
    return [float((thumbnail - thumbnails[0]).ravel() @ way) / length for thumbnail in thumbnails]
