"""Frames that are held, at their final size, until it is known which of them stand for a clip."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from corpus.pixels import Pixels
from video.frame import Frame
from video.sampling import FrameSettings, fitted, uniform_times


@dataclass(frozen=True, eq=False)
class Kept:
    """A frame of a clip."""

    time_s: float
    rgb: Pixels  # (height, width, 3), upright


@dataclass
class _Held:
    slot: int
    kept: Kept


class FrameStore:
    """Holds frames on an even grid of times, the coarser the longer the scene is in which they lie.

    The finest step is min_s / n: n frames for the shortest clip. A scene that has lasted `a` seconds holds a frame at
    least every min(a, max_s) / 2n seconds, so that, whatever it is split into or joined with, the middles of n equal
    parts of a clip have a frame within half such a part. What is younger than `delay_s` stays as fine as it is: a cut
    in it may still be found.

    Held at a time: n / min_s frames for each second of `delay_s` and of what is joined from short scenes, about 4n for
    each max_s of two undecided clips and of the running scene. With 8 frames of 0.42 MB, 2 s and 30 s: mostly 60 frames
    (25 MB), in a long scene 140, at worst 300.
    """

    def __init__(self, settings: FrameSettings, min_s: float, max_s: float, delay_s: float) -> None:
        self._settings = settings
        self._step_s = min_s / settings.frames
        self._most_s = max_s
        self._delay_s = delay_s
        self._held: list[_Held] = []
        self._slot: int | None = None

    def __len__(self) -> int:
        return len(self._held)

    def offer(self, frame: Frame, scene_s: float) -> None:
        """Keep the frame if it is the first in its part of the grid. `scene_s`: where the running scene began."""
        slot = int(frame.time_s // self._step_s)
        if slot == self._slot:
            return
        self._slot = slot
        self._held.append(_Held(slot, kept(frame, self._settings)))
        self._thin(scene_s, frame.time_s - self._delay_s)

    def drop_before(self, time_s: float) -> None:
        """Forget what no clip can need any more."""
        del self._held[: bisect_left(self._held, time_s, key=_time)]

    def pick(self, start_s: float, end_s: float) -> list[Kept]:
        """The frames nearest to the middles of n equal parts of a clip; none, where none was kept within it."""
        inside = self._held[bisect_left(self._held, start_s, key=_time) : bisect_left(self._held, end_s, key=_time)]
        if not inside:
            return []
        times = uniform_times(start_s, end_s, self._settings.frames)
        return [_nearest(inside, time_s).kept for time_s in times]

    def _thin(self, scene_s: float, until_s: float) -> None:
        age_s = min(until_s - scene_s, self._most_s)
        level = 0
        while self._step_s * 2 ** (level + 1) <= age_s / (2 * self._settings.frames):
            level += 1
        if not level:
            return
        first = bisect_left(self._held, scene_s, key=_time)
        last = bisect_left(self._held, until_s, key=_time)
        running = self._held[first:last]
        firsts = [
            held for at, held in enumerate(running) if not at or held.slot >> level != running[at - 1].slot >> level
        ]
        self._held[first:last] = firsts


def of_one_size(frames: Sequence[Kept]) -> list[Kept]:
    """A clip's frames, all of the first one's size: a video may change its own in the middle."""
    height, width = frames[0].rgb.shape[:2]
    return [
        one
        if one.rgb.shape[:2] == (height, width)
        else Kept(one.time_s, cv2.resize(one.rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8))
        for one in frames
    ]


def kept(frame: Frame, settings: FrameSettings) -> Kept:
    """The frame at the size at which it is stored."""
    width, height = frame.size
    high, wide = fitted(height, width, settings)
    return Kept(frame.time_s, frame.rgb((wide, high)))


def _time(held: _Held) -> float:
    return held.kept.time_s


def _nearest(held: Sequence[_Held], time_s: float) -> _Held:
    place = bisect_left(held, time_s, key=_time)
    return min(held[max(0, place - 1) : place + 1], key=lambda one: abs(_time(one) - time_s))
