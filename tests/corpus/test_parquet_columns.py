"""Columns of a table in an object store cost one request, and one more for each run of columns that lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from corpus.parquet_columns import END_BYTES, FooterCache
from corpus.storage import MissingError, StorageError
from corpus.workspace import Workspace
from tests.helpers.requests import Requests, counted_requests

ROWS = 3_000
SIDE = pa.struct([("text", pa.string()), ("items", pa.list_(pa.binary(16)))])


def table(rows: int = ROWS) -> pa.Table:
    """Some megabytes of vectors between narrow columns."""
    rng = np.random.default_rng(0)
    sides = [{"text": f"text {n}", "items": [rng.bytes(16)] * (n % 3)} if n % 5 else None for n in range(rows)]
    return pa.table(
        {
            "id": pa.array([rng.bytes(16) for _ in range(rows)], pa.binary(16)),
            "side": pa.array(sides, SIDE),
            "number": pa.array([n if n % 7 else None for n in range(rows)], pa.int64()),
            "vector": pa.array([rng.bytes(1024) for _ in range(rows)], pa.binary(1024)),
            "status": pa.array(["kept", "failed", "kept"] * (rows // 3)),
        }
    )


@pytest.fixture
def requests() -> Iterator[Requests]:
    with counted_requests() as found:
        yield found


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> Workspace:
    return Workspace(f"memory://columns-{request.node.name}")


def test_the_end_of_a_large_table_is_read_then_the_columns_alone(workspace: Workspace, requests: Requests) -> None:
    expected = table()
    assert workspace.write_table("t.f.parquet", expected, {"stage": "s"}) > 10 * END_BYTES
    cases = [
        (["status"], 1),  # the last column, behind which the footer lies
        (["id"], 2),
        (["number", "side"], 2),  # neighbours are one range
        (["vector", "id"], 3),
        (["vector", "status", "number", "side", "id"], 2),
    ]
    for columns, number in cases:
        requests.made.clear()
        assert workspace.read_table("t.f.parquet", columns).equals(expected.select(columns)), columns
        assert requests.counts() == {"GET": number}, columns
    requests.made.clear()
    assert workspace.read_fingerprint_parts("t.f.parquet") == {"stage": "s"}
    assert requests.counts() == {"GET": 1}


def test_a_small_table_is_one_request(workspace: Workspace, requests: Requests) -> None:
    expected = table(30)
    workspace.write_table("t.f.parquet", expected, {})
    requests.made.clear()
    assert workspace.read_table("t.f.parquet", ["number", "id"]).equals(expected.select(["number", "id"]))
    assert workspace.read_table("t.f.parquet").equals(expected)
    assert requests.counts() == {"GET": 2}


def test_columns_that_a_table_lacks_and_fields_of_one(workspace: Workspace, tmp_path) -> None:
    for rows in (30, ROWS):
        found = []
        for each in (workspace, Workspace(tmp_path)):
            each.write_table("t.f.parquet", table(rows), {})
            found.append(each.read_present("t.f.parquet", ["side.text", "absent.text", "absent", "status"]))
        assert found[0].equals(found[1])
        assert found[0].schema.field("side").type == pa.struct([("text", pa.string())])
        assert found[0].column_names == ["side", "status"]


def test_what_is_absent_or_no_table_is_an_error_that_names_it(workspace: Workspace) -> None:
    with pytest.raises(MissingError, match=r"absent\.f\.parquet"):
        workspace.read_table("absent.f.parquet", ["id"])
    workspace.store.publish("broken.f.parquet", b"no table " * 20)
    with pytest.raises(StorageError, match=r"broken\.f\.parquet"):
        workspace.read_table("broken.f.parquet", ["id"])


def test_several_tables_come_in_order(workspace: Workspace) -> None:
    paths = []
    for number in range(40):
        paths.append(f"{number}.f.parquet")
        workspace.write_table(paths[-1], pa.table({"x": [number]}), {})
    assert [each.column("x").to_pylist() for each in workspace.read_tables(paths, ["x"])] == [[n] for n in range(40)]


def test_a_table_that_is_read_again_costs_no_request_for_its_end(workspace: Workspace, requests: Requests) -> None:
    small, large = table(30), table()
    workspace.write_table("small.f.parquet", small, {})
    workspace.write_table("large.f.parquet", large, {})
    with workspace.caching_footers() as kept:
        for expected in (3, 1):  # two ends, and the column of the large table; then that column alone
            requests.made.clear()
            assert kept.read_present("small.f.parquet", ["status", "none"]).equals(small.select(["status"]))
            assert kept.read_table("large.f.parquet", ["id"]).equals(large.select(["id"]))
            assert requests.counts() == {"GET": expected}
        assert kept.read_table("large.f.parquet", ["status", "number"]).equals(large.select(["status", "number"]))
    requests.made.clear()
    workspace.read_table("small.f.parquet", ["status"])
    assert requests.counts() == {"GET": 1}, "the workspace itself keeps nothing"


def test_what_is_beyond_the_limit_is_not_kept() -> None:
    kept = FooterCache(max_bytes=10)
    kept.keep("one", b"12345678", is_complete=True)
    kept.keep("two", b"12345678", is_complete=True)
    assert kept.find("one") == (b"12345678", True)
    assert kept.find("two") is None
    kept.close()
