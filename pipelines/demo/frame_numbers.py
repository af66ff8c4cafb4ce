"""Frames that carry their number: a strip of grey blocks along the lower edge, read back from any copy of the frame.

It survives lossy encoding, scaling and JPEG. What order the colours are in makes no difference.
"""

from __future__ import annotations

import numpy as np

from pipelines.demo.pictures import Pixels

BLOCKS = 20  # 16 of the number, 4 of its check
DARK, LIGHT = 40, 215
LARGEST = 0xFFFF


def with_number(pixels: Pixels, number: int) -> Pixels:
    """The picture with a number up to LARGEST along its lower edge: Gray code, so that a step changes two blocks."""
    height, width = pixels.shape[:2]
    gray = number ^ (number >> 1)
    bits = np.array([(gray | _check(gray) << 16) >> bit & 1 for bit in range(BLOCKS)])
    columns = bits[np.arange(width) * BLOCKS // width]
    marked = pixels.copy()
    marked[height - max(8, -(-height // 16)) :] = np.where(columns, LIGHT, DARK)[None, :, None]
    return marked


def number_on(pixels: Pixels) -> int:
    """The number that a frame carries, at any size of 60 pixels or more. ValueError where there is none to read."""
    height, width = pixels.shape[:2]
    rows = pixels[int(height * (1 - 3 / 64)) : max(int(height * (1 - 1 / 64)), int(height * (1 - 3 / 64)) + 1)]
    levels = rows.reshape(len(rows), width, -1).mean(axis=(0, 2))
    middles = [
        levels[int((block + 0.3) * width / BLOCKS) : int((block + 0.7) * width / BLOCKS) + 1] for block in range(BLOCKS)
    ]
    bits = [float(middle.mean()) > (DARK + LIGHT) / 2 for middle in middles]
    value = sum(bit << at for at, bit in enumerate(bits))
    gray = value & LARGEST
    if value >> 16 != _check(gray):
        raise ValueError("no frame number can be read")
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number


def _check(gray: int) -> int:
    """Four bits, of which a step of the number changes one."""
    return (gray ^ gray >> 4 ^ gray >> 8 ^ gray >> 12) & 15
