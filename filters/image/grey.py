"""A cheap decode of an image in grey: upright, flatten_alpha, and only as large as hashes and statistics need."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from corpus.image.decode import apply_orientation, flatten_alpha, jpeg_scale, seems_truncated, set_jpeg_scale
from corpus.image.encode import needs_rewrite
from corpus.image.header import ImageHeader
from corpus.image.quality import Grey
from corpus.image.stock_reader import TruncatedError, decoder_errors, load_image, open_image
from filters.image.compression_loss import compression_loss


@dataclass(frozen=True, slots=True)
class GreyImage:
    """An image in grey, with what the decode showed of its file."""

    grey: Grey
    rewrite: bool  # stock readers decode something else, so it is re-encoded when it is published
    loss: float  # see filters.image.compression_loss


def decode_grey(data: bytes, header: ImageHeader, longest_px: int = 160, shortest_px: int = 32) -> Grey:
    """Returns the pixels of `read_grey_image`."""
    return read_grey_image(data, header, longest_px, shortest_px).grey


def read_grey_image(data: bytes, header: ImageHeader, longest_px: int = 160, shortest_px: int = 32) -> GreyImage:
    """Decodes an image in grey: EXIF orientation applied, transparency on white, the first of several frames.

    Both sides are an eighth, a quarter or half of the stored ones where they then still have `longest_px` and
    `shortest_px` pixels. JPEGs are decoded at that scale, for which the decoder computes fewer frequencies of each 8×8
    block; JPEGs that will be re-encoded are not, because that takes all frequencies. 16 bits become 8. Raises
    UndecodableError for what Pillow can't decode completely, which includes images without a size in their header and
    pixels without a defined white (32-bit integers, floats).

    JPEG and WebP have no checksums: damage that is followed by enough data for the decoder goes unnoticed.
    """
    factor = jpeg_scale(header.width, header.height, longest_px, shortest_px)
    at_scale = header.format == "jpeg" and header.orientation == 1
    with decoder_errors():
        image = open_image(data, header)
        if at_scale:
            set_jpeg_scale(image, factor, "L")
        load_image(image, data, header)
        rewrite = needs_rewrite(image, header)
        grey = flatten_alpha(image, "L")
        if header.format == "jpeg" and seems_truncated(grey):
            raise TruncatedError("the lower edge is filled up by the decoder")
        loss = compression_loss(image, header, grey, factor if at_scale else 1)
        if not at_scale:
            grey = shrink_grey(grey, factor)
        grey = apply_orientation(grey, 1 if header.format == "tiff" else header.orientation)  # Pillow turns TIFFs
        return GreyImage(grey, rewrite, loss)


def shrink_grey(grey: Grey, factor: int) -> Grey:
    """Returns an image with both sides divided by `factor`, by means over areas."""
    if factor == 1:
        return grey
    height, width = (-(-side // factor) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
