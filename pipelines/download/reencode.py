"""Make an image smaller and a JPEG: upright, opaque, 8 bits, three channels."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from corpus.image.decode import Pixels, decode_stored, reduction, shrunk, upright
from corpus.image.header import sniff
from corpus.image.stock_reader import UndecodableError
from corpus.settings import Settings

__all__ = ["ReencodeSettings", "UndecodableError", "reencode"]


class ReencodeSettings(Settings):
    """Resize and re-encode at download. The default keeps all that 1280 visual tokens of 28×28 pixels can show."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    longest_side_px: int = Field(1024, ge=1, le=65_500)
    """The longest side of a stored image; larger ones are shrunk, smaller and animated ones stay as they came."""
    jpeg_quality: int = Field(90, ge=1, le=100)
    """The quality of the JPEG that is written."""


def reencode(data: bytes, longest_side_px: int, quality: int, orientation: int) -> tuple[bytes, int, int]:
    """The image as an upright JPEG whose longest side is at most `longest_side_px`: bytes, width, height.

    Never enlarges. `orientation` is the EXIF one (1 to 8; anything else is taken as 1) and is applied; no metadata is
    kept. Transparency becomes white, 16 bits become 8, of several frames the first is taken. UndecodableError for
    what is not an image, is cut off, or holds pixels without a defined white (32-bit integers, floats).
    """
    import cv2

    header = sniff(data)
    factor = reduction(header.width, header.height, longest_side_px)
    pixels = decode_stored(data, header, factor, fast=("jpeg",))
    if header.format == "tiff":
        orientation = 1  # Pillow has turned it
    pixels = upright(_limited(pixels, longest_side_px), orientation)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes(), pixels.shape[1], pixels.shape[0]


def _limited(pixels: Pixels, longest_side_px: int) -> Pixels:
    """Shrunk to the wanted longest side, if it is longer."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / longest_side_px
    if scale <= 1:
        return pixels
    return shrunk(pixels, max(1, round(height / scale)), max(1, round(width / scale)))
