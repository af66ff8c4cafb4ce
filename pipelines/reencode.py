"""Make an image smaller and a JPEG: upright, opaque, 8 bits, three channels."""

from __future__ import annotations

import io

from pydantic import ConfigDict, Field

from corpus.pixels import Pixels, UndecodableError, damage, decode_jpeg, opaque, reduction, shrunk, upright
from corpus.settings import Settings

__all__ = ["ReencodeSettings", "UndecodableError", "reencode"]

_END_OF_JPEG = b"\xff\xd9"
_AROUND_THE_END = 1024  # bytes: what cameras and editors append after the end marker mostly fits


class ReencodeSettings(Settings):
    """Resize and re-encode at download. The default keeps all that 1280 visual tokens of 28×28 pixels can show."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    longest_side_px: int = Field(1024, ge=1, le=65_500)
    """Larger images are made this large; smaller ones keep their size."""
    quality: int = Field(90, ge=1, le=100)
    """Of the JPEG that is written."""


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
            if image.format == "TIFF":
                orientation = 1  # Pillow turns it
            if image.format == "JPEG" and image.mode in ("RGB", "L") and _END_OF_JPEG in data[-_AROUND_THE_END:]:
                pixels = _decode_jpeg(data, reduction(*image.size, longest_side_px))
            else:
                # By Pillow, which refuses what is cut off; OpenCV, depending on version and format, fills the rest up.
                pixels = opaque(image, "RGB")[:, :, ::-1]
    except damage() as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error
    pixels = upright(_limited(pixels, longest_side_px), orientation)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes(), pixels.shape[1], pixels.shape[0]


def _decode_jpeg(data: bytes, factor: int) -> Pixels:
    pixels = decode_jpeg(data, factor)
    if pixels is None:
        raise UndecodableError("damaged JPEG")
    return pixels


def _limited(pixels: Pixels, longest_side_px: int) -> Pixels:
    """Shrunk to the wanted longest side, if it is longer."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / longest_side_px
    if scale <= 1:
        return pixels
    return shrunk(pixels, max(1, round(height / scale)), max(1, round(width / scale)))
