from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.media import index_tar
from corpus.records import item_id, table_schema
from corpus.settings import Settings
from corpus.stages import ITEMS, ROWS, KeyedStage, MapStage, Shard
from corpus.storage import StorageError, Store
from corpus.work import (
    LOST,
    EmitWork,
    MapWork,
    Outcome,
    SettleTask,
    SettleWork,
    ShardError,
    ShardTask,
    count,
    run_rows,
    worth_retrying,
)
from corpus.workspace import Workspace

Judged = Sequence[tuple[str, str]]  # (status, reason) of each row
KEPT = ("kept", "")


class Double(MapStage):
    """Twice `value`; `breaks` raise, `fails` are said to have failed; counts its calls."""

    name = "double"
    reads = (ROWS, ITEMS)
    schema = pa.schema([("twice", pa.int64())])

    def __init__(self, breaks: Sequence[int] = (), fails: Sequence[int] = (), error: type[Exception] = ValueError):
        super().__init__(Settings())
        self.breaks, self.fails, self.error = set(breaks), set(fails), error
        self.calls: list[list[int]] = []

    def open(self) -> Callable[[Shard], pa.Table]:
        return self.double

    def double(self, shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value").to_pylist()
        self.calls.append(values)
        assert values == shard.rows.tolist()
        if broken := self.breaks.intersection(values):
            raise self.error(f"planted at {min(broken)}")
        failed = [value in self.fails for value in values]
        said = {
            "reason": ["too_odd" if bad else "" for bad in failed],  # the order is not that of the schema
            "twice": pa.array([2 * value for value in values], pa.int32()),  # nor is the type
            "status": ["failed" if bad else "kept" for bad in failed],
        }
        return pa.table(said)


class Answers(MapStage):
    """Gives whatever table it is told to."""

    name = "answers"
    reads = (ROWS,)
    schema = pa.schema([("twice", pa.int64())])

    def __init__(self, function: Callable[[Shard], pa.Table]) -> None:
        super().__init__(Settings())
        self.function = function

    def open(self) -> Callable[[Shard], pa.Table]:
        return self.function


class Expands(Answers):
    expands: ClassVar[bool] = True


def write_rows(workspace: Workspace, path: str, judged: Judged) -> None:
    statuses, reasons = zip(*judged, strict=True) if judged else ((), ())
    columns = {
        "value": pa.array(range(len(judged)), pa.int64()),
        "status": pa.array(statuses, pa.string()),
        "reason": pa.array(reasons, pa.string()),
    }
    workspace.write_table(path, pa.table(columns), {})


def task_for(root: Path | str, stage: MapStage | KeyedStage, *judged: Judged, **more: object) -> ShardTask:
    """A workspace with one input table for each name that the stage reads, and the task to run it."""
    workspace = Workspace(root)
    inputs = []
    for name, rows in zip(stage.reads, judged, strict=True):
        inputs.append((name, f"in/{name}.f.parquet"))
        write_rows(workspace, inputs[-1][1], rows)
    values = {"output": "out/0.f.parquet", "media": "media/s/0.f", "ingredients": {"stage": stage.name}, **more}
    return ShardTask("s", "000000", 3, tuple(inputs), **values)  # type: ignore[arg-type]


def run(root: Path | str, stage: MapStage, *judged: Judged, **more: object) -> Outcome:
    task = task_for(root, stage, *judged, **more)
    return MapWork(stage, str(root)).open()(task)


def result(root: Path | str, path: str = "out/0.f.parquet") -> list[tuple[object, ...]]:
    table = Workspace(root).read_table(path)
    assert table.schema == table_schema(pa.schema([("twice", pa.int64())]))
    return [tuple(row.values()) for row in table.to_pylist()]


def shard_of(n: int) -> Shard:
    rows = pa.table({"value": pa.array(range(n), pa.int64())})
    return Shard("s", "0", 0, np.arange(n), {ROWS: rows}, Store("/"))


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
    assert Workspace(store_url).read_ingredients("out/0.f.parquet") == {"stage": "double"}
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
    assert "in/items.f.parquet" in MapWork(stage, str(tmp_path)).open()(task).error
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
    assert "double, line " in outcome.error and "test_work.py" in outcome.error
    assert (outcome.rows, outcome.counts, outcome.written_bytes) == (0, {}, 0)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["items.f.parquet", "rows.f.parquet"]


@pytest.mark.parametrize(("n", "broken"), [(1, 1), (7, 7), (40, 16), (400, 40)])
def test_up_to_a_tenth_or_sixteen_rows_may_raise(tmp_path: Path, n: int, broken: int) -> None:
    outcome = run(tmp_path, Double(breaks=range(broken)), [KEPT] * n, [KEPT] * n)
    assert outcome.error == ""
    assert outcome.counts["failed/error:ValueError"] == broken


@pytest.mark.parametrize("error", [StorageError, ImportError, MemoryError])
def test_what_says_nothing_of_the_rows_is_not_bisected(tmp_path: Path, error: type[Exception]) -> None:
    stage = Double(breaks=[5], error=error)
    outcome = run(tmp_path, stage, [KEPT] * 9, [KEPT] * 9)
    assert outcome.error.startswith(f"{error.__name__}: planted at 5")
    assert len(stage.calls) == 1
    assert not Store(tmp_path).exists("out/0.f.parquet")


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
    task = task_for(tmp_path, stage, [KEPT] * 4, previous="out/0.f.parquet", output="out/0.f-g1.parquet")
    assert "none can be run again alone" in MapWork(stage, str(tmp_path)).open()(task).error


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
    index = index_tar(Store(store_url), f"media/s/{tar}")
    assert index.column("offset").to_pylist() == [row[0] for row in result(store_url)]
    run(store_url, Answers(gather), [KEPT] * 3)
    assert listed == [[], [tar]]
    assert len(Store(store_url).names("media/s")) == 2  # another attempt never writes into the first one's tar


def test_an_error_says_where(tmp_path: Path) -> None:
    def lookup(_shard: Shard) -> pa.Table:
        return {}["planted"]

    outcome = run(tmp_path, Answers(lookup), [KEPT] * 8)
    assert "KeyError: 'planted' (lookup, line " in outcome.error
    assert outcome.error.endswith("of test_work.py)")


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
    run(tmp_path, Double(breaks=[4], fails=[1, 6]), rows, items)
    before = result(tmp_path)
    stage = Double(fails=[6])
    outcome = retried(tmp_path, retry, stage, rows, items)
    assert [value for call in stage.calls for value in call] == again
    mended = {1: (2, *KEPT), 4: (8, *KEPT), 6: (12, "failed", "too_odd")}
    wanted = [mended[row] if row in again else old for row, old in enumerate(before)]
    assert result(tmp_path, "out/0.f-g1.parquet") == wanted
    assert result(tmp_path) == before
    assert sum(outcome.counts.values()) == 7


def test_a_retry_of_other_rows_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Double(), [KEPT] * 3, [KEPT] * 3)
    outcome = retried(tmp_path, {"failed"}, Double(), [KEPT] * 4, [KEPT] * 4)
    assert "none can be run again alone" in outcome.error


# Keyed stages


class Largest(KeyedStage):
    """Of the rows with the same value modulo 3, all but the largest are duplicates."""

    name = "largest"
    reads = (ROWS, ITEMS)
    schema = pa.schema([("largest", pa.int64())])

    def __init__(self) -> None:
        super().__init__(Settings())

    def emit(self, shard: Shard) -> pa.Table:
        values = shard[ROWS].column("value").to_numpy()
        if 13 in values:
            raise ValueError("planted")
        return pa.table({"key": (values % 3).astype(np.uint64), "node": shard.nodes, "value": values})

    def reduce(self, rows: pa.Table) -> pa.Table:
        largest = rows.group_by("key").aggregate([("value", "max")])
        return rows.join(largest, "key").select(["node", "value", "value_max"])

    def conclude(self, reduced: pa.Table) -> pa.Table:
        said = reduced.filter(pc.less(reduced["value"], reduced["value_max"]))
        columns = {
            "node": said["node"],
            "largest": said["value_max"],
            "status": ["duplicate"] * said.num_rows,
            "reason": ["smaller"] * said.num_rows,
        }
        return pa.table(columns)


def test_a_keyed_stage_emits_live_rows_and_settles_what_it_concluded(store_url: str) -> None:
    stage = Largest()
    rows = [KEPT, KEPT, KEPT, ("failed", "x"), KEPT, KEPT, KEPT]
    items = [KEPT, KEPT, ("filtered", "y"), KEPT, KEPT, KEPT, KEPT]
    task = task_for(store_url, stage, rows, items)
    emitted = EmitWork(stage, store_url).open()(task)
    assert emitted.column("node").to_pylist() == [(3 << 32) + row for row in (0, 1, 4, 5, 6)]
    said = stage.conclude(stage.reduce(emitted))
    outcome = SettleWork(stage, store_url).open()(SettleTask(task, said))
    assert outcome.error == ""
    assert outcome.counts == {"kept/": 3, "duplicate/smaller": 2, "failed/x": 1, "filtered/y": 1}
    table = Workspace(store_url).read_table("out/0.f.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (6, "duplicate", "smaller"),
        (4, "duplicate", "smaller"),
        (None, "filtered", "y"),
        (None, "failed", "x"),
        (None, "kept", ""),
        (None, "kept", ""),
        (None, "kept", ""),
    ]


@pytest.mark.parametrize("nodes", [[(3 << 32) + 1], [(2 << 32) + 0], [(3 << 32) + 9], [(3 << 32) + 0] * 2])
def test_conclusions_on_rows_that_are_not_the_shards_are_refused(tmp_path: Path, nodes: list[int]) -> None:
    stage = Largest()
    task = task_for(tmp_path, stage, [KEPT, ("failed", "x")], [KEPT, KEPT])
    n = len(nodes)
    said = pa.table({"node": nodes, "largest": [1] * n, "status": ["kept"] * n, "reason": [""] * n})
    outcome = SettleWork(stage, str(tmp_path)).open()(SettleTask(task, said))
    assert outcome.error.startswith("ShardError: stage largest: ")
    assert not Store(tmp_path).exists("out/0.f.parquet")


def test_an_error_of_emit_names_the_shard(tmp_path: Path) -> None:
    stage = Largest()
    task = task_for(tmp_path, stage, [KEPT] * 20, [KEPT] * 20)
    with pytest.raises(ShardError, match=r"stage largest, s/000000: ValueError: planted \(emit, line \d+ of test_work"):
        EmitWork(stage, str(tmp_path)).open()(task)


# Outcomes and works


def test_an_outcome_survives_json() -> None:
    outcome = Outcome("s", "blur", "000001", 7, {"kept/": 5, "failed/ü": 2}, 1.5, 99, "Why: ü\n", {"cost": [1, None]})
    assert "\n" not in outcome.to_json()
    assert Outcome.from_json(outcome.to_json()) == outcome
    assert Outcome.from_json(Outcome("s", "blur", "0").to_json().encode()) == Outcome("s", "blur", "0")


def test_rows_are_counted_by_status_and_reason() -> None:
    table = pa.table({"status": ["kept", "failed", "failed", "kept"], "reason": ["", "a", "b", ""]})
    assert count(table) == {"kept/": 2, "failed/a": 1, "failed/b": 1}
    assert count(table.slice(0, 0)) == {}


def test_works_can_be_sent_and_answer_for_what_is_lost(tmp_path: Path) -> None:
    task = task_for(tmp_path, Double(), [KEPT], [KEPT])
    for work, item in (
        (MapWork(Double(), str(tmp_path)), task),
        (SettleWork(Largest(), str(tmp_path)), SettleTask(task, pa.table({"node": [0]}))),
    ):
        copy = pickle.loads(pickle.dumps((work, item)))  # noqa: S301
        lost = copy[0].lost(copy[1], "killed 3 times")
        assert replace(lost, extra={}) == Outcome("s", work.stage.name, "000000", error="killed 3 times")
        assert lost.extra.get(LOST, False) == isinstance(work, MapWork)
        assert copy[0].resources == work.stage.resources
    with pytest.raises(ShardError, match="s/000000: killed 3 times"):
        EmitWork(Largest(), str(tmp_path)).lost(task, "killed 3 times")


def test_what_is_worth_a_retry_is_the_stages_to_say() -> None:
    table = pa.table({"status": ["kept", "failed", "failed", "filtered"], "reason": ["", "a", "b", "a"]})
    troubles = Double().troubles(table)
    assert troubles.to_pylist() == ["", "a", "b", ""]
    assert worth_retrying(troubles, frozenset({"failed"})).to_pylist() == [False, True, True, False]
    assert worth_retrying(troubles, frozenset({"a", ""})).to_pylist() == [False, True, False, False]
    assert len(worth_retrying(troubles.slice(0, 0), frozenset({"failed"}))) == 0


class Notes(Double):
    """Notes what it was given."""

    def open(self) -> Callable[[Shard], pa.Table]:
        inner = super().open()

        def call(shard: Shard) -> pa.Table:
            shard.slice(0, 1).notes["generation"] = shard.take(np.array([0])).generation
            return inner(shard)

        return call


def test_notes_of_a_shard_come_with_its_outcome(tmp_path: Path) -> None:
    task = replace(task_for(tmp_path, Notes(), [KEPT], [KEPT]), ingredients={"generation": 3})
    outcome = MapWork(Notes(), str(tmp_path)).open()(task)
    assert outcome.extra == {"generation": 3}
