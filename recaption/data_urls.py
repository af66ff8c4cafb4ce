"""Images as data URLs (RFC 2397), which is how a chat request carries them."""

from __future__ import annotations

import base64
from typing import Literal

import cv2
import numpy as np

from recaption.requests import Pixels


class EncodeError(ValueError):
    """Pixels that cannot be made a file: wrong shape or type, or a side that the format can't hold."""


def data_url(pixels: Pixels, image_format: Literal["jpeg", "png"], jpeg_quality: int) -> str:
    """RGB pixels, uint8 (height, width, 3), as `data:image/...;base64,...`. The same pixels give the same text."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise EncodeError(f"expected uint8 pixels (height, width, 3), got {pixels.dtype} {pixels.shape}")
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if image_format == "jpeg" else []
    try:
        bgr = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(f".{image_format}", bgr, options)
    except cv2.error as error:
        raise EncodeError(f"{image_format}: {error.err or error}") from None
    if not done:
        raise EncodeError(f"{image_format}: {pixels.shape[1]}×{pixels.shape[0]} pixels can't be written")
    return f"data:image/{image_format};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
