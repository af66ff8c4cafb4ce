"""Images of noise, one a seed."""

from __future__ import annotations

import cv2
import numpy as np


def noise_jpeg(seed: int, quality: int = 95) -> bytes:
    """A JPEG that no other seed's looks like."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    pixels = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
