"""The interface of a section of the report, and pieces of HTML that several sections have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape


@dataclass(frozen=True)
class ReportSection:
    """A section of the report. `build` returns its HTML, "" where there is nothing to show: then it is left out."""

    anchor: str  # its id on the page
    title: str
    build: Callable[[ReportContext], str]


def note(text: str) -> str:
    """Returns a faint line of text."""
    return f'<p class="faint note">{escape(text)}</p>'


def card(title: str, body: str, detail: str = "") -> str:
    """Returns a framed part of a section; `title` and `detail` are text, `body` is HTML."""
    beside = f' <span class="faint detail">{escape(detail)}</span>' if detail else ""
    return f'<section class="card"><h3>{escape(title)}{beside}</h3>{body}</section>'


def grid(cards: Sequence[str], classes: str = "") -> str:
    """Returns parts side by side, as many as fit."""
    return f'<div class="grid {classes}">{"".join(cards)}</div>'


def sampled(noun: str, read: int, total: int) -> str:
    """Names the part of all shards that something was read from: "all 12 shards", "24 of 500 shards, by lot"."""
    return f"all {total:,} {noun}" if read == total else f"{read:,} of {total:,} {noun}, by lot"


def duration(seconds: float) -> str:
    """Returns a duration as people read it: "0.4 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"


def number_of(number: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun: "1 row", "2 rows"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
