"""A histogram with a cut, as data; `pipelines.report.html.histogram` and `draw_histogram` draw it.

Heights are square roots of counts: what a threshold removes is mostly few rows beside many, and must be visible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from corpus.image.decode import Pixels

KEPT_COLOUR, REMOVED_COLOUR = (31, 95, 168), (226, 125, 43)
_PAPER, _INK, _FAINT, _RULE = (255, 255, 255), (28, 31, 35), (91, 100, 112), (222, 225, 229)
_HEIGHT_PX, _GUTTER_PX, _TOP_PX, _AXIS_PX = 190, 70, 24, 24
_FONT_PX = 14
_MIN_HEIGHT = 0.02  # of a bar that counts something


@dataclass(frozen=True)
class Histogram:
    """Bars over an axis from 0 to 1, and where it is cut."""

    edges: tuple[float, ...]  # 0 to 1, ascending: one more than counts
    counts: tuple[int, ...]
    ticks: tuple[tuple[float, str], ...]  # place on the axis, label
    cut: float | None = None  # place on the axis; None: nothing is cut
    cut_label: str = ""
    keeps_high: bool = True

    @property
    def heights(self) -> tuple[float, ...]:
        """The height of each bar, 0 to 1."""
        highest = max(self.counts, default=0)
        return tuple(max(_MIN_HEIGHT, math.sqrt(count / highest)) if count else 0.0 for count in self.counts)

    @property
    def grid(self) -> tuple[tuple[float, int], ...]:
        """Heights with the counts that they stand for: all of the highest bar, a quarter, and none."""
        highest = max(self.counts, default=0)
        if highest < 4:
            return ((1.0, highest), (0.0, 0)) if highest else ((0.0, 0),)
        return ((1.0, highest), (math.sqrt((highest // 4) / highest), highest // 4), (0.0, 0))


def draw_histogram(histogram: Histogram, width_px: int) -> Pixels:
    """Draws a histogram: uint8[height, width_px, 3], RGB."""
    image = Image.new("RGB", (width_px, _TOP_PX + _HEIGHT_PX + _AXIS_PX), _PAPER)
    canvas = _Canvas(ImageDraw.Draw(image), _GUTTER_PX, width_px - _GUTTER_PX // 2)
    canvas.grid(histogram)
    canvas.bars(histogram)
    canvas.axis(histogram)
    if histogram.cut is not None:
        canvas.cut(histogram, histogram.cut)
    return np.asarray(image)


@dataclass(frozen=True)
class _Canvas:
    draw: ImageDraw.ImageDraw
    start: int  # of the axis, pixels
    stop: int

    def x(self, place: float) -> float:
        """Returns where a place on the axis is, in pixels."""
        return self.start + place * (self.stop - self.start)

    def y(self, height: float) -> float:
        """Returns where a height is, in pixels from the top."""
        return _TOP_PX + (1 - height) * _HEIGHT_PX

    def grid(self, histogram: Histogram) -> None:
        for height, count in histogram.grid:
            self.draw.line([(self.start, self.y(height)), (self.stop, self.y(height))], fill=_RULE)
            self._text(self.start - 8, self.y(height), f"{count:,}", "rm", _FAINT)

    def bars(self, histogram: Histogram) -> None:
        cut = histogram.cut
        for start, stop, height in zip(histogram.edges, histogram.edges[1:], histogram.heights, strict=False):
            if not height:
                continue
            middle = min(max(start, start if cut is None else cut), stop)
            low, high = (REMOVED_COLOUR, KEPT_COLOUR) if histogram.keeps_high else (KEPT_COLOUR, REMOVED_COLOUR)
            for first, last, colour in ((start, middle, low), (middle, stop, KEPT_COLOUR if cut is None else high)):
                if last > first:
                    edge = 1 if last == stop else 0
                    box = [self.x(first), self.y(height), self.x(last) - edge, self.y(0)]
                    self.draw.rectangle([box[0], box[1], max(box[0], box[2]), box[3]], fill=colour)

    def axis(self, histogram: Histogram) -> None:
        for place, label in histogram.ticks:
            self.draw.line([(self.x(place), self.y(0)), (self.x(place), self.y(0) + 4)], fill=_FAINT)
            self._text(self.x(place), self.y(0) + 6, label, "ma", _FAINT)

    def cut(self, histogram: Histogram, cut: float) -> None:
        at = self.x(cut)
        self.draw.line([(at, _TOP_PX - 4), (at, self.y(0))], fill=_INK, width=2)
        right, left = ("kept", "removed") if histogram.keeps_high else ("removed", "kept")
        font = ImageFont.load_default(_FONT_PX)
        if at + 8 + font.getlength(right) < self.stop + _GUTTER_PX // 2:
            self._text(at + 8, 10, right, "lm", KEPT_COLOUR if histogram.keeps_high else REMOVED_COLOUR)
        if at - 8 - font.getlength(left) > 0:
            self._text(at - 8, 10, left, "rm", REMOVED_COLOUR if histogram.keeps_high else KEPT_COLOUR)

    def _text(self, x: float, y: float, text: str, anchor: str, colour: tuple[int, int, int]) -> None:
        self.draw.text((x, y), text, fill=colour, font=ImageFont.load_default(_FONT_PX), anchor=anchor)
