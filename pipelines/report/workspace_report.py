"""Writes the report of a workspace: one HTML file that needs nothing else, put together from sections."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corpus.printable import printable
from corpus.storage import storage_errors
from pipelines.config import Config
from pipelines.report.context import ReportContext, report_context
from pipelines.report.html.page import escape, page_html
from pipelines.report.sections import SECTIONS
from pipelines.report.sections.base import ReportSection, duration, note, number_of

_FOLDER = Path(__file__).parent / "html"


def write_report(
    config: Config,
    name: str,
    path: Path,
    advance: Callable[[int, int], None] | None = None,
    sections: Sequence[ReportSection] = SECTIONS,
) -> Path:
    """Writes the report to a file and returns its path; runs no stage. `name` is that of the settings file.

    `advance` is called with the sections that are done, and all of them.
    """
    context = report_context(config)
    found = []
    for done, section in enumerate(sections):
        if advance is not None:
            advance(done, len(sections))
        if body := section.build(context):
            found.append((section, body))
    path.parent.mkdir(parents=True, exist_ok=True)
    page = report_page(context, name, found)
    with storage_errors(str(path)):
        path.write_text(page, encoding="utf-8")
    return path


def report_page(context: ReportContext, name: str, found: Sequence[tuple[ReportSection, str]]) -> str:
    """Returns the page of some sections with their HTML."""
    title = f"What became of {printable(name)}"
    links = "".join(f'<li><a href="#{each.anchor}">{escape(each.title)}</a></li>' for each, _ in found)
    parts = [
        f"<header><h1>{escape(title)}</h1>",
        note(f"Workspace {printable(context.config.workspace)}; drawn on {time.strftime('%Y-%m-%d %H:%M')}."),
        f'<ul class="tiles">{"".join(_tiles(context))}</ul></header>',
        f'<nav aria-label="sections"><ul>{links}</ul></nav>',
        "<main>",
    ]
    for section, body in found:
        parts.append(f'<section id="{section.anchor}" class="part"><h2>{escape(section.title)}</h2>{body}</section>')
    parts.append(f"</main><footer>{''.join(_footer(context))}</footer>")
    style, script = ((_FOLDER / f"report.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    return page_html(title, "\n".join(parts), style, script)


def _tiles(context: ReportContext) -> list[str]:
    funnels = context.funnels.values()
    rows, kept = sum(each["rows_in"] for each in funnels), sum(each["kept"] for each in funnels)
    seconds = sum(each.seconds for each in context.history.written)
    tiles = [
        (number_of(len(context.funnels), "source"), ""),
        (number_of(rows, "row"), ""),
        (f"{kept:,} kept", f"{kept / rows:.1%}" if rows else ""),
        (number_of(len(context.config.datasets), "dataset"), ""),
    ]
    if seconds:
        tiles.append((f"{duration(seconds)} of work", ""))
    if failures := context.history.failures:
        tiles.append((f"{number_of(len(failures), 'shard')} failed", "see below"))
    return [_tile(*each) for each in tiles]


def _tile(text: str, detail: str) -> str:
    number, _, rest = text.partition(" ")
    beside = f' <span class="faint">{escape(detail)}</span>' if detail else ""
    return f"<li><b>{escape(number)}</b> {escape(rest)}{beside}</li>"


def _footer(context: ReportContext) -> list[str]:
    lines = [
        "Counts are of all rows. Histograms and examples are of samples where they say so, drawn by a seed: the same "
        "workspace gives the same ones."
    ]
    if context.images.omitted:
        lines.append(f"{number_of(context.images.omitted, 'image')} left out: the page is to stay below 10 MB.")
    if context.images.unreadable:
        lines.append(f"{number_of(context.images.unreadable, 'image')} could not be read: their media are gone.")
    return [note(line) for line in lines]
