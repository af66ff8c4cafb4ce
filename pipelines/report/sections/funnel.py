"""The funnel of each source, as a flow from its rows through the stages that remove some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from corpus.schema import Status
from pipelines.report.context import ReportContext
from pipelines.report.funnel import Funnel
from pipelines.report.html.flow import FlowReason, FlowStage, flow_html, swatch
from pipelines.report.html.page import escape
from pipelines.report.html.stacked import BarPart, stacked_bar_html
from pipelines.report.html.table import Column, table_html
from pipelines.report.removals import Removal, rows_by_stage, source_removals
from pipelines.report.sections.base import card, grid, note

PENDING = "pending"
_COLUMNS = (
    Column("source"),
    Column("rows", is_number=True),
    Column("kept", is_number=True),
    Column("share", is_number=True),
    Column("what became of them", is_wide=True, name="bar"),
)


def funnel_section(context: ReportContext) -> str:
    """Draws all sources in one table, then a flow for each of which rows were removed."""
    funnels = {name: context.funnels[name] for name in context.config.sources if name in context.funnels}
    if not funnels:
        return ""
    rows = [_overview_row(name, funnel) for name, funnel in funnels.items()]
    flows = [
        card(name, _flow(context, name, funnel) + "".join(_not_read(funnel)), _kind(context, name))
        for name, funnel in funnels.items()
        if funnel["removed"]
    ]
    complete = [f"{name}: all rows are kept." for name, funnel in funnels.items() if not funnel["removed"]]
    statuses = [*Status, *([PENDING] if any(funnel.get(PENDING) for funnel in funnels.values()) else [])]
    legend = "".join(f"<li>{swatch(name)}{escape(name)}</li>" for name in statuses)
    return "".join(
        [
            f'<section class="card">{table_html(_COLUMNS, rows)}<ul class="legend">{legend}</ul></section>',
            note("Each band is as wide as its share of the source's rows. A reason leads to examples."),
            grid(flows, "flows"),
            note(" ".join(complete)) if complete else "",
        ]
    )


def status_bar(funnel: Funnel) -> str:
    """Draws the rows of a funnel by status."""
    removed = {status: sum(reasons.values()) for status, reasons in funnel["removed"].items()}
    numbers = {Status.KEPT: funnel["kept"], **removed, PENDING: funnel.get(PENDING, 0)}
    return stacked_bar_html([BarPart(str(name), number, f"is-{name}") for name, number in numbers.items()])


def _overview_row(name: str, funnel: Funnel) -> tuple[str, ...]:
    share = funnel["kept"] / funnel["rows_in"] if funnel["rows_in"] else 0.0
    return escape(name), f"{funnel['rows_in']:,}", f"{funnel['kept']:,}", f"{share:.1%}", status_bar(funnel)


def _kind(context: ReportContext, source: str) -> str:
    kind = str(getattr(context.config.sources[source], "kind", ""))
    return "" if kind == source else kind


def _flow(context: ReportContext, name: str, funnel: Funnel) -> str:
    first = f"<p><b>{funnel['rows_in']:,}</b> rows</p>"
    if "source_rows" in funnel:
        first += f'<p class="faint">of {funnel["source_rows"]:,} videos or parts of them</p>'
    remaining = f'<p>{swatch("kept")}<b class="kept-ink">{funnel["kept"]:,}</b> kept</p>'
    if funnel.get(PENDING):
        remaining += f"<p>{swatch(PENDING)}{funnel[PENDING]:,} pending: stages are not done</p>"
    return flow_html(funnel["rows_in"], first, list(_stages(source_removals(context, name))), remaining)


def _stages(removals: Sequence[Removal]) -> Iterator[FlowStage]:
    for name, together in rows_by_stage(removals):
        reasons = tuple(FlowReason(each.status, each.reason, each.rows, each.anchor) for each in together)
        yield FlowStage(name or "a stage that no sampled shard tells", reasons)


def _not_read(funnel: Funnel) -> Iterator[str]:
    counts = [f"{kind} {name} {n:,}" for kind, names in funnel.get("not_read", {}).items() for name, n in names.items()]
    if counts:
        yield note(f"Not read: {', '.join(counts)}.")
