"""Good pictures that look like bad ones: dark, pale and sparse photographs, drawings of one line, pages of text."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.images.drawing import BgrPixels
from demo.images.photographs import read_shipped

# Dark sky, grey moon, a page, a dark fundus, a word on paper. Licences: the README.txt beside the files in the wheel.
DIFFICULT = (
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/moon.png",
    "skimage/data/page.png",
    "skimage/data/retina.jpg",
    "skimage/data/text.png",
)
_INK, _PAPER = (25, 235), (242, 256)  # grey levels: of the darkest and the palest ink, of paper


def difficult_photographs() -> list[BgrPixels]:
    """Reads all of them, in a fixed order. Raises ModuleNotFoundError if the package is missing."""
    return [read_shipped(path) for path in DIFFICULT]


def draw_page(sentences: list[str], rng: np.random.Generator, lines: tuple[int, int] = (6, 40)) -> BgrPixels:
    """Draws a page with as many lines of text as `lines` bounds, in random ink, with or without a box."""
    width, height = sorted(int(side) for side in rng.integers(440, 820, 2))
    paper, size = int(rng.integers(*_PAPER)), int(rng.integers(13, 22))
    ink = int(rng.integers(_INK[0], 120))
    image = Image.new("L", (width, height), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    left, top = width // 12, height // 14
    room = max(8, int((width - 2 * left) / (0.5 * size)))
    for number in range(int(rng.integers(*lines))):
        at = top + int(1.45 * size * number)
        if at + size > height - top:
            break
        text = sentences[int(rng.integers(len(sentences)))]
        draw.text((left, at), text[: room if rng.random() < 0.8 else room // 2], fill=ink, font=font)
    if rng.random() < 0.3:
        draw.rectangle((left, height - 3 * top, width - left, height - top), outline=ink, width=2)
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_GRAY2BGR)
