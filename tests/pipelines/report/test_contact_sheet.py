"""A contact sheet has the right pictures in the right places, and its text beside them."""

from __future__ import annotations

import numpy as np
from PIL import ImageFont

from pipelines.report.contact_sheet import (
    GAP_PX,
    ROW_PX,
    TEXT_PX,
    THUMBNAIL_PX,
    WIDTH_PX,
    SheetRow,
    contact_sheet,
    wrapped,
)

RED, GREEN, BLUE = (200, 20, 20), (20, 160, 20), (20, 20, 200)


def plain(colour: tuple[int, int, int], width: int = 300, height: int = 300) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def place_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Where a colour is: left, top, right, bottom. All of that rectangle has it."""
    y, x = np.nonzero((sheet == np.array(colour)).all(axis=2))
    box = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
    assert len(x) == (box[2] - box[0]) * (box[3] - box[1])
    return box


def has_ink(sheet: np.ndarray, left: int, top: int, right: int, bottom: int) -> bool:
    return bool((sheet[top:bottom, left:right] < 100).all(axis=2).any())


def test_each_picture_lies_in_its_row_scaled_to_fit() -> None:
    rows = [
        SheetRow(("query",), (plain(RED, 40, 20),)),
        SheetRow(("0", "wide"), (plain(GREEN, 600, 300),)),
        SheetRow(("1", "high"), (plain(BLUE, 300, 600),)),
    ]
    sheet = contact_sheet(rows)
    assert sheet.shape == (3 * ROW_PX, WIDTH_PX, 3)
    middle = ROW_PX // 2
    assert place_of(sheet, RED) == (TEXT_PX, middle - 10, TEXT_PX + 40, middle + 10), "small ones are not enlarged"
    top = ROW_PX + middle - THUMBNAIL_PX // 4
    assert place_of(sheet, GREEN) == (TEXT_PX, top, TEXT_PX + THUMBNAIL_PX, top + THUMBNAIL_PX // 2)
    top = 2 * ROW_PX + middle - THUMBNAIL_PX // 2
    assert place_of(sheet, BLUE) == (TEXT_PX, top, TEXT_PX + THUMBNAIL_PX // 2, top + THUMBNAIL_PX)


def test_frames_of_a_clip_are_a_strip_from_left_to_right() -> None:
    colours = [(200, 25 * number, 20) for number in range(8)]
    sheet = contact_sheet([SheetRow(("query",)), SheetRow(("0",), tuple(map(plain, colours)))])
    top = sheet.shape[0] - ROW_PX
    boxes = [place_of(sheet, colour) for colour in colours]
    lefts, rights = [box[0] for box in boxes], [box[2] for box in boxes]
    assert lefts[0] == TEXT_PX and rights[-1] <= WIDTH_PX
    assert all(right < left for right, left in zip(rights, lefts[1:], strict=False))
    assert all(top < box[1] < box[3] < top + ROW_PX for box in boxes)


def test_text_is_beside_pictures_and_rows_of_text_alone_are_low() -> None:
    long = "a word " * 60
    sheet = contact_sheet([SheetRow(("short",)), SheetRow((long,), (plain(RED),)), SheetRow((long,))])
    heights = [18 + GAP_PX, ROW_PX, sheet.shape[0] - ROW_PX - 18 - GAP_PX]
    assert 18 + GAP_PX < heights[2] < ROW_PX
    assert has_ink(sheet, 0, 0, TEXT_PX, heights[0]) and not has_ink(sheet, TEXT_PX, 0, WIDTH_PX, heights[0])
    of_pictures = slice(heights[0] + 1, heights[0] + ROW_PX)
    assert not has_ink(sheet, TEXT_PX - GAP_PX, of_pictures.start, WIDTH_PX, of_pictures.stop), "wrapped before them"
    assert has_ink(sheet, WIDTH_PX // 2, of_pictures.stop, WIDTH_PX, sheet.shape[0]), "the whole width"
    assert contact_sheet([]).shape == (1, WIDTH_PX, 3)


def test_lines_are_wrapped_at_blanks_and_no_word_is_wider_than_a_line() -> None:
    font = ImageFont.load_default(14)
    text = f"one two {'x' * 200} three"
    lines = list(wrapped(text, font, 100))
    assert all(font.getlength(line) <= 100 for line in lines)
    assert lines[0] == "one two" and set(lines[1]) == {"x"} and lines[2] == "three"
    assert list(wrapped("", font, 100)) == []
