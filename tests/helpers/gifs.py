"""GIFs by Pillow, and GIFs whose data is cut short."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def gif_of(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "GIF", **options)
    return file.getvalue()


def truncated_gif(data: bytes, share: float) -> bytes:
    """The data of the picture's blocks truncated_gif to a share, and ended as it should be."""
    start = data.index(b"\x2c\0\0\0\0") + 11
    stream, position = b"", start
    while data[position]:
        stream += data[position + 1 : position + 1 + data[position]]
        position += 1 + data[position]
    stream = stream[: int(len(stream) * share)]
    blocks = b"".join(
        bytes([len(part)]) + part for part in (stream[at : at + 255] for at in range(0, len(stream), 255))
    )
    return data[:start] + blocks + b"\0;"
