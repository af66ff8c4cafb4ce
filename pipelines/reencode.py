"""Make an image smaller and a JPEG: upright, opaque, 8 bits, three channels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from corpus.settings import Settings

Pixels = NDArray[np.uint8]

# What turns stored pixels upright, by EXIF orientation (TIFF 6.0, tag 274). 1 is upright.
_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}
_END_OF_JPEG = b"\xff\xd9"
_AROUND_THE_END = 1024  # bytes: what cameras and editors append after the end marker mostly fits


class ReencodeSettings(Settings):
    """Resize and re-encode at download. The default keeps all that 1280 visual tokens of 28×28 pixels can show."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    longest_side_px: int = Field(1024, ge=1, le=65_500)
    """Larger images are made this large; smaller ones keep their size."""
    quality: int = Field(90, ge=1, le=100)
    """Of the JPEG that is written."""


class UndecodableError(ValueError):
    """The bytes are no image that can be decoded whole."""


def reencode(data: bytes, longest_side_px: int, quality: int, orientation: int) -> tuple[bytes, int, int]:
    """The image as an upright JPEG whose longest side is at most `longest_side_px`: bytes, width, height.

    Never enlarges. `orientation` is the EXIF one (1 to 8; anything else is taken as 1) and is applied; no metadata is
    kept. Transparency becomes white, 16 bits become 8, of several frames the first is taken. UndecodableError for
    what is not an image, is cut off, or holds pixels without a defined white (32-bit integers, floats).
    """
    import cv2
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:  # reads the header only
            if image.format == "JPEG" and image.mode in ("RGB", "L") and _END_OF_JPEG in data[-_AROUND_THE_END:]:
                pixels = _decode_jpeg(data, max(image.size), longest_side_px)
            else:
                pixels = _decode_strictly(image)
    except (
        *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, NotImplementedError),
        *(EOFError, struct.error, zlib.error, cv2.error, Image.DecompressionBombError),
    ) as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error
    pixels = _shrink(pixels, longest_side_px)
    if orientation in _UPRIGHT:
        pixels = np.ascontiguousarray(_UPRIGHT[orientation](pixels))
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes(), pixels.shape[1], pixels.shape[0]


def _decode_jpeg(data: bytes, longest: int, wanted: int) -> Pixels:
    """BGR pixels (height, width, 3), at a half, a quarter or an eighth where that is still as large as wanted.

    The decoder then computes fewer frequencies of each 8×8 block, which is cheaper than computing and averaging them.
    """
    import cv2

    flags = cv2.IMREAD_COLOR
    for factor, reduced in (
        (8, cv2.IMREAD_REDUCED_COLOR_8),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
    ):
        if longest >= factor * wanted:
            flags = reduced
            break
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise UndecodableError("damaged JPEG")
    return pixels.astype(np.uint8, copy=False)


def _decode_strictly(image: object) -> Pixels:
    """BGR pixels (height, width, 3) of any other image.

    By Pillow, which refuses what is cut off; OpenCV, depending on version and format, fills the rest with grey.
    """
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise UndecodableError(f"pixels of mode {image.mode} have no defined white")
    if image.has_transparency_data:
        seen = Image.new("RGBA", image.size, "white")
        seen.alpha_composite(image.convert("RGBA"))
        image = seen
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def _shrink(pixels: Pixels, longest_side_px: int) -> Pixels:
    """Area averaging to the wanted longest side."""
    import cv2

    height, width = pixels.shape[:2]
    scale = max(height, width) / longest_side_px
    if scale <= 1:
        return np.ascontiguousarray(pixels)
    wide, high = max(1, round(width / scale)), max(1, round(height / scale))
    if scale < 2:
        # Means of 2×2 interpolated samples are within a level or two of INTER_AREA's exact means, and both steps have
        # vectorised code, which fractional areas have not: 0.9 ms instead of 2.4 ms from 650×650 to 384×384.
        pixels = cv2.resize(pixels, (2 * wide, 2 * high), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    return cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
