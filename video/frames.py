"""The frames of a clip: sampling times, stored sizes, the buffer of a pass over a video, encoding.

PyAV is imported where it is used.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from pydantic import Field

from corpus.image.decode import Pixels
from corpus.image.pixel_budget import smart_resize
from corpus.settings import Settings
from video.decoding.frame import Bgr, Frame

_NEAR_S = 1e-6  # tolerance of a computed time against a frame's time


class FrameSettings(Settings):
    """Settings of a clip's frames: how many there are, and how they are stored."""

    frames_per_clip: int = Field(8, ge=1, description="How many frames stand for a clip, evenly spread over its time.")
    max_pixels: int = Field(
        180 * 28 * 28, ge=1, description="The most pixels (width × height) of a frame; larger ones are shrunk."
    )
    min_pixels: int = Field(
        1, ge=1, description="The fewest pixels (width × height) of a frame; smaller ones are enlarged."
    )
    multiple: int = Field(
        28, ge=1, description="The number of which each side is a multiple: patch × merge of the trainer's model."
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="The JPEG quality of the frames.")


def uniform_times(start_s: float, end_s: float, count: int) -> list[float]:
    """Returns the middles of `count` equal parts of [start_s, end_s): never an edge, where a transition may lie.

    Raises ValueError for an interval without length and for a count below 1.
    """
    if count < 1:
        raise ValueError(f"{count} frames: expected at least 1")
    if not start_s < end_s:
        raise ValueError(f"from {start_s} s to {end_s} s: an interval without length")
    return [start_s + (end_s - start_s) * (2 * part + 1) / (2 * count) for part in range(count)]


def frame_size(height: int, width: int, settings: FrameSettings) -> tuple[int, int]:
    """Returns the (height, width) at which a frame of this size is stored, which a trainer's image processor does not
    resize.

    Raises ValueError for a side below 1.
    """
    return smart_resize(height, width, settings.multiple, settings.min_pixels, settings.max_pixels)


def encode_frames(frames: Iterable[Pixels], jpeg_quality: int) -> list[bytes]:
    """Encodes each frame as a JPEG. Raises ValueError for arrays other than RGB frames of 8 bits."""
    import cv2

    encoded = []
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise ValueError(f"expected an RGB frame of 8 bits, got {frame.dtype} pixels of shape {frame.shape}")
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        encoded.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].tobytes())
    return encoded


class Downscaler:
    """A function that scales the frames of a video to one small size, upright.

    The planes of brightness and colour are scaled first, then converted by the frame's own matrix and range: at 720p
    this takes less than half the time of one step, with a mean difference of a level or two.
    """

    def __init__(self, side_px: int) -> None:
        self._side_px = side_px
        self._size: tuple[int, int] | None = None  # width and height upright, by the first frame
        self._scaler: Any = None
        self._converter: Any = None

    def __call__(self, frame: Frame) -> Bgr:
        """Scales a frame, its longer side to at most `side_px`; all to the size and shape of the first."""
        if self._size is None:
            from av.video.reformatter import VideoReformatter

            self._size = even_size(frame.size, self._side_px)
            self._scaler, self._converter = VideoReformatter(), VideoReformatter()
        if not frame.colours.are_bt709:
            return frame.bgr(self._size)
        width, height = frame.orientation.swap_size(self._size)
        planes = self._scaler.reformat(frame.picture, width, height, "yuv420p", interpolation="AREA", threads=1)
        pixels = self._converter.reformat(planes, format="bgr24", threads=1).to_ndarray()
        return np.ascontiguousarray(frame.orientation.apply(pixels))


def even_size(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Returns the width and height of frames scaled down for detection and statistics: even, and no larger than the
    frames.
    """
    scale = min(1.0, side_px / max(size))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in size)
    return width, height


@dataclass(frozen=True, eq=False)
class SampledFrame:
    """A frame of a clip, at its stored size."""

    time_s: float
    rgb: Pixels  # (height, width, 3), upright


@dataclass
class _Slot:
    """A buffered frame with the number of its cell in the grid of times."""

    number: int
    frame: SampledFrame


class FrameBuffer:
    """A buffer that keeps frames on an even grid of times, which is coarser in longer scenes.

    The finest step is min_s / n: n frames for the shortest clip. A scene that has lasted `a` seconds keeps a frame at
    least every min(a, max_s) / 2n seconds, so that, however it is split or joined, the middles of n equal parts of a
    clip have a frame within half such a part. Frames younger than `delay_s` stay on the finest grid: a cut may still be
    found there.

    The buffer holds n / min_s frames for each second of `delay_s` and of joined short scenes, about 4n for each max_s
    of two undecided clips and of the running scene. With 8 frames of 0.42 MB, 2 s and 30 s: mostly 60 frames (25 MB),
    in a long scene 140, at most 300.
    """

    def __init__(self, settings: FrameSettings, min_s: float, max_s: float, delay_s: float) -> None:
        self._settings = settings
        self._step_s = min_s / settings.frames_per_clip
        self._max_s = max_s
        self._delay_s = delay_s
        self._slots: list[_Slot] = []
        self._last_number: int | None = None

    def __len__(self) -> int:
        return len(self._slots)

    def offer(self, frame: Frame, scene_s: float) -> None:
        """Keeps the frame if it is the first in its cell of the grid. `scene_s`: the start of the running scene."""
        number = int(frame.time_s // self._step_s)
        if number == self._last_number:
            return
        self._last_number = number
        self._slots.append(_Slot(number, scale_frame(frame, self._settings)))
        self._thin(scene_s, frame.time_s - self._delay_s)

    def drop_before(self, time_s: float) -> None:
        """Drops the frames before a time, which no clip can need any more."""
        del self._slots[: bisect_left(self._slots, time_s, key=_time)]

    def pick(self, start_s: float, end_s: float) -> list[SampledFrame]:
        """Returns the frames nearest to the middles of n equal parts of a clip; none, where the buffer has none within
        it.
        """
        inside = self._slots[bisect_left(self._slots, start_s, key=_time) : bisect_left(self._slots, end_s, key=_time)]
        if not inside:
            return []
        times = uniform_times(start_s, end_s, self._settings.frames_per_clip)
        return [_nearest(inside, time_s).frame for time_s in times]

    def _thin(self, scene_s: float, until_s: float) -> None:
        age_s = min(until_s - scene_s, self._max_s)
        level = 0
        while self._step_s * 2 ** (level + 1) <= age_s / (2 * self._settings.frames_per_clip):
            level += 1
        if not level:
            return
        first = bisect_left(self._slots, scene_s, key=_time)
        last = bisect_left(self._slots, until_s, key=_time)
        running = self._slots[first:last]
        firsts = [
            slot
            for place, slot in enumerate(running)
            if not place or slot.number >> level != running[place - 1].number >> level
        ]
        self._slots[first:last] = firsts


def resize_to_first(frames: Sequence[SampledFrame]) -> list[SampledFrame]:
    """Returns a clip's frames, all at the size of the first: a video may change its size."""
    height, width = frames[0].rgb.shape[:2]
    return [
        frame
        if frame.rgb.shape[:2] == (height, width)
        else SampledFrame(
            frame.time_s, cv2.resize(frame.rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        )
        for frame in frames
    ]


def scale_frame(frame: Frame, settings: FrameSettings) -> SampledFrame:
    """Scales a frame of a video to its stored size."""
    width, height = frame.size
    stored_height, stored_width = frame_size(height, width, settings)
    return SampledFrame(frame.time_s, frame.rgb((stored_width, stored_height)))


def _time(slot: _Slot) -> float:
    return slot.frame.time_s


def _nearest(slots: Sequence[_Slot], time_s: float) -> _Slot:
    place = bisect_left(slots, time_s, key=_time)
    return min(slots[max(0, place - 1) : place + 1], key=lambda slot: abs(_time(slot) - time_s))
