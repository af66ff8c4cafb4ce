"""Prints the status of a workspace as a matrix: a row for each stage, a column for each source or dataset.

Where the columns do not fit the terminal beside each other, they go on in further tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from corpus.workspace import owner_name
from pipelines.report.terminal import Terminal, print_line
from pipelines.status import WorkspaceStatus

LEGEND = "12: all shards are done. 3/12: done of all; ~2 stale, ?4 known after an earlier stage, !1 failed last time"

_BORDER = 3  # characters between columns


def show_matrix(console: Terminal, status: WorkspaceStatus) -> None:
    """Prints how many shards of each stage and source are done, stale, not known yet, and failed in the last run."""
    failed = Counter((stage, owner) for stage, owner, _ in status.failed)
    stages = [step.name for step, _ in status.plan.steps]
    cells: dict[str, dict[str, Text]] = {}
    for step, planned in status.plan.steps:
        for node in step.nodes:
            states = Counter(table.state for table in planned if table.node is node)
            name = owner_name(node.table_key.owner)
            cell = matrix_cell(states, failed[step.name, node.table_key.owner])
            cells.setdefault(name, {})[step.name] = cell
    for columns in _fitting(cells, stages, console.width):
        table = Table(title="shards", title_justify="left")
        table.add_column("stage", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right", overflow="fold")
        for stage in stages:
            if any(stage in cells[column] for column in columns):
                table.add_row(stage, *(cells[column].get(stage, "") for column in columns))
        console.print(table)
    if cells:
        print_line(console, LEGEND)
    for (stage, owner, shard), why in sorted(status.failed.items()):
        print_line(console, f"failed: {stage} {owner_name(owner)}/{shard}: {why}")
    for source in status.plan.unread:
        print_line(console, f"{source}: not read yet or changed: its shards are not known")


def matrix_cell(states: Mapping[Any, int], failed: int = 0) -> Text:
    """Returns one cell: the shards that are done, of how many, and what is the matter with the others."""
    total, done = sum(states.values()), states.get("done", 0)
    if done == total:
        return Text(f"{total:,}", style="green")
    marks = {"~": states.get("stale", 0), "?": states.get("unknown", 0), "!": failed}
    parts = [f"{done:,}/{total:,}", *(f"{mark}{number:,}" for mark, number in marks.items() if number)]
    return Text(" ".join(parts), style="red" if failed else "yellow")


def _fitting(cells: Mapping[str, Mapping[str, Text]], stages: Sequence[str], width: int) -> list[list[str]]:
    """Divides the columns so that each part fits the width beside the names of the stages; at least one each."""
    first = max((len(stage) for stage in stages), default=0) + _BORDER + 1
    parts: list[list[str]] = []
    room = 0
    for name, column in cells.items():
        needed = max(min(len(name), width // 3), *(len(cell) for cell in column.values())) + _BORDER
        if not parts or needed > room:
            parts.append([])
            room = width - first
        parts[-1].append(name)
        room -= needed
    return parts
