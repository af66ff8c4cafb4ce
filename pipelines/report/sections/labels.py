"""Labels of classification sets that were merged, and why."""

from __future__ import annotations

from corpus.stage import ROWS
from pipelines.labels.merge import merge_labels
from pipelines.labels.stage import Labels
from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape
from pipelines.report.html.table import Column, table_html
from pipelines.report.sections.base import note, number_of, sampled
from pipelines.summaries import add_labels

_MAX_ROWS = 60  # of the table
_COLUMNS = (Column("merged label"), Column("labels of the sets"), Column("why", is_wide=True))


def labels_section(context: ReportContext) -> str:
    """Lists the labels that several sets have, or that were renamed."""
    labels_by_set: dict[str, set[str]] = {}
    read = total = 0
    for node in context.nodes(Labels.name):
        found = context.sample(node)
        read, total = read + len(found.shards), total + found.total
        for shard in found.shards:
            table = context.read(node, shard, ROWS, ("label", "subset"))
            if table is not None:
                add_labels(labels_by_set, node.source, table)
    if not labels_by_set:
        return ""
    merged: dict[str, list[dict[str, str]]] = {}
    for row in merge_labels(labels_by_set, context.config.stages.labels).table.to_pylist():
        merged.setdefault(row["merged"], []).append(row)
    changed = {name: rows for name, rows in merged.items() if len(rows) > 1 or any(row["why"] for row in rows)}
    text = (
        f"{number_of(sum(map(len, merged.values())), 'label')} of {number_of(len(labels_by_set), 'set')} are "
        f"{len(merged):,} merged labels, of which {len(changed):,} join several or have another name; "
        f"{sampled('shards', read, total)}."
    )
    if not changed:
        return note(text)
    listed = sorted(changed.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    rows = [
        (
            escape(name),
            "<br>".join(f'<span class="faint">{escape(row["set"])}:</span> {escape(row["label"])}' for row in together),
            escape("; ".join(dict.fromkeys(row["why"] for row in together if row["why"]))),
        )
        for name, together in listed[:_MAX_ROWS]
    ]
    more = note(f"{len(listed) - _MAX_ROWS:,} more.") if len(listed) > _MAX_ROWS else ""
    return f'{note(text)}<section class="card">{table_html(_COLUMNS, rows)}{more}</section>'
