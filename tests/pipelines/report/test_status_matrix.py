"""The status as a matrix: what each cell says, and that all of it fits any terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa

from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard
from corpus.workspace import TableKey
from pipelines.plan import Node, Plan, PlannedTable, Step, TableState
from pipelines.report.status_matrix import LEGEND, matrix_cell, show_matrix
from pipelines.report.terminal import Terminal
from pipelines.status import WorkspaceStatus


class Toy(MapStage):
    name = "toy"
    reads = (ROWS,)
    schema = pa.schema([])

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


def tables(node: Node, *states: TableState) -> list[PlannedTable]:
    tasks = [ShardTask(node.source, f"{n:06d}", n, (), f"{n}", "", {}) for n in range(len(states))]
    return [PlannedTable(node, task, "f", state) for task, state in zip(tasks, states, strict=True)]


def status(stages: dict[str, dict[str, list[TableState]]], failed: dict[tuple[str, str, str], str]) -> WorkspaceStatus:
    steps = []
    for stage, sources in stages.items():
        nodes = {name: Node(Toy(Settings()), name, TableKey("tables", name, stage), ()) for name in sources}
        planned = [table for name, states in sources.items() for table in tables(nodes[name], *states)]
        steps.append((Step(stage, tuple(nodes.values())), planned))
    return WorkspaceStatus(Plan({}, steps, unread=["other"]), failed, {})


def printed(found: WorkspaceStatus, width: int = 100) -> list[str]:
    file = io.StringIO()
    show_matrix(Terminal(file=file, width=width), found)
    return file.getvalue().splitlines()


def cells(lines: list[str], first: str) -> list[str]:
    return next([cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if first in line)


def test_each_cell_tells_what_is_done_of_how_many() -> None:
    done: list[TableState] = ["done"] * 12
    found = status(
        {"download": {"web": done, "films": ["done", "missing"]}, "caption": {"web": ["done", "stale", "unknown"]}},
        {("download", "films", "000001"): "StorageError: [/tmp] is full"},
    )
    lines = printed(found)
    assert cells(lines, "download") == ["download", "12", "1/2 !1"]
    assert cells(lines, "caption") == ["caption", "1/3 ~1 ?1", ""]
    assert "failed: download films/000001: StorageError: [/tmp] is full" in lines
    assert any(line.startswith("other: not read yet or changed") for line in lines)
    assert LEGEND in lines
    assert {matrix_cell({"done": 3}).style, matrix_cell({"stale": 1}).style, matrix_cell({"stale": 1}, 1).style} == {
        "green",
        "yellow",
        "red",
    }


def test_many_sources_go_on_in_further_tables() -> None:
    sources: dict[str, list[TableState]] = {f"source_number_{n}": ["done", "missing"] for n in range(27)}
    found = status({"image_stats": sources, "duplicates": dict(list(sources.items())[20:])}, {})
    for width in (40, 80, 200):
        lines = printed(found, width)
        assert max(len(line) for line in lines if line != LEGEND and "not read" not in line) <= width
        text = "".join(lines)
        assert sum(line.count("1/2") for line in lines) == 27 + 7, width
        if width > 40:  # else names are folded
            assert all(name in text for name in sources)
