"""The funnel of a source: rows in, kept, and removed by reason, counted from the tables that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.compute as pc

from corpus.execution import count
from corpus.schema import Status
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.plan import Plan, Planned
from pipelines.sources.source_shards import SourceIndex

Funnel = dict[str, Any]

IMAGES = "images"
_LEFT_OUT = "read"  # the one entry of a source's counts that is not a reason for leaving a row out


@dataclass(frozen=True)
class Counted:
    """A table whose rows count, and what its kept rows are there."""

    path: str
    kept: Literal["kept", "pending", "gone on"]  # pending: it isn't the last word; gone on: as clips, which are counted
    own: bool = True  # its rows are the source's own, not clips


def funnels(workspace: Workspace, plan: Plan, ready: set[str]) -> dict[str, Funnel]:
    """The funnel of each source; `ready` are the paths of the tables that are there."""
    found = {}
    for source, index in plan.indexes.items():
        tables = [judged for _, planned in plan.steps if (judged := _judged(planned, source))]
        stages = [planned for planned in tables if not planned[0].node.dataset]
        pairs = [planned for planned in tables if planned[0].node.dataset]
        if pairs:
            counts = list(counted_pairs(source, index, stages[-1] if stages else [], pairs[0], ready))
        else:
            counts = list(counted(stages, ready))
        found[source] = source_funnel(workspace, index, counts)
        if repeated := repeated_images(workspace, plan.table(IMAGES, source), ready):
            found[source].setdefault("not_read", {})["images"] = {"repeated_name": len(repeated)}
    return found


def repeated_images(workspace: Workspace, images: Sequence[Planned], ready: set[str]) -> list[str]:
    """The names of images that several archives have, each once, of a source's tables of images that are there.

    Such a name stands for the image of the first archive; those of the others are not read.
    """
    names: dict[str, None] = {}
    for planned in images:
        if planned.task.output in ready:
            table = workspace.read_table(planned.task.output, ["image", "repeated"])
            names |= dict.fromkeys(
                table.filter(pc.fill_null(table.column("repeated"), False)).column("image").to_pylist()
            )
    return list(names)


def _judged(planned: Sequence[Planned], source: str) -> list[Planned]:
    """The tables of a step that say what has become of a source's rows; of several datasets, those of the first."""
    tables = [each for each in planned if each.node.source == source and each.node.filters_rows]
    return [each for each in tables if each.node is tables[0].node]


def counted_pairs(
    source: str, index: SourceIndex, judged: Sequence[Planned], pairs: Sequence[Planned], ready: set[str]
) -> Iterator[Counted]:
    """Which tables count of a source that gives pairs: what was said of its rows, and the pairs that they became.

    Its images are rows of another kind, which are not counted: a pair says which of them it could not do without.
    """
    judgements = {p.task.shard: p.task.output for p in judged}
    made = {p.task.shard: p.task.output for p in pairs}
    for shard, name in index.shards:
        rows = judgements.get(shard, "")
        rows = rows if rows in ready else TableKey("tables", source, ROWS).path(shard, name)
        if made.get(shard) in ready:
            yield Counted(rows, "gone on")
            yield Counted(made[shard], "kept", own=False)
        else:
            yield Counted(rows, "pending")


def counted(stages: Sequence[Sequence[Planned]], ready: set[str]) -> Iterator[Counted]:
    """Which tables count: `stages` are the judging stages of a source in order, each with its shards.

    In each shard the last table that is there. Where a stage has made other rows of a shard's, these count, and those
    that were removed before. The tables of a stage that looks ahead count when all of them are there, in place of those
    that they were made from.
    """
    own = [planned for planned in stages if not planned[0].node.stage.fan_out]
    made = [
        planned for planned in stages if planned[0].node.stage.fan_out and not planned[0].node.stage.lookahead_shards
    ]
    regrouped = [planned for planned in stages if planned[0].node.stage.lookahead_shards]
    whole = bool(regrouped) and all(p.task.output in ready for p in regrouped[-1])
    if whole:
        yield from (Counted(p.task.output, "kept", own=False) for p in regrouped[-1])
    expanded = {p.task.shard: p.task.output for planned in made for p in planned if p.task.output in ready}
    latest: dict[str, tuple[str, bool]] = {}
    for planned in own:
        for p in planned:
            if p.task.output in ready:
                latest[p.task.shard] = (p.task.output, planned is own[-1])
    for shard, (path, last) in latest.items():
        if last and shard in expanded:
            yield Counted(path, "gone on")
            if not whole:
                yield Counted(expanded[shard], "pending" if regrouped else "kept", own=False)
        else:
            yield Counted(path, "kept" if last and not made else "pending")


def source_funnel(workspace: Workspace, index: SourceIndex, tables: Sequence[Counted]) -> Funnel:
    """Rows in, kept, and removed by status and reason, of one source: they add up.

    Rows that no table tells of count as `pending`. A video counts as the clips that it became, so its rows in are as
    many as these; `source_rows` is how many rows there were before. `not_read` counts what is no row: files by
    reason, and by column the values that could not be had in their type. (`funnels` adds images of repeated names.)
    """
    removed: dict[str, Counter[str]] = {str(status): Counter() for status in Status if status is not Status.KEPT}
    left_out = {reason: n for reason, n in index.counts.items() if reason != _LEFT_OUT and n}
    removed[Status.FILTERED].update(left_out)
    kept: Counter[str] = Counter(pending=index.rows)
    for each in tables:
        table = workspace.read_table(each.path, ["status", "reason"])
        kept["pending"] -= table.num_rows if each.own else 0
        for key, rows in count(table).items():
            status, _, reason = key.partition("/")
            if status != Status.KEPT:
                removed[status][reason] += rows
            else:
                kept[each.kept] += rows
    gone = sum(sum(reasons.values()) for reasons in removed.values())
    funnel: Funnel = {
        "rows_in": kept["kept"] + kept["pending"] + gone,
        "kept": kept["kept"],
        "removed": {status: dict(sorted(reasons.items())) for status, reasons in removed.items() if reasons},
    }
    if kept["pending"]:
        funnel["pending"] = kept["pending"]
    if any(each.kept == "gone on" for each in tables) and index.rows + sum(left_out.values()) != funnel["rows_in"]:
        funnel["source_rows"] = index.rows + sum(left_out.values())
    if index.not_read:
        funnel["not_read"] = index.not_read
    return funnel
