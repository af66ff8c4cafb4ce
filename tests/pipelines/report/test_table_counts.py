"""Counts of a run lie in one file: the next one reads no table that it counted, and any table that it did not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from corpus.workspace import Workspace
from pipelines.report.table_counts import TableCounts
from tests.helpers.requests import counted_requests


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> Workspace:
    found = Workspace(f"memory://counts-{request.node.name}")
    for number in range(3):
        rows = {"status": ["kept", "failed", "failed"], "reason": ["", "dark", "dark" if number else "late"]}
        images = {"image": ["a", "b", f"c{number}"], "repeated": [None, True, number == 2]}
        found.write_table(path(number), pa.table({**rows, **images}), {})
    return found


def path(number: int) -> str:
    return f"tables/s/images/{number:06d}.f.parquet"


FIRST = {"kept/": 1, "failed/dark": 1, "failed/late": 1}
OTHER = {"kept/": 1, "failed/dark": 2}


def test_what_was_counted_once_is_not_read_again(workspace: Workspace) -> None:
    counts = TableCounts.load(workspace)
    assert counts.rows([path(0), path(1)]) == [FIRST, OTHER]
    assert counts.repeated_names([path(0), path(2)]) == [["b"], ["b", "c2"]]
    counts.save("20260101T000000-aaaa")
    with counted_requests() as requests:
        again = TableCounts.load(workspace)
        assert again.rows([path(1), path(0)]) == [OTHER, FIRST]
        assert again.repeated_names([path(2)]) == [["b", "c2"]]
        again.save("20260101T000001-aaaa")  # nothing new: the file stays
        assert requests.counts() == {"LIST": 1, "GET": 1}
        assert again.rows([path(2)]) == [OTHER]
        assert requests.counts()["GET"] == 2
        again.save("20260101T000002-aaaa")
    assert workspace.store.names("runs") == ["20260101T000002-aaaa.counts.parquet"]
    assert TableCounts.load(workspace).rows([path(2)]) == [OTHER]


def test_what_a_run_wrote_is_not_read(workspace: Workspace) -> None:
    counts = TableCounts.load(workspace)
    counts.add(path(0), {"kept/": 7})
    with counted_requests() as requests:
        assert counts.rows([path(0)]) == [{"kept/": 7}]
        assert not requests.made
    counts.save("20260101T000000-aaaa")
    assert TableCounts.load(workspace).rows([path(0)]) == [{"kept/": 7}]


def test_a_broken_file_is_counted_again(workspace: Workspace) -> None:
    workspace.store.publish("runs/20260101T000000-aaaa.counts.parquet", b"broken")
    assert TableCounts.load(workspace).rows([path(0)]) == [FIRST]
