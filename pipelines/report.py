"""What a person is shown: the funnel, the plan, the state of the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corpus.records import Status
from corpus.work import count
from corpus.workspace import Workspace
from pipelines.gather import SourceIndex
from pipelines.plan import Plan, Planned

Funnel = dict[str, Any]

_LEFT_OUT = "read"  # the one entry of a source's counts that is not a reason for leaving a row out


def source_funnel(workspace: Workspace, index: SourceIndex, latest: Sequence[tuple[Planned, bool]]) -> Funnel:
    """Rows in, kept, and removed by status and reason, of one source: its rows add up.

    `latest` has the last table that is there for each shard, and whether it is the last word on the shard's rows.
    Where it is not, rows that are kept so far count as `pending`, and so do the rows of shards without any table.
    """
    removed: dict[str, Counter[str]] = {str(status): Counter() for status in Status if status is not Status.KEPT}
    left_out = {reason: n for reason, n in index.counts.items() if reason != _LEFT_OUT and n}
    removed[Status.FILTERED].update(left_out)
    kept = 0
    for planned, final in latest:
        table = workspace.read_table(planned.task.output, ["status", "reason"])
        for key, rows in count(table).items():
            status, _, reason = key.partition("/")
            if status != Status.KEPT:
                removed[status][reason] += rows
            elif final:
                kept += rows
    gone = sum(sum(reasons.values()) for reasons in removed.values())
    rows_in = index.rows + sum(left_out.values())
    funnel: Funnel = {
        "rows_in": rows_in,
        "kept": kept,
        "removed": {status: dict(sorted(reasons.items())) for status, reasons in removed.items() if reasons},
    }
    if pending := rows_in - kept - gone:
        funnel["pending"] = pending
    return funnel


def show_funnel(console: Console, funnels: Mapping[str, Funnel]) -> None:
    """Print the funnel of each source."""
    for source, funnel in funnels.items():
        table = Table(title=f"{source}: what became of {funnel['rows_in']:,} rows", title_justify="left")
        table.add_column("status")
        table.add_column("reason")
        table.add_column("rows", justify="right")
        table.add_row("[green]kept[/]", "", f"{funnel['kept']:,}")
        for status, reasons in funnel["removed"].items():
            for reason, rows in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])):
                table.add_row(status, escape(reason), f"{rows:,}")
        if funnel.get("pending"):
            table.add_row("[yellow]pending[/]", "stages not done", f"{funnel['pending']:,}")
        console.print(table)


def show_plan(console: Console, plan: Plan, unread: Sequence[str]) -> None:
    """Print what would run, what is done, and what is stale and why."""
    table = Table(title="plan", title_justify="left")
    for column in ("stage", "source", "done", "to do", "shards to do", "why"):
        table.add_column(column, justify="right" if column in ("done", "to do") else "left")
    for step, planned in plan.steps:
        for node in step.nodes:
            mine = [p for p in planned if p.node is node]
            todo = [p for p in mine if p.state != "done"]
            table.add_row(
                step.name,
                node.series.owner,
                f"{len(mine) - len(todo):,}",
                f"{len(todo):,}",
                shard_ranges([p.task.shard for p in todo]),
                escape(_why(todo)),
            )
    console.print(table)
    for source in unread:
        console.print(f"{source}: not read yet or changed; `run` reads it first, then its shards are known")


def show_status(
    console: Console, plan: Plan, unread: Sequence[str], failed: Mapping[tuple[str, str, str], str]
) -> None:
    """Print how many shards of each stage are done, stale, missing, and failed in the last run."""
    table = Table(title="shards", title_justify="left")
    for column in ("stage", "source", "done", "stale", "missing", "failed"):
        table.add_column(column, justify="left" if column in ("stage", "source") else "right")
    for step, planned in plan.steps:
        for node in step.nodes:
            states = Counter(p.state for p in planned if p.node is node)
            wrong = sum(stage == step.name and owner == node.series.owner for stage, owner, _ in failed)
            counts = (states["done"], states["stale"], states["missing"], wrong)
            table.add_row(step.name, node.series.owner, *(f"{n:,}" if n else "" for n in counts))
    console.print(table)
    for (stage, owner, shard), why in sorted(failed.items()):
        console.print(f"failed: {stage} {owner}/{shard}: {why}", highlight=False, markup=False, soft_wrap=True)
    for source in unread:
        console.print(f"{source}: not read yet or changed: its shards are not known", highlight=False)


def _why(todo: Sequence[Planned]) -> str:
    whys = Counter(p.why or p.state for p in todo)
    if set(whys) > {"stale"}:
        whys.pop("stale", None)  # those whose old settings were not looked up: stale for the same reasons
    return "\n".join(f"{why} ({n})" if len(whys) > 1 else why for why, n in whys.most_common(5))


def shard_ranges(shards: Sequence[str]) -> str:
    """`0-3,7` for shards 000000 to 000003 and 000007."""
    numbers = sorted({int(shard) for shard in shards})
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
