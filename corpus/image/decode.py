"""An image's pixels as they are seen: upright and opaque, in colour or in grey.

OpenCV and Pillow are imported where they are used: settings, plans and the command line need neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from corpus.image.header import ImageHeader
from corpus.image.stock_reader import (
    TruncatedError,
    UndecodableError,
    check_header,
    decoder_errors,
    load_image,
    open_image,
)

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]  # levels 0 to 255: (height, width, 3), or (height, width) for grey

OPENCV_FORMATS = frozenset({"jpeg", "png", "webp", "bmp"})  # formats that OpenCV reads as Pillow does
_FILLED_UP = 128
# What turns stored pixels upright, by EXIF orientation (TIFF 6.0, tag 274). 1 is upright.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def decode_rgb(data: bytes, header: ImageHeader, longest_px: int = 0, shortest_px: int = 0) -> Pixels:
    """Returns RGB pixels (height, width, 3) of the image as seen: EXIF orientation applied, transparency on white, 16
    bits made 8, the first of several frames.

    A JPEG is decoded at an eighth, a quarter or half of its size where its sides then still have `longest_px` and
    `shortest_px` pixels; 0 for both: at its full size. All else comes at its full size: `resize` is the caller's.
    Raises UndecodableError for what cannot be decoded whole, which includes images without a size in their header and
    pixels without a defined white (32-bit integers, floats). Memory is by the header's size: refuse bombs before.
    """
    factor = jpeg_scale(header.width, header.height, longest_px, shortest_px) if longest_px or shortest_px else 1
    pixels = decode_stored(data, header, factor, OPENCV_FORMATS)
    return apply_orientation(pixels, 1 if header.format == "tiff" else header.orientation)  # Pillow has turned a TIFF


def decode_stored(data: bytes, header: ImageHeader, factor: int = 1, fast: Collection[str] = ()) -> Pixels:
    """Decodes as `decode_rgb`, but turns nothing upright (except a TIFF); the sides of a JPEG are divided by 1, 2, 4 or
    8.

    Images of the formats in `fast` are decoded by OpenCV, which takes half the time and reads some that Pillow refuses.
    """
    with decoder_errors():
        check_header(header)
        pixels = _by_opencv(data, header, factor) if header.format in fast else None
        if pixels is None:
            image = open_image(data, header)
            if header.format == "jpeg":
                set_jpeg_scale(image, factor)
            load_image(image, data, header)
            pixels = flatten_alpha(image, "RGB")
    if header.format == "jpeg" and seems_truncated(pixels):
        raise TruncatedError("the lower edge is filled up")
    return pixels


def _by_opencv(data: bytes, header: ImageHeader, factor: int) -> Pixels | None:
    """Decodes in the fast way what OpenCV reads as Pillow does; None for the rest, and for damage."""
    import cv2

    if header.alpha or header.animated or (header.format == "jpeg" and header.channels not in (1, 3)):
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _colour_flags(factor if header.format == "jpeg" else 1))
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _colour_flags(factor: int) -> int:
    import cv2

    reduced = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    return reduced[factor] | cv2.IMREAD_IGNORE_ORIENTATION


def set_jpeg_scale(image: Image.Image, factor: int, mode: str | None = None) -> None:
    """Makes an opened JPEG be decoded with its sides divided by 1, 2, 4 or 8, and in colour as `mode` "L" in grey.

    The decoder then computes fewer frequencies of each 8×8 block, which is cheaper than computing and averaging them.
    """
    if factor > 1 or mode:
        image.draft(mode, (max(1, image.width // factor), max(1, image.height // factor)))


def jpeg_scale(width: int, height: int, longest_px: int, shortest_px: int = 0) -> int:
    """Returns by how much (8, 4, 2 or 1) the sides may be divided and still be at least so long."""
    for factor in (8, 4, 2):
        if max(width, height) // factor >= longest_px and min(width, height) // factor >= shortest_px:
            return factor
    return 1


def seems_truncated(pixels: Pixels) -> bool:
    """Returns whether the lowest rows are what a decoder puts in the place of blocks that it had no data for: mid-grey.

    So it does, silently, when a JPEG was cut and then closed with an end marker. An image that begins with such a row
    has a margin or a background of that grey.
    """
    if not (pixels[-1, -1] == _FILLED_UP).all():  # most images: the rest need not be looked at
        return False
    return bool((pixels[-2:] == _FILLED_UP).all() and not (pixels[0] == _FILLED_UP).all())


def flatten_alpha(image: Image.Image, mode: str) -> Pixels:
    """Returns the 8-bit levels of an image that Pillow has opened, in `mode` L or RGB, as stored, transparency on
    white.

    Raises UndecodableError for pixels without a defined white.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return grey if mode == "L" else np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise UndecodableError(f"pixels of mode {image.mode} have no defined white")
    if image.has_transparency_data:
        opened = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), opened)
    if image.mode == "LAB":
        image = image.convert("RGB")  # there is no other way from it
    if image.mode != mode:
        image = image.convert(mode)  # in the place of what was composed, which is freed before the levels are copied
    return np.asarray(image)


def apply_orientation(pixels: Pixels, orientation: int) -> Pixels:
    """Turns stored pixels upright, contiguous. `orientation` is EXIF's, 1 to 8; anything else is taken as 1."""
    turn = _TURNS.get(orientation)
    return np.ascontiguousarray(pixels if turn is None else turn(pixels))


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resizes pixels, whatever that does to their shape: averages areas where it shrinks, cubic where it grows."""
    import cv2

    high, wide = pixels.shape[:2]
    if height <= high and width <= wide:
        return downscale(pixels, height, width)
    if height < high or width < wide:
        smallest = (min(wide, width), min(high, height))
        pixels = cv2.resize(pixels, smallest, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def downscale(pixels: Pixels, height: int, width: int) -> Pixels:
    """Scales pixels down to a size that is smaller, or the same, on both sides, by averaging areas."""
    import cv2

    high, wide = pixels.shape[:2]
    if (height, width) == (high, wide):
        return np.ascontiguousarray(pixels)
    if max(high, wide) < 2 * max(height, width):
        # Means of 2×2 interpolated samples are within a level or two of INTER_AREA's exact means, and both steps have
        # vectorised code, which fractional areas have not: 0.9 ms instead of 2.4 ms from 650×650 to 384×384.
        doubled = (2 * width, 2 * height)
        pixels = cv2.resize(pixels, doubled, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
