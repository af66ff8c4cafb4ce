"""A histogram as HTML: bars in an SVG that takes any width, labels as text of the page's own size beside it."""

from __future__ import annotations

from pipelines.report.histogram import Histogram
from pipelines.report.html.page import escape

_WIDTH, _HEIGHT = 1000, 100  # of the SVG's own units, whatever its size on the page


def histogram_html(histogram: Histogram, name: str, description: str) -> str:
    """Draws a histogram; `name` is an id of the page, `description` what a screen reader says.

    A script that moves the cut sets `x` and `width` of the rectangles `#NAME-kept` and `#NAME-removed`, of 1,000 units,
    and `left` of the element `.cut-line`.
    """
    kept, removed = _sides(histogram)
    return "".join(
        [
            f'<div class="histogram" id="{name}">',
            '<div class="counts" aria-hidden="true">',
            *(f'<span style="bottom:{100 * height:.2f}%">{count:,}</span>' for height, count in histogram.grid),
            "</div>",
            '<div class="plot">',
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(description)}">',
            *(_rule(height) for height, _ in histogram.grid),
            f'<clipPath id="{name}-clip-kept"><rect id="{name}-kept" {kept}/></clipPath>',
            f'<clipPath id="{name}-clip-removed"><rect id="{name}-removed" {removed}/></clipPath>',
            f'<path class="kept" clip-path="url(#{name}-clip-kept)" d="{_bars(histogram)}"/>',
            f'<path class="removed" clip-path="url(#{name}-clip-removed)" d="{_bars(histogram)}"/>',
            "</svg>",
            _cut_line(histogram),
            "</div>",
            '<div class="axis" aria-hidden="true">',
            *(f'<span style="left:{100 * place:.3f}%">{escape(label)}</span>' for place, label in histogram.ticks),
            "</div>",
            "</div>",
        ]
    )


def _sides(histogram: Histogram) -> tuple[str, str]:
    """Returns the attributes of the rectangles of what is kept and what is removed."""
    if histogram.cut is None:
        return _rectangle(0, 1), _rectangle(0, 0)
    low, high = _rectangle(0, histogram.cut), _rectangle(histogram.cut, 1)
    return (high, low) if histogram.keeps_high else (low, high)


def _rectangle(start: float, stop: float) -> str:
    return f'x="{_WIDTH * start:.3f}" y="0" width="{_WIDTH * (stop - start):.3f}" height="{_HEIGHT}"'


def _bars(histogram: Histogram) -> str:
    gap = _WIDTH / max(1, len(histogram.counts)) * 0.12
    parts = []
    for start, stop, height in zip(histogram.edges, histogram.edges[1:], histogram.heights, strict=False):
        if height:
            left, right = _WIDTH * start, max(_WIDTH * start + 0.5, _WIDTH * stop - gap)
            parts.append(f"M{left:.2f} {_HEIGHT}V{_HEIGHT * (1 - height):.2f}H{right:.2f}V{_HEIGHT}Z")
    return "".join(parts)


def _rule(height: float) -> str:
    y = _HEIGHT * (1 - height)
    return f'<path class="rule" vector-effect="non-scaling-stroke" d="M0 {y:.2f}H{_WIDTH}"/>'


def _cut_line(histogram: Histogram) -> str:
    if histogram.cut is None:
        return ""
    return f'<div class="cut-line" style="left:{100 * histogram.cut:.3f}%"></div>'
