"""The picture that a stock reader shows of published bytes, and whether it is the one that was judged."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from corpus.image.decode import Pixels, reduction
from corpus.image.encode import rewritten
from corpus.image.header import sniff
from corpus.image.phash import perceptual_hashes
from corpus.image.quality import MEASURED_PX
from corpus.image.stock_reader import UndecodableError, decoder_errors
from filters.grey_image import downscale, read_grey_image

# Bits of 64 between the hash of a JPEG at a fraction of its size, by which it was judged, and at full size. Of 1,200
# photographs of all sizes and qualities none was further apart; another picture is about 32 away.
NEAR_BITS = 8
_SHORTEST_PX = 32


def stock_picture(content: bytes) -> Pixels:
    """RGB pixels (height, width, 3) as stock webdataset decodes them. Raises UndecodableError with Pillow's words."""
    with decoder_errors(), Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def shown_hash(pixels: Pixels) -> int:
    """The pHash of a picture, computed from RGB pixels at full size as inspection computes it."""
    height, width = pixels.shape[:2]
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return perceptual_hashes(downscale(grey, reduction(width, height, MEASURED_PX, _SHORTEST_PX)))[0]


def near(one: int, other: int) -> bool:
    """Whether two hashes are of the same picture."""
    return (one ^ other).bit_count() <= NEAR_BITS


def judged_as(content: bytes, judged: int) -> bool:
    """Whether these bytes are a JPEG that a stock reader shows right and in which inspection finds this hash.

    Inspection reads JPEGs at a fraction of their size, where a flat picture's hash is of its noise, and damage looks
    different.
    """
    header = sniff(content)
    if header.format != "jpeg":
        return False
    try:
        image = read_grey_image(content, header, longest_px=MEASURED_PX)
    except UndecodableError:
        return False
    return not image.rewrite and perceptual_hashes(image.grey)[0] == judged


def written_anew(data: bytes, judged: int, jpeg_quality: int) -> bytes:
    """What is published of an image that a stock reader would show wrong: the picture of this hash.

    Without loss where a JPEG's hash would be another one, as of a flat picture. Raises UndecodableError for what can't
    be decoded whole.
    """
    rewritten_bytes = rewritten(data, jpeg_quality)
    if near(shown_hash(stock_picture(rewritten_bytes)), judged):
        return rewritten_bytes
    return rewritten(data, jpeg_quality, lossless=True)
