"""Removed rows of a source: how many by stage and reason, and where some of them lie.

How many there are the funnel says, which is exact. Which stage removed them is read from the tables of some shards:
where these are all, the numbers of each stage are exact, too; else a reason that several stages give is divided among
them as in the sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.sampling import derive_seed, random_order
from corpus.schema import Status
from corpus.stage import ROWS
from corpus.workspace import TableKey
from pipelines.report.context import SAMPLE_SEED, SHARDS, ReportContext, RowPlace
from pipelines.report.funnel import filtering_stages

_TABLES = 3  # that examples of one reason are taken from
_READ = "read"  # the one entry of a source's counts that is no reason


@dataclass(frozen=True)
class Removal:
    """Rows of a source that one stage removed for one reason. `stage` is `rows` for what the source left out, and ""
    where no sampled shard has such a row.
    """

    source: str
    stage: str
    status: str
    reason: str
    rows: int

    @property
    def anchor(self) -> str:
        """The id of its examples on the page."""
        return f"removed-{derive_seed(SAMPLE_SEED, self.source, self.status, self.reason):016x}"


def source_removals(context: ReportContext, source: str) -> list[Removal]:
    """Returns what the funnel of a source counts as removed, in the order of stages, then of numbers."""
    removed = context.funnels[source]["removed"]
    omitted = {reason: n for reason, n in context.plan.indexes[source].counts.items() if reason != _READ and n}
    stages = [ROWS, *(each[0].node.stage.name for each in filtering_stages(context.plan, source)), ""]
    by_stage = _stages_of_reasons(context, source)
    found = []
    for status, reasons in removed.items():
        for reason, rows in reasons.items():
            at_source = omitted.get(reason, 0) if status == Status.FILTERED else 0
            shares = by_stage.get(f"{status}/{reason}", Counter())
            numbers = Counter({ROWS: at_source}) + Counter(divided(rows - at_source, shares or Counter({"": 1})))
            found += [Removal(source, stage, status, reason, n) for stage, n in numbers.items() if n > 0]
    return sorted(found, key=lambda each: (stages.index(each.stage), each.status, -each.rows, each.reason))


def divided(number: int, shares: Counter[str]) -> dict[str, int]:
    """Divides a number by shares into whole numbers that add up to it (largest remainder)."""
    total = sum(shares.values())
    exact = {name: number * share / total for name, share in shares.items()}
    found = {name: int(each) for name, each in exact.items()}
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[: number - sum(found.values())]:
        found[name] += 1
    return found


def _stages_of_reasons(context: ReportContext, source: str) -> dict[str, Counter[str]]:
    """Counts in a sample of shards which stage gave rows each "status/reason" first."""
    names = context.plan.indexes[source].shards
    keys = pa.array([f"{source}/{shard}" for shard, _ in names], pa.string())
    chosen: dict[str, str] = dict(names[at] for at in random_order(keys, SAMPLE_SEED)[:SHARDS].tolist())
    stages = [(ROWS, True, [TableKey("tables", source, ROWS).path(*each) for each in chosen.items()])]
    for planned in filtering_stages(context.plan, source):
        paths = [each.task.output for each in planned if each.task.shard in chosen]
        stage = planned[0].node.stage
        # The table of a stage that looks ahead has the rows of the one before, in other shards.
        stages.append((stage.name, stage.fan_out and not stage.lookahead_shards, paths))
    found: dict[str, Counter[str]] = {}
    before: Counter[str] = Counter()
    for stage_name, is_new, paths in stages:
        counts: Counter[str] = Counter()
        for each in context.counts.rows([path for path in paths if path in context.ready or stage_name == ROWS]):
            counts.update(each)
        for key, rows in (counts if is_new else counts - before).items():
            if not key.startswith(f"{Status.KEPT}/"):
                found.setdefault(key, Counter())[stage_name] += rows
        before = counts
    return found


def removed_rows(context: ReportContext, source: str, limit: int) -> dict[tuple[str, str], list[RowPlace]]:
    """Finds some removed rows of each status and reason, at most `limit`: those that the funnel counts."""
    counted = context.counted(source)
    tables = context.tables_by_path()
    holders: dict[str, dict[str, int]] = {}  # rows of each path, by "status/reason"
    for each, counts in zip(counted, context.counts.rows([each.path for each in counted]), strict=True):
        for key, rows in counts.items():
            if not key.startswith(f"{Status.KEPT}/") and each.path in tables:
                holders.setdefault(key, {})[each.path] = rows
    chosen = {key: _chosen(paths, limit) for key, paths in holders.items()}
    found: dict[tuple[str, str], list[RowPlace]] = {}
    for path in sorted({path for paths in chosen.values() for path in paths}):
        keys = [key for key, paths in chosen.items() if path in paths]
        verdict = context.workspace.read_table(path, ["status", "reason"])
        planned = tables[path]
        for key in keys:
            status, _, reason = key.partition("/")
            places = found.setdefault((status, reason), [])
            room = max(0, limit - len(places))
            removed = _rows(verdict, status, reason, path)[:room]
            places += [RowPlace(planned.node, planned.task.shard, row) for row in removed]
    return found


def _chosen(rows: Mapping[str, int], limit: int) -> list[str]:
    """Returns some tables, in random order: no more than are needed for `limit` rows, and _TABLES where there are."""
    chosen: list[str] = []
    paths = list(rows)
    for at in random_order(pa.array(paths, pa.string()), SAMPLE_SEED).tolist():
        if len(chosen) >= _TABLES and sum(rows[path] for path in chosen) >= limit:
            break
        chosen.append(paths[at])
    return chosen


def _rows(verdict: pa.Table, status: str, reason: str, path: str) -> list[int]:
    """Returns the rows of a table that have a status and a reason, in random order."""
    at = np.flatnonzero(
        np.asarray(pc.and_(pc.equal(verdict.column("status"), status), pc.equal(verdict.column("reason"), reason)))
    )
    names = pa.array([f"{path}/{row}" for row in at.tolist()], pa.string())
    return at[random_order(names, SAMPLE_SEED)].tolist()


def rows_by_stage(removals: Sequence[Removal]) -> Iterator[tuple[str, list[Removal]]]:
    """Yields stages with their removals, in their order."""
    for stage in dict.fromkeys(each.stage for each in removals):
        yield stage, [each for each in removals if each.stage == stage]
