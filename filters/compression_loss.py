"""How much an image has lost by compression, as far as its header and its pixels show it.

A lossy codec rounds frequencies to multiples of a step. A JPEG's header has its steps; what it was before it was saved
again, its pixels show: their frequencies are still near the multiples of the coarser step (Fan and de Queiroz,
Identification of bitmap compression history, IEEE Transactions on Image Processing 12, 2003).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.header import ImageHeader

if TYPE_CHECKING:
    from PIL import Image

Grey = NDArray[np.uint8]

# Of the example table for luminance in ITU T.81, annex K, which most encoders scale: the mean of all 64 steps, and the
# one of a block's mean, which is an eighth of its first frequency.
_MEAN_STEP, _FLAT_STEP = 57.625, 16
UNKNOWN_LOSS = 29.0  # of a lossy format other than JPEG: what a JPEG of quality 75 has, the default of most encoders

_SAVED_AGAIN = 1.15  # how much more an estimate counts than a header that says as much: a copy comes after its original
_COARSER = 1.5  # times the header's step: less is not told from it
_STEPS = np.arange(3.0, 81.0)
_SIZES = np.arange(2 * 8 * 128 + 1) / 2  # of 8 times a level, without its sign
_LEAST_BLOCKS = 160  # of fewer nothing is concluded
_LEAST_AGREEMENT = 0.35  # 1: all are multiples of a step; 0: they lie anyhow
_MOST_BLOCKS = 64  # in width and in height, in the middle of the image


def compression_loss(image: Image.Image, header: ImageHeader, grey: Grey, factor: int) -> float:
    """The mean step, in grey levels, to multiples of which the frequencies of this image or its source were rounded.

    Comparable among copies of one picture at one size; 0 where nothing was lost. `image` is as Pillow opened it,
    `grey` its pixels as stored, those of a JPEG with both sides divided by `factor`, all others at full size.

    Not seen: an earlier compression that was about as fine as the last one or of a quality above some 85 (60 in a JPEG
    that is read at an eighth of its size), one by another codec than JPEG, and one before the picture was resized or
    was cropped elsewhere than between blocks.
    """
    steps = _luminance_steps(image)
    stated = float(steps.mean()) if steps is not None else 0.0 if header.lossless else UNKNOWN_LOSS
    means = _block_means(grey, 8 // factor if header.format == "jpeg" else 8)
    seen = _common_step(8 * means, _COARSER * (float(steps[0]) if steps is not None else 1.0))
    return max(stated, _SAVED_AGAIN * _MEAN_STEP / _FLAT_STEP * seen)


def _luminance_steps(image: Image.Image) -> NDArray[np.float64] | None:
    """float64[64]: the steps of a JPEG's first component, row by row; None for other formats."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    layers = getattr(image, "layer", None) or [(1, 1, 1, min(tables))]
    return np.array(tables.get(layers[0][3], tables[min(tables)]), np.float64)


def _block_means(grey: Grey, side: int) -> NDArray[np.float32]:
    """Mean levels, 0 for mid-grey, of blocks of side × side pixels; not of those like a neighbour's.

    The levels of flat grounds would else be what everything is a multiple of. What is clipped is rounded no more.
    """
    most = _MOST_BLOCKS * side
    top, left = (max(0, (length - most) // 2) // side * side for length in grey.shape)
    part = grey[top : top + most, left : left + most]
    down, across = part.shape[0] // side, part.shape[1] // side
    if not down or not across:
        return np.empty(0, np.float32)
    part = part[: down * side, : across * side].astype(np.float32)
    means = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
    inner = means[1:, 1:]
    varied = (inner > 0) & (inner < 255)
    varied &= (np.abs(inner - means[1:, :-1]) >= 0.5) & (np.abs(inner - means[:-1, 1:]) >= 0.5)
    return inner[varied] - np.float32(128)


def _common_step(levels: NDArray[np.float32], finest: float) -> float:
    """The coarsest step above `finest` of which the levels are multiples, by and large; 0 if there is none."""
    if len(levels) < _LEAST_BLOCKS:
        return 0.0
    counts = np.bincount(np.rint(2 * np.abs(levels)).astype(np.int64), minlength=_SIZES.size).astype(np.float32)
    cosines, first = _tables()
    beyond = np.cumsum(counts[::-1])[::-1][first]  # levels that round to a multiple of each step, and not to 0
    agreement = cosines @ counts / np.maximum(beyond, 1)
    found = _STEPS[(finest < _STEPS) & (beyond >= _LEAST_BLOCKS) & (agreement > _LEAST_AGREEMENT)]
    return float(found.max(initial=0))


@cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """float32[steps, sizes]: 1 for multiples of a step and -1 halfway, 0 for sizes that round to 0; where these end."""
    first = np.searchsorted(_SIZES, _STEPS / 2, side="right")
    cosines = np.cos(2 * np.pi * _SIZES / _STEPS[:, None]) * (_STEPS[:, None] / 2 < _SIZES)
    return cosines.astype(np.float32), first
