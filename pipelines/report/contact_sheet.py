"""Draws a contact sheet: rows of thumbnails, each with a few lines of text beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from corpus.image.decode import Pixels
from corpus.printable import printable

WIDTH_PX = 1200
ROW_PX = 148
TEXT_PX = 400  # the width of the text; thumbnails lie to the right of it
THUMBNAIL_PX = 128  # the longest side; less where a row has many
GAP_PX = 10

_FONT_PX, _LINE_PX = 14, 18
_MAX_LINES = ROW_PX // _LINE_PX
_MAX_CHARACTERS = 1000  # of a line before it is wrapped
_PAPER, _INK, _RULE = (255, 255, 255), (25, 25, 25), (190, 190, 190)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class SheetRow:
    """A row of a contact sheet: lines of text, and images (RGB) from left to right, such as the frames of a clip."""

    lines: tuple[str, ...]
    images: tuple[Pixels, ...] = ()


def contact_sheet(rows: Sequence[SheetRow]) -> Pixels:
    """Draws rows one below the other, with a line between them: uint8[height, WIDTH_PX, 3], RGB.

    A row with images is ROW_PX high, one of text alone as high as its lines, which have the whole width. Long lines are
    wrapped, and what does not fit into ROW_PX is left out. The font has Latin letters only.
    """
    font = ImageFont.load_default(_FONT_PX)
    texts = [list(_lines(row, font)) for row in rows]
    heights = [ROW_PX if row.images else len(lines) * _LINE_PX + GAP_PX for row, lines in zip(rows, texts, strict=True)]
    sheet = Image.new("RGB", (WIDTH_PX, max(1, sum(heights))), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = 0
    for row, lines, height in zip(rows, texts, heights, strict=True):
        draw.line([(0, top), (WIDTH_PX, top)], fill=_RULE)
        for place, line in enumerate(lines):
            draw.text((GAP_PX, top + 2 + place * _LINE_PX), line, fill=_INK, font=font)
        for left, image in _thumbnails(row.images):
            sheet.paste(image, (left, top + (height - image.height) // 2))
        top += height
    return np.asarray(sheet)


def _lines(row: SheetRow, font: _Font) -> Iterator[str]:
    width = (TEXT_PX if row.images else WIDTH_PX) - 2 * GAP_PX
    parts = (part for line in row.lines for part in wrapped(printable(line, _MAX_CHARACTERS), font, width))
    return islice(parts, _MAX_LINES)


def wrapped(text: str, font: _Font, width_px: int) -> Iterator[str]:
    """Yields the lines of a text that is wrapped at blanks; a word that is wider than a line is cut."""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width_px:
            line = longer
            continue
        if line:
            yield line
        while word and font.getlength(word) > width_px:
            word = word[:-1]
        line = word
    if line:
        yield line


def _thumbnails(images: Sequence[Pixels]) -> Iterator[tuple[int, Image.Image]]:
    """Yields the images of a row, scaled down to fit it, each with its left edge."""
    step = min(THUMBNAIL_PX + GAP_PX, (WIDTH_PX - TEXT_PX) // max(1, len(images)))
    side = max(1, min(THUMBNAIL_PX, step - 2))
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        yield TEXT_PX + number * step, image
