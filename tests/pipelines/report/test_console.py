"""What a person is shown: funnels that add up, the plan, the state of a workspace."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pytest

from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard
from corpus.workspace import TableKey
from pipelines.plan import Node, Plan, PlannedTable, Step, TableState
from pipelines.report.console import shard_ranges, show_funnel, show_plan, show_sources
from pipelines.report.terminal import Terminal


class Toy(MapStage):
    name = "toy"
    reads = (ROWS,)
    schema = pa.schema([])

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


NODE = Node(Toy(Settings()), "web", TableKey("tables", "web", "toy"), ())


def planned(shard: int, state: TableState, why: str = "") -> PlannedTable:
    name = f"{shard:06d}"
    task = ShardTask("web", name, shard, (), NODE.table_key.path(name, "f"), "", {})
    return PlannedTable(NODE, task, "f", state, why)


def plan(*tables: PlannedTable) -> Plan:
    return Plan({}, [(Step("toy", (NODE,)), list(tables))], unread=["other"])


def printed(show: Callable[[Terminal], None]) -> list[list[str]]:
    """The words of each line that is shown."""
    file = io.StringIO()
    show(Terminal(file=file, width=200))
    return [[word for word in line.split() if word.isascii()] for line in file.getvalue().splitlines()]


def printed_at(width: int, show: Callable[[Terminal], None]) -> list[str]:
    """The lines that are shown on a terminal of some width."""
    file = io.StringIO()
    show(Terminal(file=file, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_funnel_is_shown_with_the_most_frequent_reason_first() -> None:
    removed = {
        "filtered": {"blurred": 2, "no_url": 4, "not_sampled": 26, "opted_out": 1},
        "failed": {"http_404": 1},
    }
    funnel = {"rows_in": 1036, "kept": 2, "removed": removed, "pending": 1000}
    shown = printed(lambda console: show_funnel(console, {"web": funnel, "films": {**funnel, "source_rows": 7}}))
    assert ["web:", "1,036", "rows"] in shown
    assert ["films:", "1,036", "rows", "of", "7", "videos", "or", "parts", "of", "them"] in shown
    rows = [line for line in shown if line and line[-1].replace(",", "").isdigit()]
    assert rows == 2 * [
        ["kept", "2"],
        ["filtered", "not_sampled", "26"],
        ["filtered", "no_url", "4"],
        ["filtered", "blurred", "2"],
        ["filtered", "opted_out", "1"],
        ["failed", "http_404", "1"],
        ["pending", "stages", "not", "done", "1,000"],
    ]


def test_a_funnel_is_legible_in_a_narrow_terminal() -> None:
    """The title stays on its line; a reason is folded only where the terminal is narrower than it is long."""
    removed = {"failed": {"positive_missing_image": 1, "positive_not_an_image": 2}}
    funnel = {"rows_in": 12, "kept": 9, "removed": removed, "source_rows": 10}
    funnels = {"a-source-of-films": funnel, "x": {"rows_in": 1, "kept": 1, "removed": {}}}
    for width in (60, 80, 120):
        lines = printed_at(width, lambda console: show_funnel(console, funnels))
        assert "a-source-of-films: 12 rows of 10 videos or parts of them" in lines
        assert "x: 1 rows" in lines
        assert any("positive_missing_image" in line and "1" in line for line in lines), lines
        assert all(len(line) <= width for line in lines)


def test_sources_are_shown_in_a_line_each() -> None:
    removed = {"filtered": {"blurred": 2, "flat": 1}, "failed": {"http_404": 1}}
    web = {"rows_in": 1036, "kept": 1032, "removed": removed}
    for width in (60, 80):
        lines = printed_at(width, lambda console: show_sources(console, {"web": web, "guide": {**web, "pending": 7}}))
        assert [line.split() for line in lines if line.split()[:1] in (["source"], ["web"], ["guide"])] == [
            ["source", "rows", "kept", "filtered", "duplicate", "failed", "pending"],
            ["web", "1,036", "1,032", "3", "1"],
            ["guide", "1,036", "1,032", "3", "1", "7"],
        ]


def test_the_plan_says_what_is_to_do_and_why() -> None:
    why = "prompt: 'a' -> '[/INST] b'"  # square brackets are markup to what prints tables
    tables = [planned(0, "done"), planned(1, "stale", why), planned(2, "stale", why), planned(4, "stale")]
    shown = printed(lambda console: show_plan(console, plan(*tables)))
    assert ["toy", "web", "1", "3", "1-2,4", *why.split()] in shown
    assert ["other:", "not", "read", "yet", "or", "changed;"] in [line[:6] for line in shown]


def test_a_plan_is_legible_in_a_narrow_terminal() -> None:
    """Columns that have nothing are left out, and what is too long is folded, not cut."""
    why = "blur: 0.1 -> 0.2"
    done, todo = (plan(planned(0, state, reason)) for state, reason in (("done", ""), ("stale", why)))  # type: ignore[arg-type]
    for width in (60, 80):
        lines = printed_at(width, lambda console: show_plan(console, done))
        assert [word for word in lines[2].split() if word.isalpha()] == ["stage", "source", "done", "to", "do"]
        text = "\n".join(printed_at(width, lambda console: show_plan(console, todo)))
        assert "…" not in text and "unknown" not in text and all(word in text for word in why.split())


def test_several_reasons_are_counted() -> None:
    tables = [planned(0, "stale", "`a` changed"), planned(1, "missing"), planned(2, "stale", "`a` changed")]
    shown = printed(lambda console: show_plan(console, plan(*tables)))
    assert ["toy", "web", "0", "3", "0-2", "`a`", "changed", "(2)"] in shown
    assert ["missing", "(1)"] in shown


def test_a_dataset_named_as_its_source_is_shown_once() -> None:
    """Other names are both shown."""
    shown: list[list[str]] = []
    for owner in ("rivers/rivers", "questions/rivers"):
        node = Node(Toy(Settings()), "rivers", TableKey("pairs", owner, "toy"), (), "rivers")
        task = ShardTask(owner, "000000", 0, (), node.table_key.path("000000", "f"), "", {})
        tables = Plan({}, [(Step("toy", (node,)), [PlannedTable(node, task, "f", "missing")])])
        shown += printed(lambda console, tables=tables: show_plan(console, tables))  # type: ignore[misc]
    assert [line for line in shown if line[:1] == ["toy"]] == [
        ["toy", "rivers", "0", "1", "0", "missing"],
        ["toy", "questions/rivers", "0", "1", "0", "missing"],
    ]


@pytest.mark.parametrize(
    ("shards", "ranges"), [([], ""), ([3], "3"), ([0, 1, 2, 3, 7], "0-3,7"), ([9, 1, 2, 9], "1-2,9")]
)
def test_shards_are_shown_as_ranges(shards: list[int], ranges: str) -> None:
    assert shard_ranges([f"{shard:06d}" for shard in shards]) == ranges
