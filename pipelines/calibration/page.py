"""The page of a calibration: a card for each threshold, with its histogram, a slider, and samples on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.calibration.report import CutReport, SampledRow, shortened
from pipelines.calibration.samples import NEAR_CUT
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.histogram import histogram_html
from pipelines.report.html.page import escape, page_html
from pipelines.report.html.table import Column, table_html

_FOLDER = Path(__file__).parent
_OPEN_GROUPS = 4  # sources whose table is open at first


def calibration_page(title: str, subtitle: str, reports: Sequence[CutReport], missing: Sequence[str]) -> str:
    """Returns the page; `missing` has a line for each threshold that nothing is known of yet."""
    body = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="faint">{escape(subtitle)}</p></header>',
        "<main>",
        _overview(reports),
        *(f'<p class="faint">{escape(line)}</p>' for line in missing),
        _changes(),
    ]
    stage = ""
    for number, report in enumerate(reports):
        if report.cut.stage != stage:
            stage = report.cut.stage
            body.append(f"<h2>Stage <code>{escape(stage)}</code></h2>")
        body.append(_card(number, report))
    body.append("</main>")
    style, script = ((_FOLDER / f"cuts.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    data = {"near": NEAR_CUT, "cuts": [_data(report) for report in reports]}
    return page_html(title, "\n".join(body), style, script, data)


_OVERVIEW = (
    Column("setting"),
    Column("cut", is_number=True, name="value"),
    Column("kept", is_number=True, name="share"),
    Column("rows", is_number=True, is_wide=True),
    Column("removes", is_wide=True),
)
_SOURCES = (
    Column("source"),
    Column("rows", is_number=True),
    Column("kept", is_number=True),
    Column("share", is_number=True),
)


def _overview(reports: Sequence[CutReport]) -> str:
    rows = [
        (
            f'<a href="#{_id(number)}">{escape(report.cut.key.removeprefix("stages."))}</a>',
            escape(report.value),
            _percent(report.found.share),
            f"{report.found.measured:,}",
            escape(report.cut.threshold.reason),
        )
        for number, report in enumerate(reports)
    ]
    table = table_html(_OVERVIEW, rows, [f'data-cut="{number}"' for number in range(len(rows))])
    return f'<section class="card overview" aria-label="all thresholds">{table}</section>'


def _changes() -> str:
    return (
        '<section class="card changes" aria-label="changed settings"><h3>Changed settings</h3>'
        '<p class="faint">Move a cut with its slider, with the arrow keys, or by dragging over its histogram. '
        "What you change is collected here, to paste into the settings file.</p>"
        '<pre id="changes" tabindex="0" aria-live="polite"># no cut was moved</pre>'
        '<button type="button" id="copy-changes" disabled>Copy all</button></section>'
    )


def _card(number: int, report: CutReport) -> str:
    name = _id(number)
    return "\n".join(
        [
            f'<section class="card cut" id="{name}" data-cut="{number}" aria-labelledby="{name}-title">',
            _head(name, report),
            '<div class="chart"><div>',
            histogram_html(report.histogram, f"{name}-chart", _description(report)),
            _slider(name, report),
            "</div>",
            _facts(report),
            "</div>",
            _by_source(report),
            _sides(report),
            "</section>",
        ]
    )


def _head(name: str, report: CutReport) -> str:
    threshold = report.cut.threshold
    unit = f", {threshold.unit}" if threshold.unit else ""
    reason = f" · removes as <code>{escape(threshold.reason)}</code>" if threshold.reason else ""
    return (
        f'<header><h3 id="{name}-title"><code>{escape(report.name)}</code></h3>'
        f'<p class="faint">{escape(threshold.measures + unit)}{reason}</p></header>'
    )


def _description(report: CutReport) -> str:
    return (
        f"Histogram of {report.cut.threshold.measures}: {report.found.measured:,} {_noun(report)}, "
        f"{_percent(report.found.share)} kept at {report.value}"
    )


def _slider(name: str, report: CutReport) -> str:
    last, current = len(report.found.stops) - 1, report.found.current
    return (
        f'<div class="position"><label for="{name}-cut" class="faint">Cut: <span class="number cut-value">'
        f"{escape(report.value)}</span></label>"
        f'<input id="{name}-cut" type="range" min="0" max="{last}" step="1" value="{current}"></div>'
    )


def _facts(report: CutReport) -> str:
    found = report.found
    lines = [
        f'<p class="share"><span class="share-kept">{_percent(found.share)}</span> <small>kept</small></p>',
        f'<p><span class="kept-rows">{found.kept[found.current]:,}</span> {_noun(report)} kept, '
        f'<span class="removed-rows">{found.measured - found.kept[found.current]:,}</span> removed</p>',
    ]
    if not report.is_complete:
        share, count = found.share, max(1, found.measured)
        error = 196 * (share * (1 - share) / count) ** 0.5
        lines.append(
            f"<p>A sample of {report.sampled_rows:,} rows; sources have {report.source_rows:,}. The share is within "
            f'± <span class="error">{error:.2f}</span> points (95 %).</p>'
        )
    if found.missing:
        lines.append(f"<p>{found.missing:,} rows have no number: they are kept.</p>")
    if report.cut.threshold.note:
        lines.append(f"<p>{escape(report.cut.threshold.note)}</p>")
    where = f"under <code>{escape(report.parent)}</code>"
    code = f"{report.name}: {'null' if found.is_off else report.value}"
    lines.append(
        f'<div class="yaml"><code>{escape(code)}</code><button type="button" class="copy">Copy</button>'
        f'<button type="button" class="reset" disabled>Reset</button></div><p>{where}</p>'
    )
    return f'<div class="facts">{"".join(lines)}</div>'


def _noun(report: CutReport) -> str:
    return "candidates" if report.cut.threshold.of_candidates else "rows"


def _by_source(report: CutReport) -> str:
    groups, at = report.found.groups, report.found.current
    rows = [
        (
            escape(group.name),
            f"{group.measured:,}",
            f"{group.kept[at]:,}",
            _percent(group.kept[at] / group.measured),
        )
        for group in groups
    ]
    is_open = " open" if 1 < len(groups) <= _OPEN_GROUPS else ""
    return f"<details{is_open}><summary>By source ({len(groups)})</summary>{table_html(_SOURCES, rows)}</details>"


def _sides(report: CutReport) -> str:
    low, high = report.sides(NEAR_CUT)
    displayed = {id(row) for row in (*low, *high)}
    orders = {id(row): number for number, row in enumerate(report.samples)}
    pool = [row for row in report.samples if id(row) not in displayed]
    keeps_high = report.cut.threshold.bound.keeps_high
    parts = [
        _side("low", "just below the cut", low, not keeps_high, orders),
        _side("high", "just above the cut", high, keeps_high, orders),
    ]
    hidden = gallery_html([_entry(row, orders[id(row)]) for row in pool], "pool")
    return f'<div class="sides">{"".join(parts)}</div><div hidden>{hidden}</div>'


def _side(name: str, where: str, rows: Sequence[SampledRow], is_kept: bool, orders: dict[int, int]) -> str:
    verdict = "kept" if is_kept else "removed"
    entries = [_entry(row, orders[id(row)]) for row in rows]
    return (
        f'<div class="{name}"><h4 class="is-{verdict}">{verdict.capitalize()}, {where}</h4>{gallery_html(entries)}'
        f'<p class="empty"{" hidden" if rows else ""}>No sample on this side.</p></div>'
    )


def _entry(row: SampledRow, order: int) -> GalleryEntry:
    attributes = {"number": repr(row.pick.number), "order": str(order)}
    return GalleryEntry(shortened(row.pick.number), row.images, row.texts, row.address, attributes)


def _data(report: CutReport) -> dict[str, Any]:
    found = report.found
    return {
        "key": report.cut.key,
        "name": report.name,
        "bound": str(report.cut.threshold.bound),
        "labels": report.labels,
        "current": found.current,
        "off": found.is_off,
        "measured": found.measured,
        "kept": found.kept.tolist(),
        "groups": [
            {"name": group.name, "measured": group.measured, "kept": group.kept.tolist()} for group in found.groups
        ],
    }


def _id(number: int) -> str:
    return f"cut-{number}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
