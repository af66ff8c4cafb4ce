"""Stages: how long each took and how fast it was, the slowest shards, and the runs."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.printable import printable
from corpus.workspace import owner_name
from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape
from pipelines.report.html.stacked import BarPart, colour, stacked_bar_html
from pipelines.report.html.table import Column, table_html
from pipelines.report.run_history import LoggedRun, LoggedTable
from pipelines.report.sections.base import card, duration, note

_SLOWEST, _RUNS = 8, 10  # that are listed
_STAGES = (
    Column("stage"),
    Column("shards", is_number=True, is_wide=True),
    Column("rows", is_number=True),
    Column("time", is_number=True),
    Column("rows/s", is_number=True),
    Column("written", is_number=True, is_wide=True),
    Column("beside the longest", is_wide=True, name="bar"),
)
_SHARDS = (
    Column("shard"),
    Column("rows", is_number=True, is_wide=True),
    Column("time", is_number=True),
    Column("of the stage's median", is_number=True),
)
_PERIODS = (
    Column("stage"),
    Column("shards", is_number=True, is_wide=True),
    Column("from", is_number=True),
    Column("to", is_number=True),
    Column("rows/s", is_number=True),
    Column("within the run", is_wide=True, name="bar"),
)
_RUN_COLUMNS = (
    Column("run"),
    Column("from"),
    Column("to", is_wide=True),
    Column("tables", is_number=True),
    Column("failed", is_number=True),
    Column("ended by", is_wide=True),
)


def stages_section(context: ReportContext) -> str:
    """Lists stages, slow shards and runs, from the logs of runs."""
    written = context.history.written
    if not written:
        return ""
    stages: dict[str, list[LoggedTable]] = {step.name: [] for step, _ in context.plan.steps}
    for each in written:
        stages.setdefault(each.stage, []).append(each)
    stages = {name: tables for name, tables in stages.items() if tables}
    omitted = ""
    if context.history.omitted:
        omitted = note(f"The logs of {context.history.omitted:,} older runs were not read: they are large.")
    if context.history.malformed:
        omitted += note(f"{context.history.malformed:,} lines of the logs could not be read.")
    return "".join(
        [
            note(
                "Time is that of the workers, added up: what the newest run that wrote a shard logged of it. Shards "
                "that take part in a shuffle are timed when their tables are written."
            ),
            f'<section class="card">{_stage_table(stages)}</section>',
            *_timeline(context.history.runs),
            card("Slowest shards", table_html(_SHARDS, _slowest(stages))),
            card("Runs", table_html(_RUN_COLUMNS, [_run(run) for run in context.history.runs[:_RUNS]]) + omitted),
        ]
    )


def _stage_table(stages: dict[str, list[LoggedTable]]) -> str:
    times = {name: sum(each.seconds for each in tables) for name, tables in stages.items()}
    highest = max(times.values()) or 1.0
    rows = []
    for name, tables in stages.items():
        count = sum(each.rows for each in tables)
        rate = f"{count / times[name]:,.0f}" if times[name] >= 0.05 else ""
        bar = stacked_bar_html([BarPart(name, times[name], colour(0)), BarPart("", highest - times[name], "rest")])
        size = byte_size(sum(each.written_bytes for each in tables))
        cells = (f"{len(tables):,}", f"{count:,}", duration(times[name]), rate, size, bar)
        rows.append((f"<code>{escape(name)}</code>", *cells))
    return table_html(_STAGES, rows)


def _timeline(runs: Sequence[LoggedRun]) -> list[str]:
    """Draws when each stage was at work in the newest run that wrote tables; nothing where its log has no times."""
    run = next((run for run in runs if run.periods), None)
    if run is None:
        return []
    first = min(period.start for period in run.periods.values())
    total_s = (max(period.end for period in run.periods.values()) - first).total_seconds()
    rows = []
    for name, period in sorted(run.periods.items(), key=lambda entry: entry[1].start):
        start_s = (period.start - first).total_seconds()
        rest_s = total_s - start_s - period.seconds
        parts = (BarPart("", start_s, "rest"), BarPart(name, period.seconds, colour(0)), BarPart("", rest_s, "rest"))
        rate = f"{period.rows / period.seconds:,.0f}" if period.seconds >= 0.05 else ""
        cells = (
            f"{period.tables:,}",
            duration(start_s),
            duration(start_s + period.seconds),
            rate,
            stacked_bar_html(parts),
        )
        rows.append((f"<code>{escape(name)}</code>", *cells))
    detail = f"{run.name}, in {duration(total_s)} from its first shard on; rows/s of all workers together"
    return [card("When each stage was at work", table_html(_PERIODS, rows), detail)]


def _slowest(stages: dict[str, Sequence[LoggedTable]] | dict[str, list[LoggedTable]]) -> list[tuple[str, ...]]:
    medians = {name: sorted(each.seconds for each in tables)[len(tables) // 2] for name, tables in stages.items()}
    slowest = sorted((each for tables in stages.values() for each in tables), key=lambda each: -each.seconds)
    return [
        (
            f"<code>{escape(each.stage)}</code> {escape(owner_name(each.owner))}/{escape(each.shard)}",
            f"{each.rows:,}",
            duration(each.seconds),
            f"{each.seconds / medians[each.stage]:.1f} ×" if medians[each.stage] else "",
        )
        for each in slowest[:_SLOWEST]
    ]


def _run(run: LoggedRun) -> tuple[str, ...]:
    return (
        escape(run.name),
        _time(run.started),
        _time(run.ended) or "not logged",
        f"{run.written:,}",
        f"{run.failed:,}",
        escape(printable(run.error, 120) if run.error else "its end" if run.ended else ""),
    )


def _time(at: str) -> str:
    return escape(printable(at.replace("T", " ").removesuffix("Z"), 40))


def byte_size(number: float) -> str:
    """Returns a size as people read it: "1.2 MB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
