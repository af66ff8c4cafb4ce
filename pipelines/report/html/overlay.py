"""Several distributions over one axis as HTML, each as the share of its own numbers, with bounds drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.thresholds import Numbers
from pipelines.report.axis import Axis
from pipelines.report.html.page import escape
from pipelines.report.html.stacked import colour

_WIDTH, _HEIGHT = 1000, 100  # of the SVG's own units, whatever its size on the page


@dataclass(frozen=True)
class NamedNumbers:
    """Numbers that are drawn together, without NaN."""

    name: str
    numbers: Numbers


@dataclass(frozen=True)
class AxisBound:
    """A number on the axis that decides about others."""

    name: str
    number: float


def overlay_html(axis: Axis, series: Sequence[NamedNumbers], bounds: Sequence[AxisBound], description: str) -> str:
    """Draws distributions one over the other: the height of a bin is its share of a distribution's numbers."""
    shares = [axis.counts(each.numbers) / max(1, len(each.numbers)) for each in series]
    highest = max((float(each.max()) for each in shares if len(each)), default=0.0) or 1.0
    paths = "".join(
        f'<path class="{colour(at)}" vector-effect="non-scaling-stroke" d="{_outline(axis, each / highest)}"/>'
        for at, each in enumerate(shares)
    )
    lines = "".join(
        f'<div class="cut-line" style="left:{100 * place:.3f}%"></div>'
        for place in axis.places(np.array([each.number for each in bounds])).tolist()
    )
    ticks = "".join(f'<span style="left:{100 * place:.3f}%">{escape(label)}</span>' for place, label in axis.ticks())
    return (
        f'<div class="overlay">{_legend(series, bounds)}<div class="histogram">'
        f'<div class="counts" aria-hidden="true"><span style="bottom:100%">{highest:.0%}</span>'
        f'<span style="bottom:0%">0</span></div><div class="plot">'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(description)}"><path class="rule" vector-effect="non-scaling-stroke" '
        f'd="M0 {_HEIGHT}H{_WIDTH}"/>{paths}</svg>{lines}</div><div class="axis" aria-hidden="true">{ticks}</div></div>'
        "</div>"
    )


def _legend(series: Sequence[NamedNumbers], bounds: Sequence[AxisBound]) -> str:
    entries = [
        f'<li><i class="swatch {colour(at)}"></i>{escape(each.name)} '
        f'<span class="rows">{len(each.numbers):,}</span></li>'
        for at, each in enumerate(series)
    ]
    entries += [f'<li><i class="swatch bound"></i>{escape(each.name)} {each.number:g}</li>' for each in bounds]
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _outline(axis: Axis, heights: np.ndarray) -> str:
    places = axis.places(axis.edges) * _WIDTH
    parts = [f"M{places[0]:.1f} {_HEIGHT}"]
    for right, height in zip(places[1:], heights, strict=True):
        parts.append(f"V{_HEIGHT * (1 - height):.2f}H{right:.1f}")
    return "".join([*parts, f"V{_HEIGHT}Z"])
