"""One cheap decode of an image: grey, upright, opaque, and only as large as hashes and measures need."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from corpus.images import ImageHeader
from corpus.pixels import TruncatedError, UndecodableError, damage, opaque, reduction, runs_out, upright

__all__ = ["Grey", "TruncatedError", "UndecodableError", "decode_grey", "reduction"]

Grey = NDArray[np.uint8]  # levels 0 to 255, (height, width)

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}


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
    except damage() as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error
    if header.format != "jpeg" and factor > 1:
        height, width = (-(-side // factor) for side in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return upright(grey, 1 if header.format == "tiff" else header.orientation)  # Pillow has turned a TIFF


def _by_opencv(data: bytes, header: ImageHeader, factor: int) -> Grey | None:
    """The fast way, for what OpenCV reads alike in all versions; None for the rest, and for damage."""
    if header.alpha or header.animated or header.format not in ("jpeg", "png", "webp", "bmp"):
        return None
    flags = _REDUCED[factor if header.format == "jpeg" else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        return None
    grey = decoded.astype(np.uint8, copy=False)
    if header.format == "jpeg" and runs_out(grey):
        raise TruncatedError("the lower edge is filled up")
    return grey


def _by_pillow(data: bytes, header: ImageHeader) -> Grey:
    with Image.open(io.BytesIO(data)) as image:
        if sorted(image.size) != sorted((header.width, header.height)):  # by which the caller judged the memory
            raise UndecodableError(f"{image.size} pixels, where the header has {header.width, header.height}")
        return np.array(opaque(image, "L"))
