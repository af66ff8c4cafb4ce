"""One frame of a video, converted, turned and scaled only when it is looked at. PyAV is imported where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.pixels import Pixels

if TYPE_CHECKING:
    import av


@dataclass(slots=True, eq=False)
class Frame:
    """One decoded frame. `picture` is libav's, as stored: not yet converted, not turned."""

    time_s: float
    keyframe: bool
    picture: av.VideoFrame
    _scalers: dict[tuple[int, int, str], Any] = field(repr=False)

    @property
    def turns(self) -> int:
        """Quarter turns, counterclockwise, that bring the stored picture upright: 0 to 3."""
        return round(self.picture.rotation / 90) % 4

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when turned upright, in stored pixels."""
        width, height = self.picture.width, self.picture.height
        return (height, width) if self.turns % 2 else (width, height)

    def rgb(self, size: tuple[int, int] | None = None) -> Pixels:
        """Upright pixels (height, width, 3), red first, brought to `size` (width, height) while they are converted."""
        return self._converted("rgb24", size)

    def bgr(self, size: tuple[int, int] | None = None) -> Pixels:
        """As `rgb`, blue first, as OpenCV has them."""
        return self._converted("bgr24", size)

    def grey(self, size: tuple[int, int] | None = None) -> Pixels:
        """Upright levels (height, width) of brightness."""
        return self._converted("gray", size)

    def _converted(self, kind: str, size: tuple[int, int] | None) -> Pixels:
        from av.video.reformatter import VideoReformatter

        turns = self.turns
        wide, high = size or self.size
        key = (high, wide, kind) if turns % 2 else (wide, high, kind)
        scaler = self._scalers.get(key) or self._scalers.setdefault(key, VideoReformatter())
        width, height, _ = key
        how = _interpolation(self.picture, width)
        small = scaler.reformat(self.picture, width, height, kind, interpolation=how, threads=1)
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), turns))  # libav pads its rows


def _interpolation(picture: av.VideoFrame, width: int) -> str:
    """Areas averaged where the picture shrinks, cubic where it grows."""
    return "AREA" if width < picture.width else "BICUBIC"
