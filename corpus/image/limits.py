"""Limits of images, checked by their headers without decoding them: settings and reasons."""

from __future__ import annotations

from pydantic import Field

from corpus.image.header import DECODED_FORMATS, ImageHeader
from corpus.settings import Settings

# Pillow, with which trainers read images, refuses more pixels; and libjpeg writes no longer side.
PILLOW_MAX_PIXELS, JPEG_MAX_SIDE_PX = 178_956_970, 65_500
# The usual limits. Whatever its format is, an image within them takes less than a GB of memory and seconds of time.
MAX_PIXELS, MAX_SIDE_PX = 50_000_000, 30_000


class ImageLimits(Settings):
    """Sizes beyond which an image is not decoded."""

    max_pixels: int = Field(
        MAX_PIXELS,
        ge=1,
        le=PILLOW_MAX_PIXELS,
        description="The most pixels (width × height) that a header may claim; each takes up to 20 bytes of memory.",
    )
    max_side_px: int = Field(
        MAX_SIDE_PX, ge=1, le=JPEG_MAX_SIDE_PX, description="The longest side that a header may claim."
    )


# The reasons of `reject_reason`, and what each means.
HEADER_REASONS = {
    "not_an_image": "the bytes do not begin as those of an image do",
    "unsupported_format": "an image of a format that is not decoded",
    "too_many_pixels": "the header claims more than `max_pixels`",
    "side_too_long": "the header claims a side longer than `max_side_px`",
    "truncated": "the bytes end before the image does",
}
UNDECODABLE = {"undecodable": "the decoder fails; `detail` has its message"}


def reject_reason(header: ImageHeader, max_pixels: int, max_side_px: int) -> str:
    """Returns why an image is not decoded, by its header alone: the reason of its row; "" where it is."""
    if not header.format:
        return "not_an_image"
    if header.format not in DECODED_FORMATS:
        return "unsupported_format"
    if header.width * header.height > max_pixels:
        return "too_many_pixels"
    if max(header.width, header.height) > max_side_px:
        return "side_too_long"
    return "" if header.complete else "truncated"
