from __future__ import annotations

import errno
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.bisection import ShardError, run_rows
from corpus.execution import WORKER_LOST, MapJob, Outcome
from corpus.schema import item_id
from corpus.stage import MapStage, Shard
from corpus.storage import StorageError, Store
from corpus.tars import index_tar
from corpus.workspace import Workspace
from tests.helpers.work_shards import KEPT, Answers, Double, Downloads, Expands, Judged, result, run, shard_of, task_for

# Live rows, and what was said of the others


def test_only_live_rows_are_worked_on_and_the_others_keep_their_reason(store_url: str) -> None:
    rows = [KEPT, ("filtered", "no_url"), KEPT, KEPT, KEPT, ("failed", "bad_row")]
    items = [KEPT, ("filtered", "later"), ("duplicate", "same_bytes"), KEPT, ("failed", "http_404"), KEPT]
    stage = Double(fails=[3])
    outcome = run(store_url, stage, rows, items)
    assert stage.calls == [[0, 3]]
    assert result(store_url) == [
        (0, "kept", ""),
        (None, "filtered", "no_url"),  # the first table that removed the row says why
        (None, "duplicate", "same_bytes"),
        (6, "failed", "too_odd"),
        (None, "failed", "http_404"),
        (None, "failed", "bad_row"),
    ]
    assert (outcome.owner, outcome.stage, outcome.shard, outcome.rows, outcome.error) == (
        "s",
        "double",
        "000000",
        6,
        "",
    )
    assert outcome.counts == {
        "kept/": 1,
        "filtered/no_url": 1,
        "duplicate/same_bytes": 1,
        "failed/too_odd": 1,
        "failed/http_404": 1,
        "failed/bad_row": 1,
    }
    assert outcome.written_bytes == Store(store_url).size("out/0.f.parquet")
    assert Workspace(store_url).read_fingerprint_parts("out/0.f.parquet") == {"stage": "double"}
    assert Store(store_url).names("media/s") == []


@given(st.lists(st.tuples(st.sampled_from([KEPT, ("filtered", "a")]), st.sampled_from([KEPT, ("failed", "b")]))))
def test_rows_in_are_rows_out(memory_root: str, both: list[tuple[tuple[str, str], tuple[str, str]]]) -> None:
    rows, items = [one for one, _ in both], [other for _, other in both]
    outcome = run(memory_root, Double(), rows, items)
    wanted = [
        (2 * value, *KEPT) if one == other == KEPT else (None, *(one if one != KEPT else other))
        for value, (one, other) in enumerate(both)
    ]
    assert result(memory_root) == wanted
    assert sum(outcome.counts.values()) == outcome.rows == len(both)


@pytest.fixture(scope="module")
def memory_root() -> str:
    return "memory://test-work"


@pytest.mark.parametrize("judged", [[], [("filtered", "a"), ("failed", "b")]])
def test_a_shard_without_live_rows_needs_no_call(tmp_path: Path, judged: Judged) -> None:
    stage = Double()
    outcome = run(tmp_path, stage, judged, [KEPT] * len(judged))
    assert stage.calls == []
    assert outcome.error == ""
    assert result(tmp_path) == [(None, *said) for said in judged]


def test_tables_of_different_lengths_are_an_error(tmp_path: Path) -> None:
    outcome = run(tmp_path, Double(), [KEPT] * 2, [KEPT] * 3)
    assert outcome.error == "ShardError: the tables of s/000000 differ in rows: {'rows': 2, 'items': 3}"


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    stage = Double()
    task = task_for(tmp_path, stage, [KEPT], [KEPT])
    Store(tmp_path).remove("in/items.f.parquet")
    assert "in/items.f.parquet" in MapJob(stage, str(tmp_path)).open()(task).error
    assert stage.calls == []


# Rows that raise


@pytest.mark.parametrize("breaks", [[0], [99], [37], [3, 4], [0, 50, 99], [10, 11, 12, 13, 60, 61]])
def test_rows_that_raise_are_found_and_the_rest_goes_on(tmp_path: Path, breaks: list[int]) -> None:
    stage = Double(breaks=breaks, fails=[20])
    outcome = run(tmp_path, stage, [KEPT] * 100, [KEPT] * 100)
    wanted: list[tuple[object, ...]] = [(2 * value, *KEPT) for value in range(100)]
    wanted[20] = (40, "failed", "too_odd")
    for value in breaks:
        wanted[value] = (None, "failed", "error:ValueError")
    assert result(tmp_path) == wanted
    assert outcome.counts["failed/error:ValueError"] == len(breaks)
    assert len(stage.calls) <= 2 * len(breaks) * math.ceil(math.log2(100)) + 1


@given(st.integers(1, 200), st.data())
def test_bisection_finds_exactly_the_rows_that_raise(n: int, data: st.DataObject) -> None:
    breaks = data.draw(st.sets(st.integers(0, n - 1), max_size=min(16, n - 1)))
    stage = Double(breaks=sorted(breaks), error=KeyError)
    table = run_rows(stage, stage.double, shard_of(n))
    assert [row["status"] == "failed" for row in table.to_pylist()] == [value in breaks for value in range(n)]
    assert set(table.filter(pc.field("status") == "failed").column("reason").to_pylist()) <= {"error:KeyError"}
    assert len(stage.calls) <= 2 * len(breaks) * math.ceil(math.log2(n)) + 1


@pytest.mark.parametrize(("n", "broken"), [(8, 8), (10, 10), (40, 17), (400, 41)])
def test_a_fault_of_more_than_single_rows_writes_nothing(tmp_path: Path, n: int, broken: int) -> None:
    stage = Double(breaks=range(broken))
    double = stage.double

    def stored(shard: Shard) -> pa.Table:
        for row in shard.rows.tolist():
            shard.media.add(item_id(bytes([row % 256])), "bin", bytes([row % 256]))
        return double(shard)

    stage.double = stored  # type: ignore[method-assign]
    outcome = run(tmp_path, stage, [KEPT] * n, [KEPT] * n)
    assert "rows raised" in outcome.error or "every row raised" in outcome.error
    assert "ValueError: planted at " in outcome.error
    assert "double, line " in outcome.error and "work_shards.py" in outcome.error
    assert (outcome.rows, outcome.counts, outcome.written_bytes) == (0, {}, 0)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["items.f.parquet", "rows.f.parquet"]


@pytest.mark.parametrize(("n", "broken"), [(1, 1), (7, 7), (40, 16), (400, 40)])
def test_up_to_a_tenth_or_sixteen_rows_may_raise(tmp_path: Path, n: int, broken: int) -> None:
    outcome = run(tmp_path, Double(breaks=range(broken)), [KEPT] * n, [KEPT] * n)
    assert outcome.error == ""
    assert outcome.counts["failed/error:ValueError"] == broken


def full_disk(text: str) -> OSError:
    return OSError(errno.ENOSPC, f"No space left on device, {text}")


@pytest.mark.parametrize("error", [StorageError, ImportError, MemoryError, full_disk, ConnectionResetError])
def test_what_says_nothing_of_the_rows_is_not_bisected(tmp_path: Path, error: Callable[[str], Exception]) -> None:
    stage = Double(breaks=[5], error=error)
    outcome = run(tmp_path, stage, [KEPT] * 9, [KEPT] * 9)
    assert "planted at 5" in outcome.error
    assert outcome.error.startswith(type(error("")).__name__)
    assert len(stage.calls) == 1
    assert not Store(tmp_path).exists("out/0.f.parquet")


def test_a_full_disk_says_where_temporary_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/planted")
    outcome = run(tmp_path, Double(breaks=[1], error=full_disk), [KEPT] * 9, [KEPT] * 9)
    assert "temporary files lie in /planted (TMPDIR)" in outcome.error


def test_a_decoders_own_oserror_is_its_rows(tmp_path: Path) -> None:
    outcome = run(tmp_path, Double(breaks=[5], error=OSError), [KEPT] * 9, [KEPT] * 9)
    assert outcome.counts == {"kept/": 8, "failed/error:OSError": 1}


def test_memory_that_runs_out_marks_the_shard_and_in_isolation_the_row(tmp_path: Path) -> None:
    stage = Double(breaks=[5], error=MemoryError)
    outcome = run(tmp_path, stage, [KEPT] * 9, [KEPT] * 9)
    assert outcome.metrics == {WORKER_LOST: True}
    rows = run_rows(stage, stage.double, shard_of(9), isolated=True)
    assert [row["reason"] for row in rows.to_pylist()] == [""] * 5 + ["error:MemoryError"] + [""] * 3
    everywhere = Double(breaks=range(9), error=MemoryError)
    with pytest.raises(ShardError, match="every row raised"):
        run_rows(everywhere, everywhere.double, shard_of(9), isolated=True)


def test_media_that_are_gone_are_not_the_rows_fault(tmp_path: Path) -> None:
    calls = []

    def read(shard: Shard) -> pa.Table:
        calls.append(len(shard))
        shard.store.read_ranges([("media/gone.tar", 0, 1)])
        raise AssertionError

    outcome = run(tmp_path, Answers(read), [KEPT] * 9)
    assert "media/gone.tar" in outcome.error
    assert calls == [9]


# What a stage answers


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (pa.table({"twice": [1, 2]}), "2 rows returned for 3"),
        (pa.table({"twice": [1, 2, 3], "more": [1, 2, 3]}), "columns ['twice', 'more', 'status', 'reason'], declared"),
        (pa.table({"thrice": [1, 2, 3]}), "columns ['thrice', 'status', 'reason'], declared ['twice', 'status'"),
        (pa.table({"twice": ["a", "b", "c"]}), "int64"),
        (pa.table({"twice": [1.5, 2.0, 3.0]}), "1.5"),
        (pa.table({"twice": [1, 2, 3], "status": ["kept", "ok", "kept"]}), "no such status: ['ok']"),
        (pa.table({"twice": [1, 2, 3], "reason": ["", None, ""]}), "null"),
    ],
)
def test_a_wrong_answer_is_the_stages_fault(tmp_path: Path, answer: pa.Table, said: str) -> None:
    calls = []
    outcome = run(tmp_path, Answers(lambda shard: calls.append(len(shard)) or answer), [KEPT] * 3)
    assert outcome.error.startswith("ShardError: stage answers: ")
    assert said in outcome.error
    assert calls == [3]
    assert Store(tmp_path).names("out") == []


def test_a_stage_need_not_say_that_rows_are_kept(tmp_path: Path) -> None:
    run(tmp_path, Answers(lambda shard: pa.table({"twice": shard.rows * 2})), [KEPT, ("failed", "x"), KEPT])
    assert result(tmp_path) == [(0, "kept", ""), (None, "failed", "x"), (4, "kept", "")]


def test_a_stage_that_expands_makes_rows_of_its_own(tmp_path: Path) -> None:
    stage = Expands(lambda shard: pa.table({"twice": np.repeat(shard.rows, 2)}))
    outcome = run(tmp_path, stage, [KEPT, ("failed", "x"), KEPT])
    assert result(tmp_path) == [(0, "kept", ""), (0, "kept", ""), (2, "kept", ""), (2, "kept", "")]
    assert outcome.counts == {"kept/": 4}


def test_media_lie_before_the_table_that_names_them(store_url: str) -> None:
    listed: list[list[str]] = []

    def gather(shard: Shard) -> pa.Table:
        assert shard.media is not None
        places = [shard.media.add(item_id(bytes([row])), "bin", bytes([row])) for row in shard.rows.tolist()]
        listed.append(Store(store_url).names("media/s"))
        return pa.table({"twice": [offset for offset, _ in places]})

    outcome = run(store_url, Answers(gather), [KEPT] * 3)
    assert outcome.error == ""
    (tar,) = Store(store_url).names("media/s")
    assert tar.startswith("0.f.") and tar.endswith(".tar")
    index = index_tar(Store(store_url), f"media/s/{tar}").members
    assert index.column("offset").to_pylist() == [row[0] for row in result(store_url)]
    run(store_url, Answers(gather), [KEPT] * 3)
    assert listed == [[], [tar]]
    assert len(Store(store_url).names("media/s")) == 2  # another attempt never writes into the first one's tar


def test_an_error_says_where(tmp_path: Path) -> None:
    def lookup(_shard: Shard) -> pa.Table:
        return {}["planted"]

    outcome = run(tmp_path, Answers(lookup), [KEPT] * 8)
    assert "KeyError: 'planted' (lookup, line " in outcome.error
    assert outcome.error.endswith("of test_execution.py)")


# A new generation


def retried(root: Path, retry: set[str], stage: MapStage, *judged: Judged) -> Outcome:
    return run(root, stage, *judged, previous="out/0.f.parquet", output="out/0.f-g1.parquet", retry=frozenset(retry))


@pytest.mark.parametrize(
    ("retry", "again"),
    [({"failed"}, [1, 4, 6]), ({"too_odd"}, [1, 6]), ({"error:ValueError", "never"}, [4]), ({"never"}, [])],
)
def test_a_retry_runs_failed_rows_only(tmp_path: Path, retry: set[str], again: list[int]) -> None:
    rows = [KEPT, KEPT, ("failed", "upstream"), KEPT, KEPT, ("filtered", "no_url"), KEPT]
    items = [KEPT] * 7
    run(tmp_path, Downloads(breaks=[4], fails=[1, 6]), rows, items)
    before = result(tmp_path)
    stage = Downloads(fails=[6])
    outcome = retried(tmp_path, retry, stage, rows, items)
    assert [value for call in stage.calls for value in call] == again
    mended = {1: (2, *KEPT), 4: (8, *KEPT), 6: (12, "failed", "too_odd")}
    wanted = [mended[row] if row in again else old for row, old in enumerate(before)]
    assert result(tmp_path, "out/0.f-g1.parquet") == wanted
    assert result(tmp_path) == before
    assert sum(outcome.counts.values()) == 7


def test_a_retry_of_a_stage_that_makes_rows_makes_all_of_them_again(tmp_path: Path) -> None:
    def two(shard: Shard) -> pa.Table:
        return pa.table({"twice": pa.array([0, 1], pa.int64()), "status": ["kept", "failed"], "reason": ["", "late"]})

    def three(shard: Shard) -> pa.Table:
        return pa.table({"twice": pa.array([4, 5, 6], pa.int64())})

    run(tmp_path, Expands(two), [KEPT] * 5)
    outcome = retried(tmp_path, {"late"}, Expands(three), [KEPT] * 5)
    assert outcome.error == ""
    assert result(tmp_path, "out/0.f-g1.parquet") == [(4, *KEPT), (5, *KEPT), (6, *KEPT)]


def test_a_retry_of_other_rows_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Double(), [KEPT] * 3, [KEPT] * 3)
    outcome = retried(tmp_path, {"failed"}, Double(), [KEPT] * 4, [KEPT] * 4)
    assert "none can be run again alone" in outcome.error
