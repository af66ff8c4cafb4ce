"""Writes a number on a frame, as a strip of grey blocks along the lower edge, and reads it from any copy of the frame.

It survives lossy encoding, scaling and JPEG, and any order of the colours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from demo.images.drawing import BgrPixels

BLOCKS = 20  # 16 of the number, 4 of its check
DARK, LIGHT = 40, 215
LARGEST = 0xFFFF
_MIN_STEP = (LIGHT - DARK) / 6  # between the halves of a block, however blurred
_EVENNESS = 0.4  # the weakest of these steps over the strongest


def with_number(pixels: BgrPixels, number: int) -> BgrPixels:
    """Returns the picture with a number up to LARGEST along its lower edge, in Gray code: a step changes two blocks.

    The lower half of the strip is the inverse of the upper half, so that all numbers are equally bright, and perceptual
    hashes, which use low frequencies, hardly change.
    """
    height, width = pixels.shape[:2]
    gray = number ^ (number >> 1)
    bits = np.array([(gray | _check(gray) << 16) >> bit & 1 for bit in range(BLOCKS)])
    columns = bits[np.arange(width) * BLOCKS // width]
    marked = pixels.copy()
    half = max(3, -(-height // 32))
    marked[height - 2 * half :] = np.where(columns, LIGHT, DARK)[None, :, None]
    marked[height - half :] = np.where(columns, DARK, LIGHT)[None, :, None]
    return marked


def number_on(pixels: BgrPixels) -> int:
    """Reads the number on a frame, at any width from 60 pixels. Raises ValueError where there is none."""
    width = pixels.shape[1]
    levels = _levels(pixels, 7 / 128, 5 / 128) - _levels(pixels, 3 / 128, 1 / 128)
    begin, end = ((np.arange(BLOCKS) + share) * width // BLOCKS for share in (0.3, 0.7))
    begin, end = begin.astype(int), end.astype(int) + 1
    sums = np.concatenate([[0.0], np.cumsum(levels)])
    steps = (sums[end] - sums[begin]) / (end - begin)
    value = sum(1 << at for at in np.flatnonzero(steps > 0).tolist())
    gray = value & LARGEST
    weakest, strongest = np.abs(steps).min(), np.abs(steps).max()
    if value >> 16 != _check(gray) or weakest <= max(_MIN_STEP, _EVENNESS * strongest):
        raise ValueError("no frame number can be read")
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number


def _levels(pixels: BgrPixels, first: float, last: float) -> npt.NDArray[np.float64]:
    """Returns the mean level of each column, in the rows between two shares of the height above the lower edge."""
    height, width = pixels.shape[:2]
    begin = int(height * (1 - first))
    rows = pixels[begin : max(begin + 1, int(height * (1 - last)))]
    return rows.reshape(len(rows), width, -1).mean(axis=(0, 2))


def _check(gray: int) -> int:
    """Returns the check of a number: four bits, of which a step of the number changes one."""
    return (gray ^ gray >> 4 ^ gray >> 8 ^ gray >> 12) & 15
