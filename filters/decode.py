"""One cheap decode of an image: grey, upright, opaque, and only as large as hashes and measures need."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from corpus.images import ImageHeader

Grey = NDArray[np.uint8]  # levels 0 to 255, (height, width)

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}
_FILLED_UP = 128
# What turns stored pixels upright, by EXIF orientation (TIFF 6.0, tag 274).
_UPRIGHT: dict[int, Callable[[Grey], Grey]] = {
    1: lambda grey: grey,
    2: lambda grey: grey[:, ::-1],
    3: lambda grey: grey[::-1, ::-1],
    4: lambda grey: grey[::-1],
    5: lambda grey: grey.T,
    6: lambda grey: np.rot90(grey, -1),
    7: lambda grey: grey[::-1, ::-1].T,
    8: lambda grey: np.rot90(grey),
}
# What decoders raise on damaged files: Pillow has no error of its own for it.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, NotImplementedError),
    *(EOFError, struct.error, zlib.error, cv2.error, Image.DecompressionBombError),
)


class UndecodableError(ValueError):
    """The bytes are no image that can be decoded whole."""


class TruncatedError(UndecodableError):
    """The decoder ran out of data before the lower edge."""


def reduction(width: int, height: int, longest_px: int, shortest_px: int) -> int:
    """By how much (8, 4, 2 or 1) the sides may be divided and still be at least so long."""
    for factor in (8, 4, 2):
        if max(width, height) // factor >= longest_px and min(width, height) // factor >= shortest_px:
            return factor
    return 1


def decode_grey(data: bytes, header: ImageHeader, longest_px: int = 160, shortest_px: int = 32) -> Grey:
    """The image as seen (EXIF orientation applied, transparency on white, the first of several frames), in grey.

    Both sides are an eighth, a quarter or half of the stored ones where they then still have `longest_px` and
    `shortest_px` pixels. JPEGs are decoded at that scale: the decoder then computes fewer frequencies of each 8×8
    block. 16 bits become 8. Raises UndecodableError for what cannot be decoded whole, which includes images without a
    size in their header and pixels without a defined white (32-bit integers, floats).

    JPEG and WebP have no checksums: damage that is followed by as much data as the decoder asks for is not noticed.
    """
    if not header.width or not header.height:
        raise UndecodableError(f"{header.format or 'unknown format'}: no size in the header")
    factor = reduction(header.width, header.height, longest_px, shortest_px)
    try:
        grey = _by_opencv(data, header, factor)
        if grey is None:
            grey = _by_pillow(data, header)
    except UndecodableError:
        raise
    except _DAMAGE as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error
    if header.format != "jpeg" and factor > 1:
        height, width = (-(-side // factor) for side in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if header.format == "tiff":  # Pillow has turned it
        return np.ascontiguousarray(grey)
    return np.ascontiguousarray(_UPRIGHT[header.orientation](grey))


def _by_opencv(data: bytes, header: ImageHeader, factor: int) -> Grey | None:
    """The fast way, for what OpenCV reads alike in all versions; None for the rest, and for damage."""
    if header.alpha or header.animated or header.format not in ("jpeg", "png", "webp", "bmp"):
        return None
    flags = _REDUCED[factor if header.format == "jpeg" else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        return None
    grey = decoded.astype(np.uint8, copy=False)
    if header.format == "jpeg" and _runs_out(grey):
        raise TruncatedError("the lower edge is filled up")
    return grey


def _runs_out(grey: Grey) -> bool:
    """Whether the lowest rows are what a decoder puts in the place of blocks that it had no data for: mid-grey.

    So it does, silently, when a JPEG was cut and then closed with an end marker. An image that begins with such a row
    has a margin or a background of that grey.
    """
    return bool((grey[-2:] == _FILLED_UP).all() and not (grey[0] == _FILLED_UP).all())


def _by_pillow(data: bytes, header: ImageHeader) -> Grey:
    with Image.open(io.BytesIO(data)) as image:
        if sorted(image.size) != sorted((header.width, header.height)):  # by which the caller judged the memory
            raise UndecodableError(f"{image.size} pixels, where the header has {header.width, header.height}")
        image.load()
        if image.mode.startswith("I;16"):
            return (np.asarray(image) >> 8).astype(np.uint8)
        if image.mode in ("I", "F"):
            raise UndecodableError(f"pixels of mode {image.mode} have no defined white")
        if image.has_transparency_data:
            seen = Image.new("RGBA", image.size, "white")
            seen.alpha_composite(image.convert("RGBA"))
            return np.array(seen.convert("L"))
        return np.array(image.convert("L"))
