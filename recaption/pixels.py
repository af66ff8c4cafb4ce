"""How large a model sees an image: its pixel budget, applied once, while decoding.

The size is the one that the model's own processor would choose, so what that does afterwards, on the processor that
feeds the GPU, is nothing: resizing is what a captioner usually waits for.
"""

from __future__ import annotations

import math

from pydantic import Field

from corpus.images import MOST_PIXELS, sniff
from corpus.pixels import Pixels, UndecodableError, decode_rgb, resized
from corpus.settings import Settings

__all__ = ["PixelBudget", "UndecodableError", "UnfitError", "decode_for", "fitted", "frames_budget"]

MAX_SOURCE_PIXELS = MOST_PIXELS
_ROUNDS = 8  # of `fitted`, which mostly needs one


class PixelBudget(Settings):
    """The sizes that a model takes: any of so many pixels, or a grid of square tiles."""

    min_pixels: int = Field(1, ge=1, description="width × height; smaller images are enlarged")
    max_pixels: int = Field(768 * 768, ge=1, description="width × height; larger images are shrunk")
    multiple: int = Field(1, ge=1, description="of which each side is one: patch × merge of the vision tower")
    tile_px: int = Field(0, ge=0, description="sides are so many tiles of this side; 0: the model has no tiles")
    max_tiles: int = Field(0, ge=0, description="of one image; 0: as many as `max_pixels` has room for")
    # Qwen's processor refuses 200, measured after rounding, and rounding at most doubles it.
    max_aspect: float = Field(100.0, ge=1, description="longer side / shorter side; beyond it an image is refused")

    @property
    def least_pixels(self) -> int:
        """`min_pixels`, or `max_pixels` where someone has set that lower."""
        return min(self.min_pixels, self.max_pixels)

    @property
    def tiles(self) -> int:
        """How many tiles an image may have, at least one; 0 for a model without tiles."""
        if not self.tile_px:
            return 0
        room = max(1, self.max_pixels // self.tile_px**2)
        return min(room, self.max_tiles or room)


class UnfitError(UndecodableError):
    """An image that is not decoded for its size. `reason`: too_many_pixels, extreme_aspect."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnfitError], tuple[str, str]]:
        return UnfitError, (self.reason, str(self))


def decode_for(data: bytes, budget: PixelBudget, max_source_pixels: int = MAX_SOURCE_PIXELS) -> Pixels:
    """RGB pixels (height, width, 3) of an encoded image, upright and opaque, at the size that the budget gives it.

    Raises UndecodableError, with a `reason`: undecodable, truncated, too_many_pixels (its header claims more than
    `max_source_pixels`: nothing is decoded), extreme_aspect.
    """
    header = sniff(data)
    width, height = header.upright_size
    if not width or not height:
        raise UndecodableError(f"{header.format or 'unknown format'}: no size in the header")
    if width * height > max_source_pixels:
        raise UnfitError("too_many_pixels", f"{width}×{height} pixels are more than {max_source_pixels}")
    size = fitted(height, width, budget)
    return resized(decode_rgb(data, header, longest_px=max(size), shortest_px=min(size)), *size)


def fitted(height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """Height and width at which the model sees an image of this height and width.

    The first round gives what the processor of the Qwen-VL family gives (its `smart_resize`), or, with tiles,
    InternVL's. Where that would itself be resized again (extreme shapes, narrow budgets), the rounds go on until it
    would not. Raises UnfitError for an extreme aspect, ValueError for a side below 1.
    """
    if min(height, width) < 1:
        raise ValueError(f"{height}×{width}: no image")
    if max(height, width) > budget.max_aspect * min(height, width):
        raise UnfitError("extreme_aspect", f"{width}×{height}: more than {budget.max_aspect:g} to 1")
    if budget.tile_px:
        rows, columns = _grid(height, width, budget)
        return rows * budget.tile_px, columns * budget.tile_px
    size = (height, width)
    for _ in range(_ROUNDS):
        before, size = size, _rounded(*size, budget)
        if size == before:
            return size
    # Between two sizes, one too large and one too small: the large one, for the processor has its own, higher limit.
    return size if math.prod(size) >= budget.least_pixels else _rounded(*size, budget)


def _rounded(height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """The nearest multiples; where their product is outside the budget, those next to the size scaled to its limit."""
    step, area = budget.multiple, height * width
    high, wide = round(height / step) * step, round(width / step) * step
    if high * wide > budget.max_pixels:
        scale = math.sqrt(area / budget.max_pixels)
        high, wide = (max(step, math.floor(side / scale / step) * step) for side in (height, width))
    elif high * wide < budget.least_pixels:
        scale = math.sqrt(budget.least_pixels / area)
        high, wide = (math.ceil(side * scale / step) * step for side in (height, width))
    return high, wide


def _grid(height: int, width: int, budget: PixelBudget) -> tuple[int, int]:
    """Rows and columns of tiles: the grid nearest in aspect; of several, the largest that is at least half filled."""
    aspect, most = width / height, budget.tiles
    grids = [(rows, columns) for rows in range(1, most + 1) for columns in range(1, most // rows + 1)]
    nearest = min(abs(aspect - columns / rows) for rows, columns in grids)
    best = (0, 0)
    for rows, columns in sorted(grids, key=math.prod):
        if abs(aspect - columns / rows) == nearest:
            filled = height * width > 0.5 * budget.tile_px**2 * rows * columns
            best = (rows, columns) if filled or not best[0] else best
    return best


def frames_budget(budget: PixelBudget, images: int) -> PixelBudget:
    """What each of several images in one request may have, so that together they have no more than one alone.

    But never less than `min_pixels`, or one tile: the processor would enlarge them again. ValueError for no images.
    """
    if images < 1:
        raise ValueError(f"{images} images")
    if budget.tile_px:
        return budget.model_copy(update={"max_tiles": max(1, budget.tiles // images)})
    return budget.model_copy(update={"max_pixels": max(budget.least_pixels, budget.max_pixels // images)})
