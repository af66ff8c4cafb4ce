"""Failures: shards that no run has finished since, with their messages, and what is odd about sources."""

from __future__ import annotations

from corpus.printable import printable
from corpus.workspace import owner_name
from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape
from pipelines.report.html.table import Column, table_html
from pipelines.report.run_history import LoggedTable
from pipelines.report.sections.base import card, note, number_of

_MESSAGES, _SHARDS, _NOTICES = 40, 8, 60  # that are listed
_COLUMNS = (Column("stage"), Column("shards", is_number=True), Column("message"))


def failures_section(context: ReportContext) -> str:
    """Lists what failed, shards with the same message together, then the notices about sources."""
    failures = context.history.failures
    notices = [printable(line, 400) for line in context.plan.notices]
    unread = [f"{name}: not read yet, or changed: its shards are not known" for name in context.plan.unread]
    lines = [*unread, *notices]
    parts = []
    if failures:
        parts.append(card(f"{number_of(len(failures), 'shard')} failed", _messages(failures)))
    if lines:
        listed = "".join(f"<li>{escape(line)}</li>" for line in lines[:_NOTICES])
        more = note(f"{len(lines) - _NOTICES:,} more lines.") if len(lines) > _NOTICES else ""
        parts.append(card("Notices", f'<ul class="faults">{listed}</ul>{more}'))
    return "".join(parts)


def _messages(failures: list[LoggedTable]) -> str:
    together: dict[tuple[str, str], list[LoggedTable]] = {}
    for each in failures:
        together.setdefault((each.stage, each.error), []).append(each)
    ordered = sorted(together.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    rows = []
    for (stage, error), tables in ordered[:_MESSAGES]:
        names = ", ".join(f"{owner_name(each.owner)}/{each.shard}" for each in tables[:_SHARDS])
        more = f" and {len(tables) - _SHARDS:,} more" if len(tables) > _SHARDS else ""
        message = f'{escape(printable(error, 600))}<br><span class="faint">{escape(names + more)}</span>'
        rows.append((f"<code>{escape(stage)}</code>", f"{len(tables):,}", message))
    omitted = note(f"{len(ordered) - _MESSAGES:,} more messages.") if len(ordered) > _MESSAGES else ""
    return table_html(_COLUMNS, rows) + omitted
