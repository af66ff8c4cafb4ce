"""What is refused of an image by its header, in the settings of every stage that meets images first."""

from __future__ import annotations

from pydantic import Field

from corpus.image.header import MAX_PIXELS, MAX_SIDE_PX, MOST_PIXELS, MOST_SIDE_PX
from corpus.settings import Settings


class ImageLimits(Settings):
    """Sizes beyond which an image is not decoded."""

    max_pixels: int = Field(
        MAX_PIXELS,
        ge=1,
        le=MOST_PIXELS,
        description="The most pixels (width × height) that a header may claim; each takes up to 20 bytes of memory.",
    )
    max_side_px: int = Field(
        MAX_SIDE_PX, ge=1, le=MOST_SIDE_PX, description="The longest side that a header may claim."
    )
