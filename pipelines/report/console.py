"""What a person is shown: the funnel, the plan, the state of the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from pipelines.plan import Plan, Planned
from pipelines.report.funnel import Funnel
from pipelines.report.terminal import Terminal, print_line


def show_funnel(console: Terminal, funnels: Mapping[str, Funnel]) -> None:
    """Print the funnel of each source."""
    for source, funnel in funnels.items():
        rows = f"{funnel['rows_in']:,} rows"
        if "source_rows" in funnel:
            rows = f"{funnel['source_rows']:,} videos or parts of them, as {rows}"
        table = Table(title=f"{source}: what became of {rows}", title_justify="left")
        table.add_column("status")
        table.add_column("reason")
        table.add_column("rows", justify="right")
        table.add_row(Text("kept", style="green"), "", f"{funnel['kept']:,}")
        for status, reasons in funnel["removed"].items():
            for reason, rows in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0])):
                table.add_row(status, reason, f"{rows:,}")
        if funnel.get("pending"):
            table.add_row(Text("pending", style="yellow"), "stages not done", f"{funnel['pending']:,}")
        for kind, counts in funnel.get("not_read", {}).items():
            for name, count in counts.items():
                table.add_row("not read", f"{kind}: {name}", f"{count:,}")
        console.print(table)


def show_plan(console: Terminal, plan: Plan, unread: Sequence[str]) -> None:
    """Print what would run, what is done, and what is stale and why."""
    table = Table(title="plan", title_justify="left")
    for column in ("stage", "source", "done", "to do", "shards to do", "why"):
        table.add_column(column, justify="right" if column in ("done", "to do") else "left")
    for step, planned in plan.steps:
        for node in step.nodes:
            tables = [p for p in planned if p.node is node]
            todo = [p for p in tables if p.state != "done"]
            table.add_row(
                step.name,
                node.table_key.owner,
                f"{len(tables) - len(todo):,}",
                f"{len(todo):,}",
                shard_ranges([p.task.shard for p in todo]),
                _why(todo),
            )
    console.print(table)
    for source in unread:
        print_line(console, f"{source}: not read yet or changed; `run` reads it first, then its shards are known")
    for line in plan.notices:
        print_line(console, line)


def show_status(
    console: Terminal, plan: Plan, unread: Sequence[str], failed: Mapping[tuple[str, str, str], str]
) -> None:
    """Print how many shards of each stage are done, stale, missing, and failed in the last run."""
    table = Table(title="shards", title_justify="left")
    for column in ("stage", "source", "done", "stale", "missing", "failed"):
        table.add_column(column, justify="left" if column in ("stage", "source") else "right")
    for step, planned in plan.steps:
        for node in step.nodes:
            states = Counter(p.state for p in planned if p.node is node)
            wrong = sum(stage == step.name and owner == node.table_key.owner for stage, owner, _ in failed)
            counts = (states["done"], states["stale"], states["missing"], wrong)
            table.add_row(step.name, node.table_key.owner, *(f"{n:,}" if n else "" for n in counts))
    console.print(table)
    for (stage, owner, shard), why in sorted(failed.items()):
        print_line(console, f"failed: {stage} {owner}/{shard}: {why}")
    for source in unread:
        print_line(console, f"{source}: not read yet or changed: its shards are not known")


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
