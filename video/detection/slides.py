"""Finds changes of slides: a static picture is replaced at once by another, often with the same background.

Hue and saturation hardly differ there, brightness little, and thumbnails are similar. The evidence is that edges vanish
and others appear, while nothing moves before and after. (By edges: Zabih, Miller and Mai, "A feature-based algorithm
for detecting and classifying scene breaks", ACM Multimedia 1995.)

Where a slide is built up, edges appear and none vanish: no cut. Areas that move all the time, such as a speaker in a
corner, are masked; where most of the picture moves there are no slides, and cuts are left to the other detectors.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.quality import Grey
from video.detection.transitions import Cut

_CHANGE_LEVELS = 1.5  # mean difference of the two frames: a mouse pointer or a cursor causes less
_STEADY_S = 0.3  # before and after the change, without motion
_MAX_FRAME_GAP_S = 2.5  # after the change: no frame so late is compared
_STEADY_LEVELS = 16  # maximum change of a static pixel: what a codec refines
_SUDDEN = 2.0  # of the change over the drift of static pixels in that time: a slow camera over a soft picture drifts
_DILATION_PX = 9  # pixels so near to a moving one count as moving
_STEADY_SHARE = 0.5  # of the pixels
_EDGE_LEVELS = 60.0  # stronger edges count as this: the border of a page weighs as much as a letter's
_REPLACED_SHARE = 0.2  # geometric mean of the shares of edges that vanish and that appear
_KEPT_S = 1.5


@dataclass
class SlideDetector:
    """A detector of changes of slides in frames that come in order."""

    _times: list[float] = field(default_factory=list)
    _greys: list[Grey] = field(default_factory=list)
    _changes: list[float] = field(default_factory=list)  # times of frames that differ from the previous one; undecided

    def push(self, time_s: float, bgr: NDArray[np.uint8]) -> list[Cut]:
        """Returns the cuts that the newest frame makes certain. Frames have the same size, times rise."""
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        if self._greys and cv2.norm(self._greys[-1], grey, cv2.NORM_L1) >= _CHANGE_LEVELS * grey.size:
            self._changes.append(time_s)
        self._times.append(time_s)
        self._greys.append(grey)
        due = [change for change in self._changes if change < time_s and change + _STEADY_S <= time_s]
        self._changes = self._changes[len(due) :]
        cuts = [Cut(change, change, change, "slide") for change in due if self._is_slide(change)]
        self._trim(time_s)
        return cuts

    def finish(self) -> list[Cut]:
        """Returns the changes shortly before the end of the video."""
        due, self._changes = self._changes, []
        return [Cut(change, change, change, "slide") for change in due if self._is_slide(change)]

    def _is_slide(self, change_s: float) -> bool:
        new = bisect_left(self._times, change_s)
        old = new - 1
        first = min(self._at(self._times[old] - _STEADY_S), old - 1)
        last = max(self._at(change_s + _STEADY_S), new + 1)
        if first < 0 or last >= len(self._times) or self._times[last] > change_s + _MAX_FRAME_GAP_S:
            return False  # stillness takes at least two frames before and two after it
        before, after = self._greys[old], self._greys[last]
        moves = np.maximum(cv2.absdiff(self._greys[first], before), cv2.absdiff(self._greys[new], after))
        around = np.ones((_DILATION_PX, _DILATION_PX), np.uint8)
        is_static = cv2.dilate((moves > _STEADY_LEVELS).astype(np.uint8), around) == 0
        if is_static.mean() < _STEADY_SHARE:
            return False
        drift, change = float(moves[is_static].mean()), float(cv2.absdiff(before, after)[is_static].mean())
        return change >= _SUDDEN * drift and replaced_share(before, after, is_static) >= _REPLACED_SHARE

    def _at(self, time_s: float) -> int:
        """Returns the index of the frame displayed at a time; -1 before the first."""
        return bisect_right(self._times, time_s + 1e-6) - 1

    def _trim(self, time_s: float) -> None:
        first = self._changes[0] if self._changes else time_s
        stale = min(bisect_left(self._times, min(first, time_s - _KEPT_S)), len(self._times) - 2) - 3
        if stale > len(self._times) // 2:  # rarely, and then half of them
            del self._times[:stale], self._greys[:stale]


def replaced_share(before: Grey, after: Grey, is_static: NDArray[np.bool_]) -> float:
    """Returns how much of the static part of two pictures was replaced: 0, nothing or only added to; 1, all."""
    old, new = (_edges(grey)[is_static] for grey in (before, after))
    vanished, appeared = (float(np.maximum(each, 0).sum()) for each in (old - new, new - old))
    return math.sqrt(vanished * appeared / max(float(old.sum()) * float(new.sum()), 1.0))


def _edges(grey: Grey) -> NDArray[Any]:
    """Returns the strength of the edges in levels, float32."""
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=0.25) for order in ((1, 0), (0, 1)))
    return np.minimum(np.abs(across) + np.abs(down), _EDGE_LEVELS)
