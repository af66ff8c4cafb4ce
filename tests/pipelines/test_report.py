"""What a person is shown: funnels that add up, the plan, the state of a workspace."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from corpus.settings import Settings
from corpus.stages import ROWS, MapStage, Shard
from corpus.work import ShardTask
from corpus.workspace import Series, Workspace
from pipelines.gather import SourceIndex
from pipelines.plan import Node, Plan, Planned, Step
from pipelines.report import shard_ranges, show_funnel, show_plan, show_status, source_funnel

COUNTS = {"read": 130, "no_url": 4, "not_sampled": 26, "duplicate_row": 0}
JUDGED = [
    [("kept", ""), ("failed", "http_404"), ("filtered", "blurred"), ("kept", "")],
    [("duplicate", "near"), ("filtered", "blurred"), ("filtered", "opted_out")],
]


class Toy(MapStage):
    name = "toy"
    reads = (ROWS,)
    schema = pa.schema([])

    def open(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


NODE = Node(Toy(Settings()), "web", Series("tables", "web", "toy"), ())


def planned(shard: int, state: str, why: str = "") -> Planned:
    name = f"{shard:06d}"
    task = ShardTask("web", name, shard, (), NODE.series.path(name, "f"), "", {})
    return Planned(NODE, task, "f", state, why)


def plan(*tables: Planned) -> Plan:
    return Plan({}, [(Step("toy", (NODE,)), list(tables))])


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Workspace, list[tuple[Planned, bool]]]:
    workspace = Workspace(tmp_path)
    tables = [planned(shard, "done") for shard in range(len(JUDGED))]
    for table, rows in zip(tables, JUDGED, strict=True):
        status, reason = zip(*rows, strict=True)
        workspace.write_table(table.task.output, pa.table({"status": list(status), "reason": list(reason)}), {})
    return workspace, [(table, True) for table in tables]


def index(rows: int) -> SourceIndex:
    return SourceIndex("f", (("000000", "x"), ("000001", "y")), rows, COUNTS)


def printed(show: Callable[[Console], None]) -> list[list[str]]:
    """The words of each line that is shown."""
    file = io.StringIO()
    show(Console(file=file, width=200))
    return [[word for word in line.split() if word.isascii()] for line in file.getvalue().splitlines()]


def removed_rows(funnel: dict) -> int:
    return sum(rows for reasons in funnel["removed"].values() for rows in reasons.values())


def test_the_funnel_adds_up(judged: tuple[Workspace, list[tuple[Planned, bool]]]) -> None:
    funnel = source_funnel(judged[0], index(7), judged[1])
    assert funnel == {
        "rows_in": 7 + 30,  # those that the source left out are rows that came in, too
        "kept": 2,
        "removed": {
            "filtered": {"blurred": 2, "no_url": 4, "not_sampled": 26, "opted_out": 1},
            "duplicate": {"near": 1},
            "failed": {"http_404": 1},
        },
    }
    assert funnel["rows_in"] == funnel["kept"] + removed_rows(funnel)


def test_rows_of_shards_that_are_not_judged_yet_are_pending(
    judged: tuple[Workspace, list[tuple[Planned, bool]]],
) -> None:
    funnel = source_funnel(judged[0], index(7), judged[1][:1])
    assert funnel["pending"] == 3
    assert funnel["rows_in"] == funnel["kept"] + removed_rows(funnel) + funnel["pending"]
    assert source_funnel(judged[0], index(7), [])["pending"] == 7
    so_far = source_funnel(judged[0], index(7), [(table, False) for table, _ in judged[1]])
    assert so_far["kept"] == 0
    assert so_far["pending"] == 2, "what is kept so far waits for the last word"
    assert removed_rows(so_far) == removed_rows(source_funnel(judged[0], index(7), judged[1]))


def test_the_funnel_is_shown_with_the_most_frequent_reason_first(
    judged: tuple[Workspace, list[tuple[Planned, bool]]],
) -> None:
    funnel = source_funnel(judged[0], index(1007), judged[1])
    shown = printed(lambda console: show_funnel(console, {"web": funnel}))
    assert ["web:", "what", "became", "of", "1,037", "rows"] in shown
    rows = [line for line in shown if line and line[-1].replace(",", "").isdigit()]
    assert rows == [
        ["kept", "2"],
        ["filtered", "not_sampled", "26"],
        ["filtered", "no_url", "4"],
        ["filtered", "blurred", "2"],
        ["filtered", "opted_out", "1"],
        ["duplicate", "near", "1"],
        ["failed", "http_404", "1"],
        ["pending", "stages", "not", "done", "1,000"],
    ]


def test_the_plan_says_what_is_to_do_and_why() -> None:
    why = "prompt: 'a' -> '[/INST] b'"  # square brackets are markup to what prints tables
    tables = [planned(0, "done"), planned(1, "stale", why), planned(2, "stale", why), planned(4, "stale")]
    shown = printed(lambda console: show_plan(console, plan(*tables), ["other"]))
    assert ["toy", "web", "1", "3", "1-2,4", *why.split()] in shown
    assert ["other:", "not", "read", "yet", "or", "changed;"] in [line[:6] for line in shown]


def test_several_reasons_are_counted() -> None:
    tables = [planned(0, "stale", "`a` changed"), planned(1, "missing"), planned(2, "stale", "`a` changed")]
    shown = printed(lambda console: show_plan(console, plan(*tables), []))
    assert ["toy", "web", "0", "3", "0-2", "`a`", "changed", "(2)"] in shown
    assert ["missing", "(1)"] in shown


def test_the_status_counts_shards_and_tells_failures_as_they_are() -> None:
    tables = [planned(0, "done"), planned(1, "stale"), planned(2, "missing"), planned(3, "missing")]
    failed = {("toy", "web", "000003"): "StorageError: [/tmp] is full"}
    shown = printed(lambda console: show_status(console, plan(*tables), ["other"], failed))
    assert ["toy", "web", "1", "1", "2", "1"] in shown
    assert ["failed:", "toy", "web/000003:", "StorageError:", "[/tmp]", "is", "full"] in shown


@pytest.mark.parametrize(
    ("shards", "ranges"), [([], ""), ([3], "3"), ([0, 1, 2, 3, 7], "0-3,7"), ([9, 1, 2, 9], "1-2,9")]
)
def test_shards_are_shown_as_ranges(shards: list[int], ranges: str) -> None:
    assert shard_ranges([f"{shard:06d}" for shard in shards]) == ranges
