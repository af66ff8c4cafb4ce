"""One cheap decode of an image: grey, upright, opaque, and only as large as hashes and measures need."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.decode import opaque, reduce_jpeg, reduction, runs_out, upright
from corpus.image.encode import must_be_rewritten
from corpus.image.header import ImageHeader
from corpus.image.stock_reader import TruncatedError, UndecodableError, decoder_errors, load, open_image
from filters.compression_loss import compression_loss

__all__ = ["Grey", "Look", "TruncatedError", "UndecodableError", "decode_grey", "look", "reduced"]

Grey = NDArray[np.uint8]  # levels 0 to 255, (height, width)


@dataclass(frozen=True, slots=True)
class Look:
    """What an image shows."""

    grey: Grey
    rewrite: bool  # a stock reader would show something else, so it is published anew
    loss: float  # see filters.compression_loss


def decode_grey(data: bytes, header: ImageHeader, longest_px: int = 160, shortest_px: int = 32) -> Grey:
    """The grey of `look`."""
    return look(data, header, longest_px, shortest_px).grey


def look(data: bytes, header: ImageHeader, longest_px: int = 160, shortest_px: int = 32) -> Look:
    """The image as seen (EXIF orientation applied, transparency on white, the first of several frames), in grey.

    Both sides are an eighth, a quarter or half of the stored ones where they then still have `longest_px` and
    `shortest_px` pixels. JPEGs are decoded at that scale: the decoder then computes fewer frequencies of each 8×8
    block. Not so where the JPEG is published anew, which is made from all frequencies. 16 bits become 8. Raises
    UndecodableError for what Pillow can't decode whole, which includes images without a size in their header and
    pixels without a defined white (32-bit integers, floats).

    JPEG and WebP have no checksums: damage that is followed by as much data as the decoder asks for is not noticed.
    """
    factor = reduction(header.width, header.height, longest_px, shortest_px)
    at_scale = header.format == "jpeg" and header.orientation == 1
    with decoder_errors():
        image = open_image(data, header)
        if at_scale:
            reduce_jpeg(image, factor, "L")
        load(image, data, header)
        rewrite = must_be_rewritten(image, header)
        grey = opaque(image, "L")
        if header.format == "jpeg" and runs_out(grey):
            raise TruncatedError("the lower edge is filled up")
        loss = compression_loss(image, header, grey, factor if at_scale else 1)
        if not at_scale:
            grey = reduced(grey, factor)
        grey = upright(grey, 1 if header.format == "tiff" else header.orientation)  # Pillow turns TIFFs
        return Look(grey, rewrite, loss)


def reduced(grey: Grey, factor: int) -> Grey:
    """With both sides divided, by means over areas."""
    if factor == 1:
        return grey
    height, width = (-(-side // factor) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
