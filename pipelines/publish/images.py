"""Compares the picture that a stock reader decodes from published bytes with the one that was inspected.

Inspection (`filters`) computes a pHash of each picture; the published bytes must show that picture to a reader which
knows no EXIF orientation, alpha or colour space. Images of which it would show another are re-encoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from corpus.image.decode import Pixels, jpeg_scale
from corpus.image.encode import rewrite
from corpus.image.header import sniff
from corpus.image.phash import perceptual_hashes
from corpus.image.quality import MEASURED_PX
from corpus.image.stock_reader import UndecodableError, decoder_errors
from filters.image.grey import read_grey_image, shrink_grey

# Bits of 64 between the hash of a JPEG at a fraction of its size, as it was inspected, and at full size. Of 1,200
# photographs of all sizes and qualities none differed by more; another picture differs by about 32.
NEAR_BITS = 8
_SHORTEST_PX = 32
_FLAT = 3.0  # standard deviation of grey levels below which a picture's hash is one of its noise


def stock_pixels(content: bytes) -> Pixels:
    """Decodes an image to RGB pixels (height, width, 3) as stock webdataset does.

    Raises UndecodableError with Pillow's message.
    """
    with decoder_errors(), Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def stock_hash(pixels: Pixels) -> int:
    """Computes the pHash of RGB pixels at full size in the way of inspection."""
    height, width = pixels.shape[:2]
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return perceptual_hashes(shrink_grey(grey, jpeg_scale(width, height, MEASURED_PX, _SHORTEST_PX)))[0]


def same_picture(one: int, other: int) -> bool:
    """Returns whether two hashes are of the same picture."""
    return (one ^ other).bit_count() <= NEAR_BITS


def matches_inspection(content: bytes, phash: int) -> bool:
    """Returns whether the bytes are a JPEG that a stock reader decodes correctly and whose inspection gives this hash.

    Inspection decodes JPEGs at a fraction of their size, where a flat picture's hash is of its noise, and damage has
    another appearance.
    """
    header = sniff(content)
    if header.format != "jpeg":
        return False
    try:
        inspected = read_grey_image(content, header, longest_px=MEASURED_PX)
    except UndecodableError:
        return False
    return not inspected.rewrite and perceptual_hashes(inspected.grey)[0] == phash


def rewrite_image(data: bytes, phash: int, jpeg_quality: int) -> bytes:
    """Re-encodes an image of which a stock reader would show another picture than the one with this hash.

    Losslessly where a JPEG would have another hash, as a flat picture has. Raises UndecodableError for an image that
    can't be decoded completely.
    """
    rewritten_bytes = rewrite(data, jpeg_quality)
    if same_picture(stock_hash(stock_pixels(rewritten_bytes)), phash):
        return rewritten_bytes
    return rewrite(data, jpeg_quality, lossless=True)


@dataclass(frozen=True)
class ImageCheck:
    """The result of comparing a published image with the inspected one."""

    fault: str = ""
    damaged: bool = False  # a damaged JPEG, which was inspected at a fraction of its size


def check_image(content: bytes, phash: str, rewritten: bool, decode: Callable[[bytes], Pixels]) -> ImageCheck:
    """Decodes an image to its last pixel and compares its hash with that of the inspected picture ("": none was).

    A JPEG that is published as it was stored may differ where its inspection gives exactly that hash.
    """
    try:
        pixels = decode(content)
    except UndecodableError as error:
        return ImageCheck(f"does not decode: {error}")
    published = stock_hash(pixels) if phash else 0
    if not phash or same_picture(published, int(phash, 16)):
        return ImageCheck()
    if not rewritten and matches_inspection(content, int(phash, 16)):
        return ImageCheck(damaged=float(pixels.std()) >= _FLAT)
    apart = (published ^ int(phash, 16)).bit_count()
    return ImageCheck(f"shows another picture than was inspected: {apart} of the 64 bits of their hashes differ")
