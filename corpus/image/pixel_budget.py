"""At how many pixels a model sees an image: `smart_resize`, and pixel budgets.

The size is the one that the model's own image processor would choose. So an image that is decoded, or stored, at this
size is not resized again on the machine that feeds the GPU.
"""

from __future__ import annotations

import math

from pydantic import Field

from corpus.image.decode import Pixels, UndecodableError, decode_rgb, resize
from corpus.image.header import sniff
from corpus.image.limits import PILLOW_MAX_PIXELS
from corpus.settings import Settings

MAX_SOURCE_PIXELS = PILLOW_MAX_PIXELS
_MAX_ROUNDS = 8  # of `smart_resize`, which mostly needs one


class PixelBudget(Settings):
    """The sizes that a model takes: any of so many pixels, or a grid of square tiles."""

    min_pixels: int = Field(1, ge=1, description="The fewest pixels (width × height); smaller images are enlarged.")
    max_pixels: int = Field(768 * 768, ge=1, description="The most pixels (width × height); larger images are shrunk.")
    multiple: int = Field(
        1, ge=1, description="The number of which each side is a multiple: patch × merge of the vision tower."
    )
    tile_px: int = Field(
        0, ge=0, description="The side of the square tiles that an image is divided into; 0 for a model without tiles."
    )
    max_tiles: int = Field(
        0, ge=0, description="The most tiles of an image; 0 is as many as `max_pixels` has room for."
    )
    # Qwen's processor refuses 200, measured after rounding, and rounding at most doubles it.
    max_aspect_ratio: float = Field(
        100.0, ge=1, description="The largest ratio of the longer to the shorter side; an image beyond it is refused."
    )

    @property
    def effective_min_pixels(self) -> int:
        """`min_pixels`, or `max_pixels` where the settings have that lower."""
        return min(self.min_pixels, self.max_pixels)

    @property
    def tiles(self) -> int:
        """How many tiles an image may have, at least one; 0 for a model without tiles."""
        if not self.tile_px:
            return 0
        tiles = max(1, self.max_pixels // self.tile_px**2)
        return min(tiles, self.max_tiles or tiles)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the height and width at which the model sees an image of this height and width.

        `smart_resize`, or the grid of tiles that InternVL's processor chooses. Raises UnfitError for an extreme aspect,
        ValueError for a side below 1.
        """
        if min(height, width) < 1:
            raise ValueError(f"{height}×{width}: no image")
        if max(height, width) > self.max_aspect_ratio * min(height, width):
            raise UnfitError("extreme_aspect_ratio", f"{width}×{height}: more than {self.max_aspect_ratio:g} to 1")
        if self.tile_px:
            rows, columns = _grid(height, width, self)
            return rows * self.tile_px, columns * self.tile_px
        return smart_resize(height, width, self.multiple, self.min_pixels, self.max_pixels)

    def per_image(self, images: int) -> PixelBudget:
        """Returns the budget of each of several images in a request, which together have no more pixels than one alone.

        But never less than `min_pixels`, or one tile: the processor would enlarge them again. ValueError for no images.
        """
        if images < 1:
            raise ValueError(f"{images} images")
        if images == 1:
            return self
        if self.tile_px:
            return self.model_copy(update={"max_tiles": max(1, self.tiles // images)})
        return self.model_copy(update={"max_pixels": max(self.effective_min_pixels, self.max_pixels // images)})


class UnfitError(UndecodableError):
    """An image that is not decoded for its size. `reason`: too_many_pixels, extreme_aspect_ratio."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnfitError], tuple[str, str]]:
        return UnfitError, (self.reason, str(self))


def decode_to_budget(data: bytes, budget: PixelBudget, max_source_pixels: int = MAX_SOURCE_PIXELS) -> Pixels:
    """Returns RGB pixels (height, width, 3) of an encoded image, upright and opaque, at the size that the budget gives
    it.

    Raises UndecodableError, with a `reason`: undecodable, truncated, too_many_pixels (its header claims more than
    `max_source_pixels`: nothing is decoded), extreme_aspect_ratio.
    """
    header = sniff(data)
    width, height = header.upright_size
    if not width or not height:
        raise UndecodableError(f"{header.format or 'unknown format'}: no size in the header")
    if width * height > max_source_pixels:
        raise UnfitError("too_many_pixels", f"{width}×{height} pixels are more than {max_source_pixels}")
    size = budget.size(height, width)
    return resize(decode_rgb(data, header, longest_px=max(size), shortest_px=min(size)), *size)


def smart_resize(height: int, width: int, multiple: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Returns the height and width, multiples of `multiple` with a product within the limits, near the given shape.

    What `smart_resize` of qwen-vl-utils gives: each side's nearest multiple, but at least one; where the product is
    outside the limits, the multiples below (or above) the size scaled to the limit. Where that would itself be resized
    again (strips, narrow limits), the rule is applied until it would not: what comes out goes through the image
    processors of the Qwen-VL family as it is. A strip may have more than `max_pixels`: no side is below one multiple.
    Raises ValueError for a side below 1.
    """
    if min(height, width) < 1:
        raise ValueError(f"{height}×{width}: no image")
    min_pixels = min(min_pixels, max_pixels)
    size = (height, width)
    for _ in range(_MAX_ROUNDS):
        before, size = size, round_to_limits(*size, multiple, min_pixels, max_pixels)
        if size == before:
            return size
    # Between two sizes, one too large and one too small: the large one, for the processor has its own, higher limit.
    return size if math.prod(size) >= min_pixels else round_to_limits(*size, multiple, min_pixels, max_pixels)


def round_to_limits(height: int, width: int, multiple: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Returns the size of one round of `smart_resize`, which may be outside the limits again."""
    area = height * width
    high, wide = (max(multiple, round(side / multiple) * multiple) for side in (height, width))
    if high * wide > max_pixels:
        scale = math.sqrt(area / max_pixels)
        high, wide = (max(multiple, math.floor(side / scale / multiple) * multiple) for side in (height, width))
    elif high * wide < min_pixels:
        scale = math.sqrt(min_pixels / area)
        high, wide = (math.ceil(side * scale / multiple) * multiple for side in (height, width))
    return high, wide


def _grid(height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """Returns the rows and columns of tiles: the grid nearest in aspect; of several, the largest that is at least half
    filled.
    """
    aspect, max_tiles = width / height, budget.tiles
    grids = [(rows, columns) for rows in range(1, max_tiles + 1) for columns in range(1, max_tiles // rows + 1)]
    nearest = min(abs(aspect - columns / rows) for rows, columns in grids)
    best = (0, 0)
    for rows, columns in sorted(grids, key=math.prod):
        if abs(aspect - columns / rows) == nearest:
            filled = height * width > 0.5 * budget.tile_px**2 * rows * columns
            best = (rows, columns) if filled or not best[0] else best
    return best
