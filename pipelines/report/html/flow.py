"""A funnel as a flow from top to bottom: a band of all rows, which at each stage branches into those that it removes.

The bands are SVG that takes any size; names and counts are text of the page beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.report.html.page import escape

_UNITS, _HEIGHT = 1000, 100  # of the SVG's own units, whatever its size on the page
_BAND = 760  # of all rows; what is right of it is for branches
_BRANCHES = (20, 84)  # heights between which branches reach the right edge
_HEIGHT_SHARE = 0.4  # of a branch at the right edge, of its width: rows are mostly lower than the band is wide
_MIN_UNITS = 3  # of a band that stands for some rows


@dataclass(frozen=True)
class FlowReason:
    """One reason for which a stage removes rows; `link` leads to examples."""

    status: str
    reason: str
    rows: int
    link: str = ""


@dataclass(frozen=True)
class FlowStage:
    """A stage and what it removes, the largest number first."""

    name: str
    removed: tuple[FlowReason, ...]

    @property
    def rows(self) -> int:
        """How many rows it removes."""
        return sum(each.rows for each in self.removed)


def flow_html(total: int, first: str, stages: Sequence[FlowStage], remaining: str) -> str:
    """Draws a funnel. `first` and `remaining` say, as HTML, what the band is above the first and below the last stage;
    stages that remove nothing are left out.
    """
    parts = [_row(total, total, (), first, "first")]
    rows = total
    for stage in (each for each in stages if each.rows):
        parts.append(_row(total, rows, stage.removed, _stage_text(stage)))
        rows -= stage.rows
    parts.append(_row(total, rows, (), remaining, "remaining"))
    return f'<div class="flow">{"".join(parts)}</div>'


def swatch(status: str) -> str:
    """Returns a small square in the colour of a status."""
    return f'<i class="swatch is-{escape(status)}"></i>'


def _row(total: int, rows: int, removed: Sequence[FlowReason], text: str, classes: str = "") -> str:
    after = rows - sum(each.rows for each in removed)
    paths = "".join(_branches(total, rows, removed))
    return (
        f'<div class="flow-row {classes}"><div class="flow-band" aria-hidden="true">'
        f'<svg viewBox="0 0 {_UNITS} {_HEIGHT}" preserveAspectRatio="none">{paths}'
        f'<path class="is-kept" d="{_band(_units(total, rows), _units(total, after))}"/></svg></div>'
        f'<div class="flow-text">{text}</div></div>'
    )


def _units(total: int, rows: int) -> float:
    return max(_MIN_UNITS, _BAND * rows / total) if rows and total else 0.0


def _band(start: float, stop: float) -> str:
    return f"M0 0H{start:.1f}C{start:.1f} 60 {stop:.1f} 40 {stop:.1f} {_HEIGHT}H0Z"


def _branches(total: int, rows: int, removed: Sequence[FlowReason]) -> Iterator[str]:
    """Yields the branches of a stage, one for each status; the outermost reaches the edge highest."""
    statuses = list(dict.fromkeys(each.status for each in removed))
    counts = {status: sum(each.rows for each in removed if each.status == status) for status in statuses}
    low, high = _BRANCHES
    end, top = _units(total, rows), float(low)
    for status in statuses:
        width = max(_MIN_UNITS, _BAND * counts[status] / total)
        start = max(0.0, end - width)
        bottom = min(float(high), top + max(2 * _MIN_UNITS, _HEIGHT_SHARE * width))
        yield (
            f'<path class="is-{escape(status)}" d="M{start:.1f} 0C{start:.1f} {bottom * 0.8:.1f} {start:.1f} '
            f"{bottom:.1f} {_UNITS} {bottom:.1f}V{top:.1f}C{end:.1f} {top:.1f} {end:.1f} {top * 0.6:.1f} "
            f'{end:.1f} 0Z"/>'
        )
        end, top = start, bottom


def _stage_text(stage: FlowStage) -> str:
    reasons = "".join(f"<li>{_reason(each)}</li>" for each in stage.removed)
    return f'<p><code>{escape(stage.name)}</code> <b>−{stage.rows:,}</b></p><ul class="reasons">{reasons}</ul>'


def _reason(each: FlowReason) -> str:
    name = escape(each.reason or each.status)
    if each.link:
        name = f'<a href="#{escape(each.link)}">{name}</a>'
    return f'{swatch(each.status)}<span class="name">{name}</span> <span class="rows">{each.rows:,}</span>'
