"""Prints tables on a terminal: funnels, plans, the status of a workspace, summaries of mixtures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from corpus.schema import Status
from corpus.workspace import owner_name
from pipelines.plan import Plan, PlannedTable
from pipelines.report.funnel import Funnel
from pipelines.report.run_comparison import CountChange, RunComparison
from pipelines.report.run_history import LoggedRun
from pipelines.report.run_summary import RunSummary
from pipelines.report.terminal import Terminal, print_line
from pipelines.row_lookup import LookupResult
from pipelines.search import Hit
from pipelines.summaries import MixtureSummary


def show_funnel(console: Terminal, funnels: Mapping[str, Funnel]) -> None:
    """Prints the funnel of each source: rows in, kept, and removed by status and reason."""
    for source, funnel in funnels.items():
        title = f"{source}: {funnel['rows_in']:,} rows"
        if "source_rows" in funnel:
            title += f" of {funnel['source_rows']:,} videos or parts of them"
        # Rich breaks a title where its table ends.
        table = Table(title=title, title_justify="left", min_width=min(cell_len(title), console.width))
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


def show_sources(console: Terminal, funnels: Mapping[str, Funnel]) -> None:
    """Prints a line for each source: its rows, how many are kept, and how many are removed by status."""
    removing = [str(status) for status in Status if status is not Status.KEPT]
    columns = ["rows", str(Status.KEPT), *removing]
    if has_pending := any(funnel.get("pending") for funnel in funnels.values()):
        columns.append("pending")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("source", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for source, funnel in funnels.items():
        removed = [sum(funnel["removed"].get(status, {}).values()) for status in removing]
        pending = [funnel.get("pending", 0)] if has_pending else []
        counts = (funnel["rows_in"], funnel["kept"], *removed, *pending)
        table.add_row(source, *(f"{count:,}" if count else "" for count in counts))
    console.print(table)


def show_plan(console: Terminal, plan: Plan) -> None:
    """Prints what would run, what is done, what is stale and why, and what can't be known before a stage has run."""
    rows = []
    for step, planned in plan.steps:
        for node in step.nodes:
            tables = [p for p in planned if p.node is node]
            todo = [p for p in tables if p.state != "done"]
            unknown = sum(p.state == "unknown" for p in todo)
            rows.append(
                (
                    step.name,
                    owner_name(node.table_key.owner),
                    f"{len(tables) - len(todo):,}",
                    f"{len(todo) - unknown:,}",
                    f"{unknown:,}" if unknown else "",
                    shard_ranges([p.task.shard for p in todo if p.state != "unknown"]),
                    _why(todo),
                )
            )
    console.print(_plan_table(rows))
    for source in plan.unread:
        print_line(console, f"{source}: not read yet or changed; `run` reads it first, then its shards are known")
    for line in plan.notices:
        print_line(console, line)


def _plan_table(rows: Sequence[Sequence[str]]) -> Table:
    """Returns the table of a plan, without columns that have nothing: they take room from the others."""
    names = ("stage", "source", "done", "to do", "unknown", "shards", "why")
    table, places = Table(title="plan", title_justify="left"), []
    for place, name in enumerate(names):
        if name in ("stage", "source") or any(row[place] for row in rows):
            is_number = name in ("done", "to do", "unknown")
            table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
            places.append(place)
    for row in rows:
        table.add_row(*(row[place] for place in places))
    return table


def show_hits(console: Terminal, hits: Sequence[Hit]) -> None:
    """Prints the positives that a search found, the nearest first."""
    table = Table(title="nearest positives", title_justify="left")
    for name in ("score", "dataset", "pair", "query", "positive", "media"):
        table.add_column(name, overflow="fold")
    for hit in hits:
        media = "\n".join(hit.media)
        table.add_row(f"{hit.score:.4f}", hit.dataset, hit.pair_id, hit.query, hit.text, media)
    console.print(table)


def show_runs(console: Terminal, runs: Sequence[RunSummary], unsummarised: Sequence[LoggedRun] = ()) -> None:
    """Prints the runs of a workspace, the newest last; of those without a summary only what their logs have."""
    table = Table(title="runs", title_justify="left")
    for column in ("run", "start (UTC)", "seconds", "stages", "tables", "rows", "failed", "end"):
        table.add_column(column, justify="left" if column in ("run", "start (UTC)", "end") else "right")
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    for run in runs:
        tables = sum(stage.tables for stage in run.stages.values())
        size = (f"{run.seconds:,.1f}", f"{len(run.stages)}", f"{tables:,}", f"{run.rows:,}")
        rows[run.started, run.name] = (*size, f"{run.failed:,}", run.error or "complete")
    for logged in unsummarised:
        end = logged.error or (logged.ended and "complete") or "not ended"
        rows[logged.started, logged.name] = ("", "", f"{logged.written:,}", "", f"{logged.failed:,}", end)
    for (started, name), numbers in sorted(rows.items()):
        table.add_row(name, started.partition(".")[0].removesuffix("Z").replace("T", " "), *numbers)
    console.print(table)


def show_comparison(console: Terminal, found: RunComparison) -> None:
    """Prints what differs between two runs, a line for each difference."""
    print_line(console, f"{found.old} -> {found.new}")
    for title, lines in (("settings", found.settings), ("versions", found.versions)):
        print_line(console, f"{title}: {'the same' if not lines else ''}".rstrip())
        for line in lines:
            print_line(console, f"  {line}")
    for title, changes in (("rows by source", found.funnels), ("rows by stage", found.stages)):
        print_line(console, f"{title}: {'the same' if not changes else ''}".rstrip())
        for change in changes:
            print_line(console, f"  {_count_line(change)}")
    for stage, (old, new) in found.tables.items():
        print_line(console, f"tables of {stage}: {old:,} -> {new:,}")
    for stage, (before, after) in found.seconds.items():
        print_line(console, f"seconds{f' of work, {stage}' if stage else ''}: {before:,.1f} -> {after:,.1f}")


def _count_line(change: CountChange) -> str:
    key = change.key.removesuffix("/")
    return f"{change.of} {key}: {change.old:,} -> {change.new:,} ({change.new - change.old:+,})"


def show_found(console: Terminal, found: LookupResult) -> None:
    """Prints what the stages have about an item, a pair or a shard, a line for each column."""
    for row in found.rows:
        print_line(console, f"{row.kind}, row {row.row} of {row.owner}/{row.shard}: {row.verdict}")
        for stage in row.stages:
            reason = f" ({stage.reason})" if stage.reason else ""
            print_line(console, f"  {stage.stage}: {stage.status}{reason}")
            for name, value in stage.columns.items():
                print_line(console, f"    {name}: {value}")
        for side, items in row.items.items():
            print_line(console, f"  items of {side}: {', '.join(items) or 'none'}")
    if found.omitted_rows:
        print_line(console, f"and {found.omitted_rows:,} more rows of it")
    for use in found.uses:
        print_line(console, f"used by pair {use.pair_id} of {use.dataset}/{use.shard}, as {use.side}")
    if found.omitted_uses:
        print_line(console, f"and by {found.omitted_uses:,} more")
    if any(row.kind != "pair" for row in found.rows) and not found.uses:
        print_line(console, "used by no pair")
    for table in found.shard:
        counts = ", ".join(f"{key.removesuffix('/')} {rows:,}" for key, rows in table.counts.items())
        print_line(console, f"{table.stage} of {table.owner}: {table.state}{f'; {counts}' if counts else ''}")


def show_mixture(console: Terminal, mixture: MixtureSummary) -> None:
    """Prints the figures of a mixture's datasets, what they assume, and notices about single datasets."""
    table = Table(title=f"{mixture.name}: weights {mixture.rule.replace('_', ' ')}", title_justify="left")
    for column in ("dataset", "task", "available", "taken", "weight", "share", "epochs"):
        is_text = column in ("dataset", "task")
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    for row in mixture.datasets:
        figures = (
            f"{row.available:,}",
            f"{row.selected:,}",
            f"{row.weight:.4g}",
            f"{row.share:.1%}",
            f"{row.epochs:.2f}",
        )
        table.add_row(row.dataset, row.task, *figures, style="yellow" if row.notices else "")
    available, selected = (sum(getattr(row, name) for row in mixture.datasets) for name in ("available", "selected"))
    table.add_section()
    table.add_row("all", "", f"{available:,}", f"{selected:,}", "", "", "")
    console.print(table)
    steps = "as asked for" if mixture.steps_requested else "as many as all that is taken fills, `repeats` counted"
    lines = [
        f"share: of the batches, each of which comes from one dataset, drawn by weight. epochs: how often a dataset is "
        f"gone through in {mixture.steps:,} steps of {mixture.batch_size:,} samples ({steps}).",
        *(f"{row.dataset}: {notice}" for row in mixture.datasets for notice in row.notices),
    ]
    if not all(row.is_complete for row in mixture.datasets):
        lines.append("not all is done: `run` finishes it, and then these figures change")
    for line in lines:
        print_line(console, line)


def _why(todo: Sequence[PlannedTable]) -> str:
    whys = Counter(p.why or p.state for p in todo)
    if set(whys) > {"stale"}:
        whys.pop("stale", None)  # those whose old settings were not read: stale for the same reasons
    return "\n".join(f"{why} ({n})" if len(whys) > 1 else why for why, n in whys.most_common(5))


def shard_ranges(shards: Sequence[str]) -> str:
    """Returns `0-3,7` for shards 000000 to 000003 and 000007."""
    numbers = sorted({int(shard) for shard in shards})
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
