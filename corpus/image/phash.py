"""Perceptual hashes: 64 bits that hardly change when an image is resized or recompressed.

Both are those of the imagehash library (hash_size 8) in its order of bits, computed from a grey image that may be a
reduced decode of the original:

    pHash  Lanczos to 32×32, rounded; DCT-II over both axes; the 8×8 lowest frequencies; 1 where above their median
    dHash  Lanczos to 9×8, rounded; 1 where a pixel is brighter than its left neighbour

Sources: hackerfactor.com/blog, entries 432 (pHash) and 529 (dHash); the Lanczos filter is Pillow's, of radius 3.
The highest bit is the first in row order, so a hash in hexadecimal is what `str(imagehash.phash(image))` is. On
the same grey pixels the two agree but for Pillow's rounding; on a reduced decode they are half a
bit apart in the mean, and never more than 6 on the photographs of the tests.

Every sum is one of integers that floats hold exactly, so that no machine's order of summation changes a bit.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 8  # bits of a hash in each direction
_PHASH_SIDE = 4 * _SIDE
_FILTER_UNIT = 1 << 14  # filter weights are multiples of 1/16384: with 8-bit levels, sums stay below 2^24
_COSINE_UNIT = 1 << 16  # two passes of 32 terms over 8-bit levels stay below 2^53
_RADIUS = 3
_SLICE_ROWS = 64
_MAX_SIDE = 512  # a longer side is made shorter first: filters are as long as a side, and kept


def perceptual_hashes(grey: NDArray[np.uint8]) -> tuple[int, int]:
    """Returns pHash and dHash, each 64 bits, of a grey image (height, width) of any size."""
    if max(grey.shape) > _MAX_SIDE:
        height, width = (min(side, _MAX_SIDE) for side in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    height, width = grey.shape
    filters = _across(width)
    across = np.empty((height, filters.shape[1]), np.float32)
    # In slices: BLAS gives larger products to threads, and waits for them on a machine that is full of workers.
    for top in range(0, height, _SLICE_ROWS):
        across[top : top + _SLICE_ROWS] = grey[top : top + _SLICE_ROWS].astype(np.float32) @ filters
    across = _round(across)
    square = _round(_lanczos(height, _PHASH_SIDE) @ across[:, :_PHASH_SIDE])
    strip = _round(_lanczos(height, _SIDE) @ across[:, _PHASH_SIDE:])
    cosines = _cosines()
    low = cosines @ square.astype(np.float64) @ cosines.T
    ranked = np.sort(low, axis=None)
    median = (ranked[31] + ranked[32]) / 2  # np.median takes as long as a resizing
    return _packed(low > median), _packed(strip[:, 1:] > strip[:, :-1])


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _round(scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounds sums of weighted levels as levels again, in place. Pillow rounds and clips after each direction, too."""
    scaled *= np.float32(1 / _FILTER_UNIT)
    scaled += np.float32(0.5)
    np.floor(scaled, out=scaled)
    return np.minimum(np.maximum(scaled, 0, out=scaled), 255, out=scaled)


@lru_cache(maxsize=_MAX_SIDE)  # 84 KB each at most, 22 MB all
def _across(width: int) -> NDArray[np.float32]:
    """Returns the filters of both hashes over a row, (width, 32 + 9)."""
    filters = [_lanczos.__wrapped__(width, count) for count in (_PHASH_SIDE, _SIDE + 1)]
    return np.ascontiguousarray(np.vstack(filters).T)


@lru_cache(maxsize=2 * _MAX_SIDE)  # 64 KB each at most, 21 MB all
def _lanczos(length: int, count: int) -> NDArray[np.float32]:
    """Weights (count, length), as multiples of 1/_FILTER_UNIT, that resample a line of pixels to another length."""
    scale = length / count
    stretch = max(scale, 1.0)  # when shrinking, the filter widens so that every pixel counts
    centres = (np.arange(count) + 0.5) * scale
    distance = (np.arange(length) + 0.5 - centres[:, None]) / stretch
    weights = np.where(np.abs(distance) < _RADIUS, np.sinc(distance) * np.sinc(distance / _RADIUS), 0.0)
    weights *= _FILTER_UNIT / weights.sum(axis=1, keepdims=True)
    return np.rint(weights).astype(np.float32)


@lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float64]:
    """Returns the 8 lowest rows of the DCT-II of 32 points, (8, 32), unscaled as in SciPy, as multiples of
    1/_COSINE_UNIT.
    """
    angles = np.pi * np.arange(_SIDE)[:, None] * (2 * np.arange(_PHASH_SIDE) + 1) / (2 * _PHASH_SIDE)
    return np.rint(2 * np.cos(angles) * _COSINE_UNIT)
