"""Estimates how much an image has lost by compression, from its header and its pixels.

A lossy codec quantizes frequencies to multiples of a step. The header of a JPEG has its quantization steps. Its pixels
show an earlier, coarser compression: their frequencies still lie near the multiples of the coarser step (Fan and de
Queiroz, Identification of bitmap compression history, IEEE Transactions on Image Processing 12, 2003).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.header import ImageHeader
from corpus.image.quality import Grey

if TYPE_CHECKING:
    from PIL import Image

# Of the example table for luminance in ITU T.81, annex K, which most encoders scale: the mean of all 64 steps, and the
# step of the DC frequency, which is 8 times a block's mean.
_MEAN_STEP, _DC_STEP = 57.625, 16
UNKNOWN_LOSS = 29.0  # of a lossy format other than JPEG: that of a JPEG of quality 75, the default of most encoders

_RECOMPRESSION_WEIGHT = 1.15  # of an estimate, against the same value in a header: a copy ranks after its original
_MIN_STEP_RATIO = 1.5  # to the header's step: a finer one can't be distinguished from it
_STEPS = np.arange(3.0, 81.0)
_SIZES = np.arange(2 * 8 * 128 + 1) / 2  # absolute values of the DC frequency
_MIN_BLOCKS = 160  # from fewer nothing is concluded
_MIN_AGREEMENT = 0.35  # 1: all are multiples of a step; 0: their distribution is uniform
_MAX_BLOCKS = 64  # in width and in height, in the centre of the image


def compression_loss(image: Image.Image, header: ImageHeader, grey: Grey, factor: int) -> float:
    """Returns the mean quantization step, in grey levels, of the coarsest compression of this image or its source.

    The value is comparable among copies of one picture at one size; 0 for lossless images. `image` is as Pillow opened
    it; `grey` are its pixels as stored, those of a JPEG with both sides divided by `factor`, others at full size.

    Undetected are an earlier compression about as fine as the last one or of a quality above some 85 (60 in a JPEG that
    is read at an eighth of its size), one by another codec than JPEG, and one before the image was resized or cropped
    off the block grid.
    """
    steps = _luminance_steps(image)
    header_loss = float(steps.mean()) if steps is not None else 0.0 if header.lossless else UNKNOWN_LOSS
    means = _block_means(grey, 8 // factor if header.format == "jpeg" else 8)
    common_step = _common_step(8 * means, _MIN_STEP_RATIO * (float(steps[0]) if steps is not None else 1.0))
    return max(header_loss, _RECOMPRESSION_WEIGHT * _MEAN_STEP / _DC_STEP * common_step)


def _luminance_steps(image: Image.Image) -> NDArray[np.float64] | None:
    """Returns the quantization steps of a JPEG's first component, float64[64], row by row; None for other formats."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    layers = getattr(image, "layer", None) or [(1, 1, 1, min(tables))]
    return np.array(tables.get(layers[0][3], tables[min(tables)]), np.float64)


def _block_means(grey: Grey, side: int) -> NDArray[np.float32]:
    """Returns the mean levels (0 is mid-grey) of blocks of side × side pixels, without blocks equal to a neighbour.

    Flat backgrounds would dominate the result otherwise. Clipped blocks are left out: they are no multiples any more.
    """
    max_px = _MAX_BLOCKS * side
    top, left = (max(0, (length - max_px) // 2) // side * side for length in grey.shape)
    part = grey[top : top + max_px, left : left + max_px]
    down, across = part.shape[0] // side, part.shape[1] // side
    if not down or not across:
        return np.empty(0, np.float32)
    means = part[: down * side, : across * side].astype(np.float32)
    while means.shape[0] > down:  # by halves, which are exact, and have vectorised code
        half = (means.shape[1] // 2, means.shape[0] // 2)
        means = cv2.resize(means, half, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    inner = means[1:, 1:]
    varied = (inner > 0) & (inner < 255)
    varied &= (np.abs(inner - means[1:, :-1]) >= 0.5) & (np.abs(inner - means[:-1, 1:]) >= 0.5)
    return inner[varied] - np.float32(128)


def _common_step(levels: NDArray[np.float32], finest: float) -> float:
    """Returns the coarsest step above `finest` of which most levels are multiples; 0 if there is none."""
    if len(levels) < _MIN_BLOCKS:
        return 0.0
    counts = np.bincount(np.rint(2 * np.abs(levels)).astype(np.int64), minlength=_SIZES.size).astype(np.float32)
    cosines, first = _tables()
    nonzero = np.cumsum(counts[::-1])[::-1][first]  # levels that round to a multiple of each step, and not to 0
    agreement = cosines @ counts / np.maximum(nonzero, 1)
    matching = _STEPS[(finest < _STEPS) & (nonzero >= _MIN_BLOCKS) & (agreement > _MIN_AGREEMENT)]
    return float(matching.max(initial=0))


@cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Returns float32[steps, sizes] (1: a multiple of the step; -1: halfway; 0: rounds to 0), and where zeros end."""
    first = np.searchsorted(_SIZES, _STEPS / 2, side="right")
    cosines = np.cos(2 * np.pi * _SIZES / _STEPS[:, None]) * (_STEPS[:, None] / 2 < _SIZES)
    return cosines.astype(np.float32), first
