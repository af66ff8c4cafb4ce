"""Shares as HTML: one bar, divided among things by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.html.page import escape

PART_COLOURS = 12  # that things without a colour of their own take turns with


@dataclass(frozen=True)
class BarPart:
    """A part of a bar. `style` is a class: `is-kept` and other statuses, or `colour-3`."""

    name: str
    number: float
    style: str


def stacked_bar_html(parts: Sequence[BarPart], labelled: bool = False) -> str:
    """Draws a bar of parts that have something; `labelled`: names are written into the parts that are wide enough."""
    total = sum(part.number for part in parts) or 1.0
    drawn = [part for part in parts if part.number > 0]
    segments = "".join(_part(part, part.number / total, labelled) for part in drawn)
    description = ", ".join(f"{part.name} {part.number / total:.1%}" for part in drawn)
    return f'<div class="stacked" role="img" aria-label="{escape(description)}">{segments}</div>'


def colour(place: int) -> str:
    """Returns the class of the colour of the nth thing."""
    return f"colour-{place % PART_COLOURS}"


def _part(part: BarPart, share: float, labelled: bool) -> str:
    label = f"<span>{escape(part.name)}</span>" if labelled and share > 0.08 else ""
    title = f"{part.name}: {share:.1%}"
    return f'<div class="{part.style}" style="flex-grow:{share:.5f}" title="{escape(title)}">{label}</div>'
