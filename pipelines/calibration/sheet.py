"""The contact sheet of a calibration: for each threshold its histogram, then samples below and above the cut."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from corpus.image.decode import Pixels
from pipelines.calibration.report import CutReport, SampledRow, shortened
from pipelines.report.contact_sheet import GAP_PX, WIDTH_PX, SheetRow, contact_sheet
from pipelines.report.histogram import draw_histogram

_NEAR = 6  # samples on each side
_TEXTS, _CHARACTERS = 4, 160  # of samples with texts, and of each text
_HEAD_PX, _HEAD_FONT_PX, _TEXT_FONT_PX = 66, 20, 15
_PAPER, _INK, _FAINT = (255, 255, 255), (28, 31, 35), (91, 100, 112)


def calibration_sheet(reports: Sequence[CutReport]) -> Pixels:
    """Draws all thresholds one below the other: uint8[height, WIDTH_PX, 3], RGB."""
    parts = [part for report in reports for part in _parts(report)]
    return np.concatenate(parts) if parts else np.full((1, WIDTH_PX, 3), 255, np.uint8)


def _parts(report: CutReport) -> list[Pixels]:
    low, high = report.sides(_NEAR)
    keeps_high = report.cut.threshold.bound.keeps_high
    rows = [*_rows("below", not keeps_high, low), *_rows("above", keeps_high, high)]
    return [_head(report), draw_histogram(report.histogram, WIDTH_PX), contact_sheet(rows)]


def _head(report: CutReport) -> Pixels:
    image = Image.new("RGB", (WIDTH_PX, _HEAD_PX), _PAPER)
    draw = ImageDraw.Draw(image)
    threshold, found = report.cut.threshold, report.found
    title = f"{report.cut.key.removeprefix('stages.')}: {report.value}"
    unit = f", {threshold.unit}" if threshold.unit else ""
    detail = f"{threshold.measures}{unit}; {100 * found.share:.2f} % of {found.measured:,} rows are kept"
    draw.line([(0, 0), (WIDTH_PX, 0)], fill=_INK, width=3)
    draw.text((GAP_PX, 12), title, fill=_INK, font=ImageFont.load_default(_HEAD_FONT_PX))
    draw.text((GAP_PX, 40), detail, fill=_FAINT, font=ImageFont.load_default(_TEXT_FONT_PX))
    return np.asarray(image)


def _rows(where: str, is_kept: bool, samples: Sequence[SampledRow]) -> list[SheetRow]:
    verdict = f"{'kept' if is_kept else 'removed'}, just {where} the cut"
    if not samples:
        return [SheetRow((f"{verdict}: no sample",))]
    if any(row.texts for row in samples):
        return [_text_row(verdict, row) for row in (samples[:_TEXTS] if where == "above" else samples[-_TEXTS:])]
    numbers = ", ".join(shortened(row.pick.number) for row in samples)
    return [SheetRow((verdict, numbers), tuple(_decoded(row.images[0]) for row in samples))]


def _text_row(verdict: str, row: SampledRow) -> SheetRow:
    texts = (text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…" for text in row.texts)
    lines = (f"{verdict}: {shortened(row.pick.number)}", *texts)
    return SheetRow(lines, tuple(_decoded(each) for each in row.images))


def _decoded(jpeg: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
