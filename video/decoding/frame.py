"""One frame of a video, which is converted, turned and scaled on demand. PyAV is imported where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from corpus.image.decode import Pixels
from video.decoding.tone_mapping import Colours, colours_of, to_sdr

if TYPE_CHECKING:
    import av

Bgr = Pixels  # (height, width, 3), blue first


class Orientation(NamedTuple):
    """The steps that turn a stored picture upright: rows and columns are transposed first, then it is mirrored."""

    transposed: bool = False
    mirrored: bool = False  # left and right change places
    flipped: bool = False  # top and bottom change places

    @property
    def rotation(self) -> int:
        """Degrees counterclockwise by which the picture is turned, after it is mirrored where `is_mirror_image`."""
        return {
            (False, False, False): 0,
            (True, False, True): 90,
            (False, True, True): 180,
            (True, True, False): 270,
            (False, True, False): 0,
            (True, False, False): 90,
            (False, False, True): 180,
            (True, True, True): 270,
        }[self]

    @property
    def is_mirror_image(self) -> bool:
        """Whether the picture is mirrored, whatever the turn."""
        return sum(self) % 2 == 1

    def apply(self, pixels: Pixels) -> Pixels:
        """Returns the upright picture of an array (height, width, ...)."""
        upright = pixels.swapaxes(0, 1) if self.transposed else pixels
        return upright[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1]

    def swap_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Converts the (width, height) of a stored picture into that of the upright one, and back."""
        return size[::-1] if self.transposed else size


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """Returns the orientation by the display matrix of a decoded frame, which may be the container's or the encoder's.

    A matrix maps (x, y) to (a·x + c·y, b·x + d·y), as ISO/IEC 14496-12 (6.2.2) defines it; the nearest of the eight
    turns and mirror images is taken. PyAV's `VideoFrame.rotation` knows no mirror images. A frame whose side data were
    read is freed by the garbage collector only: not to be called for every frame of a video.
    """
    found = picture.side_data.get("DISPLAYMATRIX")
    if found is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(cast("Any", found)), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


_UPRIGHT = Orientation()


@dataclass(slots=True, eq=False)
class Frame:
    """One decoded frame. `picture` is libav's, as stored: not converted, not turned."""

    time_s: float
    keyframe: bool
    picture: av.VideoFrame
    orientation: Orientation
    pixel_aspect: Fraction  # width of a stored pixel by its height
    _scalers: dict[Any, Any] = field(repr=False)

    @property
    def colours(self) -> Colours:
        """The colour tags of the stored picture."""
        return colours_of(self.picture)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when upright, in square pixels: the stored height is kept, the width follows."""
        return self.orientation.swap_size(self.square_size)

    @property
    def square_size(self) -> tuple[int, int]:
        """Width and height in square pixels, before the picture is turned upright."""
        return max(1, round(self.picture.width * self.pixel_aspect)), self.picture.height

    @property
    def stored_as_displayed(self) -> bool:
        """Whether a reader that ignores orientation, pixel aspect and HDR displays the stored picture correctly."""
        return self.orientation == _UPRIGHT and self.pixel_aspect == 1 and self.colours.are_bt709

    def rgb(self, size: tuple[int, int] | None = None) -> Pixels:
        """Returns upright pixels (height, width, 3), red first, scaled to `size` (width, height) while they are
        converted.
        """
        return self._converted("rgb24", size)

    def bgr(self, size: tuple[int, int] | None = None) -> Pixels:
        """Returns pixels as `rgb`, blue first, as OpenCV has them."""
        return self._converted("bgr24", size)

    def grey(self, size: tuple[int, int] | None = None) -> Pixels:
        """Returns upright levels (height, width) of brightness."""
        return self._converted("gray", size)

    def _converted(self, kind: str, size: tuple[int, int] | None) -> Pixels:
        width, height = self.orientation.swap_size(size or self.size)
        interpolation = "AREA" if width < self.picture.width else "BICUBIC"  # areas are averaged when it shrinks
        colours = self.colours
        if colours.are_bt709:
            scaler = self._cached((width, height, kind), _reformatter)
            small = scaler.reformat(self.picture, width, height, kind, interpolation=interpolation, threads=1)
        else:
            small = to_sdr(self.picture, colours, (width, height), kind, interpolation, self._scalers)
        return np.ascontiguousarray(self.orientation.apply(small.to_ndarray()))  # libav pads its rows

    def _cached(self, key: Any, make: Any) -> Any:
        return self._scalers.get(key) or self._scalers.setdefault(key, make())


def _reformatter() -> Any:
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()
