"""Counts the funnel of a source: rows in, kept, and removed by reason, from the tables that exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from corpus.schema import Status
from corpus.stage import ROWS
from corpus.workspace import TableKey
from pipelines.plan import Plan, PlannedTable
from pipelines.report.table_counts import TableCounts
from pipelines.sources.source_shards import SourceIndex

Funnel = dict[str, Any]

IMAGES = "images"
_READ = "read"  # the one entry of a source's counts that is not a reason for leaving a row out


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows are counted, and how its kept rows count: as kept, as pending, or as the rows made of them."""

    path: str
    kept_as: Literal["kept", "pending", "made into others"]
    of_source: bool = True  # its rows are those of the source, not clips or pairs


def funnels(counts: TableCounts, plan: Plan, ready: set[str], sources: Collection[str]) -> dict[str, Funnel]:
    """Returns the funnel of each of the sources; `ready` are the paths of the tables that exist."""
    found = {}
    for source, index in ((name, index) for name, index in plan.indexes.items() if name in sources):
        found[source] = source_funnel(counts, index, counted_of_source(plan, source, ready))
        if repeated := duplicate_image_names(counts, plan.table(IMAGES, source), ready):
            found[source].setdefault("not_read", {})["images"] = {"duplicate_name": len(repeated)}
    return found


def filtering_stages(plan: Plan, source: str) -> list[list[PlannedTable]]:
    """Returns the tables of each stage that filters the rows of a source, then those of the stages that make and filter
    its pairs; where several datasets have pairs of it, those of the first.
    """
    tables = [filtered for _, planned in plan.steps if (filtered := _filter_tables(planned, source))]
    dataset = next((each[0].node.dataset for each in tables if each[0].node.dataset), "")
    return [each for each in tables if each[0].node.dataset in ("", dataset)]


def counted_of_source(plan: Plan, source: str, ready: set[str]) -> list[CountedTable]:
    """Returns the tables of a source that are counted; `ready` are the paths of the tables that exist."""
    tables = filtering_stages(plan, source)
    stages = [planned for planned in tables if not planned[0].node.dataset]
    pairs = [planned for planned in tables if planned[0].node.dataset]
    if pairs:
        index = plan.indexes[source]
        return list(counted_pairs(source, index, stages[-1] if stages else [], pairs, ready))
    return list(counted_tables(stages, ready))


def duplicate_image_names(counts: TableCounts, images: Sequence[PlannedTable], ready: set[str]) -> list[str]:
    """Returns the names of images that several archives have, each once, from the tables of images that exist.

    Such a name stands for the image of the first archive; those of the others are not read.
    """
    existing = [planned.task.output for planned in images if planned.task.output in ready]
    return list(dict.fromkeys(name for names in counts.repeated_names(existing) for name in names))


def _filter_tables(planned: Sequence[PlannedTable], source: str) -> list[PlannedTable]:
    """Returns the tables of a step that have the status of a source's rows; of several datasets, those of the first."""
    tables = [each for each in planned if each.node.source == source and each.node.filters_rows]
    return [each for each in tables if each.node is tables[0].node]


def counted_pairs(
    source: str,
    index: SourceIndex,
    filtered: Sequence[PlannedTable],
    pairs: Sequence[Sequence[PlannedTable]],
    ready: set[str],
) -> Iterator[CountedTable]:
    """Yields the tables that are counted for a source of pairs: the last that filter its rows, and of the tables of its
    pairs the last that there is.

    `pairs`: of the stage that makes pairs, then of those that filter them. Its images are rows of another kind, which
    are not counted: the reason of a pair names the image that it lacks.
    """
    row_tables = {p.task.shard: p.task.output for p in filtered}
    pair_tables = {
        p.task.shard: (p.task.output, stage is pairs[-1]) for stage in pairs for p in stage if p.task.output in ready
    }
    for shard, name in index.shards:
        rows = row_tables.get(shard, "")
        rows = rows if rows in ready else TableKey("tables", source, ROWS).path(shard, name)
        if shard in pair_tables:
            path, is_last = pair_tables[shard]
            yield CountedTable(rows, "made into others")
            yield CountedTable(path, "kept" if is_last else "pending", of_source=False)
        else:
            yield CountedTable(rows, "pending")


def counted_tables(stages: Sequence[Sequence[PlannedTable]], ready: set[str]) -> Iterator[CountedTable]:
    """Yields the tables that are counted; `stages` are the filtering stages of a source in order, each with its shards.

    Of each shard that is the last table that exists. Where a stage has fanned out the rows of a shard, its rows are
    counted, and the rows that were removed before. The tables of a stage that looks ahead are counted once all of them
    exist, in place of those that they were made from.
    """
    row_stages = [planned for planned in stages if not planned[0].node.stage.fan_out]
    fan_out_stages = [
        planned for planned in stages if planned[0].node.stage.fan_out and not planned[0].node.stage.lookahead_shards
    ]
    lookahead_stages = [planned for planned in stages if planned[0].node.stage.lookahead_shards]
    is_complete = bool(lookahead_stages) and all(p.task.output in ready for p in lookahead_stages[-1])
    if is_complete:
        yield from (CountedTable(p.task.output, "kept", of_source=False) for p in lookahead_stages[-1])
    fanned_out = {p.task.shard: p.task.output for planned in fan_out_stages for p in planned if p.task.output in ready}
    latest: dict[str, tuple[str, bool]] = {}
    for planned in row_stages:
        for p in planned:
            if p.task.output in ready:
                latest[p.task.shard] = (p.task.output, planned is row_stages[-1])
    for shard, (path, is_last) in latest.items():
        if is_last and shard in fanned_out:
            yield CountedTable(path, "made into others")
            if not is_complete:
                yield CountedTable(fanned_out[shard], "pending" if lookahead_stages else "kept", of_source=False)
        else:
            yield CountedTable(path, "kept" if is_last and not fan_out_stages else "pending")


def source_funnel(counts: TableCounts, index: SourceIndex, tables: Sequence[CountedTable]) -> Funnel:
    """Counts the rows of one source that came in, were kept, and were removed by status and reason: they add up.

    Rows that are in none of the tables count as `pending`. A video counts as the clips made of it, so `rows_in` has as
    many as these; `source_rows` is how many rows there were before. `not_read` counts what is no row: files by reason,
    and by column the values that could not be cast. (`funnels` adds images of repeated names.)
    """
    removed: dict[str, Counter[str]] = {str(status): Counter() for status in Status if status is not Status.KEPT}
    omitted = {reason: n for reason, n in index.counts.items() if reason != _READ and n}
    removed[Status.FILTERED].update(omitted)
    kept: Counter[str] = Counter(pending=index.rows)
    for each, found in zip(tables, counts.rows([each.path for each in tables]), strict=True):
        kept["pending"] -= sum(found.values()) if each.of_source else 0
        for key, rows in found.items():
            status, _, reason = key.partition("/")
            if status != Status.KEPT:
                removed[status][reason] += rows
            else:
                kept[each.kept_as] += rows
    removed_rows = sum(sum(reasons.values()) for reasons in removed.values())
    source_rows = index.rows + sum(omitted.values())
    funnel: Funnel = {
        "rows_in": kept["kept"] + kept["pending"] + removed_rows,
        "kept": kept["kept"],
        "removed": {status: dict(sorted(reasons.items())) for status, reasons in removed.items() if reasons},
    }
    if kept["pending"]:
        funnel["pending"] = kept["pending"]
    if any(each.kept_as == "made into others" for each in tables) and source_rows != funnel["rows_in"]:
        funnel["source_rows"] = source_rows
    if index.not_read:
        funnel["not_read"] = index.not_read
    return funnel
