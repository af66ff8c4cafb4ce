"""Counts what evaluation sets were checked, what was removed for the sake of each, and how it was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import Status
from corpus.stage import EVALUATION_INDEX
from corpus.workspace import Workspace
from filters.decontamination.decontaminate import DECISION, DECONTAMINATE, DECONTAMINATE_PAIRS
from filters.decontamination.evaluation import COSINE, EXACT, HASH, TEXT_WAYS
from pipelines.plan import Plan, PlannedTable
from pipelines.publish.manifest import MAX_EVALUATION_HITS

Checked = dict[str, Any]  # what the manifest has of one evaluation set


@dataclass
class _Counts:
    """What was removed for the sake of one set."""

    reasons: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)  # (evaluation item, source or dataset)
    missed_by_hashes: int = 0
    ignored: int = 0


def evaluation_report(
    workspace: Workspace, plan: Plan, sources: Collection[str], datasets: Collection[str], sets: Collection[str]
) -> dict[str, Checked]:
    """Returns for each evaluation set what was checked and removed among some sources and datasets.

    All tables of the plan must exist. What a hash would have missed are the rows that leak by their vectors alone.
    """
    counts = {name: _Counts() for name in sets}
    decided = list(_decisions(plan, sources, datasets))
    columns = [*DECISION.names, "status", "reason"]
    tables = workspace.read_tables([each.task.output for each in decided], columns)
    for planned, table in zip(decided, tables, strict=True):
        _add(counts, planned.node.dataset or planned.node.source, table)
    found = {}
    for name in sorted(sets):
        each = counts[name]
        found[name] = {
            **_checked(workspace, plan.table(EVALUATION_INDEX, name)),
            "removed": dict(sorted(each.reasons.items())),
            "ways": dict(sorted(each.ways.items())),
            "missed_by_hashes": each.missed_by_hashes,
            "ignored": each.ignored,
            "items": len({item for item, _ in each.hits}),
            "hits": [
                {"item": item, "in": where, "rows": rows}
                for (item, where), rows in sorted(each.hits.items())[:MAX_EVALUATION_HITS]
            ],
        }
    return found


def _decisions(plan: Plan, sources: Collection[str], datasets: Collection[str]) -> Iterator[PlannedTable]:
    for step, planned in plan.steps:
        for table in planned:
            of_items = step.name == DECONTAMINATE and table.node.source in sources
            if of_items or (step.name == DECONTAMINATE_PAIRS and table.node.dataset in datasets):
                yield table


def _add(counts: Mapping[str, _Counts], where: str, table: pa.Table) -> None:
    """Adds the decisions of a table over the rows of a source or the pairs of a dataset."""
    ignored = table.column("ignored").drop_null()
    for name in pc.list_flatten(ignored).to_pylist() if len(ignored) else ():
        if name in counts:
            counts[name].ignored += 1
    decided = pc.and_(table.column("evaluation_set").is_valid(), pc.equal(table.column("status"), str(Status.FILTERED)))
    for row in table.filter(decided).to_pylist():
        each = counts[row["evaluation_set"]]
        each.reasons[row["reason"]] += 1
        each.ways.update(row["ways"])
        each.hits[row["evaluation_item"], where] += 1
        each.missed_by_hashes += COSINE in row["ways"] and not {*row["ways"]} & {EXACT, HASH, *TEXT_WAYS}


def _checked(workspace: Workspace, tables: Sequence[PlannedTable]) -> Checked:
    """Counts the media and the texts of a set, and the media without a usable hash, which only equal bytes find."""
    media = texts = unhashed = unreadable = 0
    for table in workspace.read_tables([each.task.output for each in tables], ["item_id", "phash", "text"]):
        read = table.column("item_id").is_valid()
        is_text = table.column("text").is_valid()
        media += pc.sum(read).as_py() or 0
        texts += pc.sum(is_text).as_py() or 0
        unhashed += pc.sum(pc.and_(read, table.column("phash").is_null())).as_py() or 0
        unreadable += pc.sum(pc.invert(pc.or_(read, is_text))).as_py() or 0
    return {"media": media, "texts": texts, "without_hash": unhashed, "unreadable": unreadable}


def evaluation_lines(report: Mapping[str, Checked], absent: Sequence[str]) -> Iterator[str]:
    """Yields a line for each evaluation set; or one that says that there are none."""
    if not report:
        yield "not checked against any evaluation set"
    for name, each in report.items():
        removed = ", ".join(f"{reason} {rows:,}" for reason, rows in each["removed"].items()) or "nothing removed"
        more = [
            f", {each[key]:,} {words}"
            for key, words in (("missed_by_hashes", "of them missed by hashes alone"), ("ignored", "ignored"))
            if each[key]
        ]
        unread = f", {each['unreadable']:,} unreadable" if each["unreadable"] else ""
        checked = f"evaluation set {name}: {each['media']:,} media, {each['texts']:,} texts{unread}"
        yield f"{checked}: {removed}{''.join(more)}"
    if absent:
        yield f"evaluation sets that are not there, and were not checked: {', '.join(absent)}"
