"""Removed rows by source and reason, each with a few examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.printable import printable
from corpus.stage import ITEMS, ROWS
from corpus.thresholds import Shows
from pipelines.calibration.contents import RowContent
from pipelines.report.context import ReportContext, RowPlace, of_same_shard
from pipelines.report.html.flow import swatch
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.page import escape
from pipelines.report.removals import Removal, removed_rows, source_removals
from pipelines.report.sections.base import note, number_of
from pipelines.sources.malformed import FAULTS

_EXAMPLES = 6  # of a reason
_MAX_URL = 90  # characters


def removed_section(context: ReportContext) -> str:
    """Lists for each source its reasons, each of which opens to show examples."""
    return "".join(_source(context, name) for name in context.config.sources if name in context.funnels)


def _source(context: ReportContext, name: str) -> str:
    removals: dict[tuple[str, str], list[Removal]] = {}
    for each in source_removals(context, name):
        removals.setdefault((each.status, each.reason), []).append(each)
    if not removals:
        return ""
    places = removed_rows(context, name, _EXAMPLES)
    contents = _contents(context, [place for found in places.values() for place in found])
    faults = [printable(line, 400) for line in context.plan.indexes[name].notes.get(FAULTS, ())]
    total = context.funnels[name]["rows_in"]
    reasons = []
    for key, together in sorted(removals.items(), key=lambda entry: -sum(each.rows for each in entry[1])):
        entries = [_entry(context, place, *contents[place]) for place in places.get(key, ())]
        body = gallery_html(entries) if entries else _lines(together[0], faults)
        reasons.append(_reason(together, total, body))
    count = sum(each.rows for together in removals.values() for each in together)
    return (
        f'<section class="card removed"><h3>{escape(name)} <span class="faint detail">'
        f"{number_of(count, 'row')} removed</span></h3>{''.join(reasons)}</section>"
    )


def _reason(together: Sequence[Removal], total: int, body: str) -> str:
    first = together[0]
    rows = sum(each.rows for each in together)
    stages = ", ".join(dict.fromkeys(each.stage for each in together if each.stage))
    return (
        f'<details class="reason"><summary>{swatch(first.status)}<code>{escape(first.reason or first.status)}</code> '
        f'<span class="rows">{rows:,}</span> <span class="faint">{rows / max(1, total):.1%} of the rows'
        f"{f', by {escape(stages)}' if stages else ''}</span></summary>"
        f'<div id="{first.anchor}" class="examples">{body}</div></details>'
    )


def _lines(removal: Removal, faults: Sequence[str]) -> str:
    """Returns the lines of the source's files that have a reason; what is said where nothing can be shown."""
    marked = [line for line in faults if f": {removal.reason}: " in line or line.endswith(f": {removal.reason}")]
    if removal.stage == ROWS and marked:
        lines = "".join(f"<li>{escape(line)}</li>" for line in marked[:_EXAMPLES])
        return f'<ul class="faults">{lines}</ul>'
    if removal.stage == ROWS:
        return note("Left out when the source was read: no table has these rows.")
    return note("No example: no table that is counted has such a row.")


_Found = tuple[RowContent, dict[str, Any]]  # what is to be seen of a row, and its url and detail


def _contents(context: ReportContext, places: Sequence[RowPlace]) -> dict[RowPlace, _Found]:
    rows = context.contents(places, Shows.PAIR)
    context.images.load(each for row in rows for each in row.ranges)
    notes = _notes(context, places)
    return {place: (row, notes[place]) for place, row in zip(places, rows, strict=True)}


def _notes(context: ReportContext, places: Sequence[RowPlace]) -> dict[RowPlace, dict[str, Any]]:
    """Reads where rows come from, and what a stage says of its reason."""
    found: dict[RowPlace, dict[str, Any]] = {place: {} for place in places}
    for node, shard, together in of_same_shard(places):
        behind = () if node.stage.fan_out else (ITEMS, ROWS, "image_stats")  # tables with the same rows
        for name in (node.stage.name, *behind):
            table = context.read(node, shard, name, ("url", "source_url", "detail"))
            if table is None or not table.num_columns:
                continue
            for place, fields in zip(together, table.take([each.row for each in together]).to_pylist(), strict=True):
                found[place] |= {column: value for column, value in fields.items() if value}
    return found


def _entry(context: ReportContext, place: RowPlace, row: RowContent, notes: dict[str, Any]) -> GalleryEntry:
    known = context.images.load(())
    images = tuple(known[each] for each in row.ranges if each in known)
    url = printable(str(notes.get("url") or notes.get("source_url") or ""), _MAX_URL)
    detail = printable(str(notes.get("detail") or ""), 200)
    texts = tuple(text for text in (*row.texts, detail) if text)
    place_text = place.address.partition(", ")[2]
    caption = f"{place_text}{f': {url}' if url else ''}"
    return GalleryEntry(caption, images, texts or (("",) if not images else ()), place.address)
