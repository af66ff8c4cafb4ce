"""A row that crashes the process is found like one that raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.bisection import run_rows
from corpus.execution import MapJob, ShardTask
from corpus.isolation import ProcessDied, isolate
from corpus.media import MediaWriter, read_contents
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from corpus.tars import index_tar
from corpus.workspace import TableKey, Workspace
from tests.helpers.crashing import GREEDY, PLANTED, Crashing
from tests.helpers.crashing_media import CrashingWriter


def shard_of(texts: list[str]) -> Shard:
    return Shard("s", "000000", 0, np.arange(len(texts)), {ROWS: pa.table({"text": texts})}, Store("memory://"))


def test_an_answer_and_an_error_come_through() -> None:
    call = isolate(Crashing())
    assert call(shard_of(["a", "bcd"])).column("length").to_pylist() == [1, 3]
    with pytest.raises(ValueError, match="planted"):
        call(shard_of(["raise"]))


def test_a_crash_is_an_exception() -> None:
    with pytest.raises(ProcessDied, match="exit code 11"):
        isolate(Crashing())(shard_of(["a", PLANTED]))


def test_the_row_that_crashes_is_failed_and_the_others_are_done() -> None:
    stage = Crashing()
    table = run_rows(stage, isolate(stage), shard_of(["a", "bb", PLANTED, "dddd"]))
    assert table.column("length").to_pylist() == [1, 2, None, 4]
    assert table.column("status").to_pylist() == ["kept", "kept", "failed", "kept"]
    assert table.column("reason").to_pylist()[2] == "error:ProcessDied"


def test_careful_work_writes_the_shard_that_killed_its_workers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    rows = TableKey("tables", "s", ROWS).path("000000", "f")
    said = {"status": ["kept"] * 3, "reason": [""] * 3}
    workspace.write_table(rows, pa.table({"text": ["a", PLANTED, "ccc"], **said}), {})
    output = TableKey("tables", "s", "crashing").path("000000", "g")
    task = ShardTask("s", "000000", 0, ((ROWS, rows),), output, "media/s/000000.g", {})
    job = MapJob(Crashing(), str(tmp_path), isolated=True)
    outcome = job.open()(task)
    assert outcome.error == ""
    assert outcome.counts == {"kept/": 2, "failed/error:ProcessDied": 1}
    assert job.on_worker_lost(task, "it died").metrics == {"worker_lost": True}


class Unpicklable(ValueError):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class RaisesUnpicklable(Crashing):
    def setup(self) -> Callable[[Shard], pa.Table]:
        return _raise_unpicklable


def _raise_unpicklable(shard: Shard) -> pa.Table:
    raise Unpicklable("planted", "error")


def test_an_error_that_pickle_does_not_bring_over_comes_as_its_text() -> None:
    with pytest.raises(RuntimeError, match="Unpicklable: planted error"):
        isolate(RaisesUnpicklable())(shard_of(["a"]))


def test_a_row_that_takes_all_memory_costs_only_itself(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    rows = TableKey("tables", "s", ROWS).path("000000", "f")
    kept = {"status": ["kept"] * 4, "reason": [""] * 4}
    workspace.write_table(rows, pa.table({"text": ["a", "bb", GREEDY, "dddd"], **kept}), {})
    task = ShardTask("s", "000000", 0, ((ROWS, rows),), "out.parquet", "media/s/000000.g", {})
    first = MapJob(Crashing(), str(tmp_path)).open()(task)
    assert (first.metrics, first.error.startswith("MemoryError")) == ({"worker_lost": True}, True)
    outcome = MapJob(Crashing(), str(tmp_path), isolated=True).open()(task)
    assert outcome.counts == {"kept/": 3, "failed/error:MemoryError": 1}
    assert workspace.read_table("out.parquet").column("length").to_pylist() == [1, 2, None, 4]


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("where", ["local", "s3"])
def test_a_row_that_crashes_a_stage_that_writes_media_costs_only_itself(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("s3_store") if where == "s3" else str(tmp_path / "w")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    workspace = Workspace(url)
    rows = TableKey("tables", "s", ROWS).path("000000", "f")
    texts = ["a", PLANTED, "ccc", "dd", "raise", "ccc"]
    workspace.write_table(rows, pa.table({"text": texts, "status": ["kept"] * 6, "reason": [""] * 6}), {})
    task = ShardTask("s", "000000", 0, ((ROWS, rows),), "out.parquet", "media/s/000000.g", {})
    outcome = MapJob(CrashingWriter(), workspace.store.url, isolated=True).open()(task)
    assert outcome.error == ""
    assert outcome.counts == {"kept/": 4, "failed/error:ProcessDied": 1, "failed/error:ValueError": 1}
    table = workspace.read_table("out.parquet")
    kept = [row for row, text in enumerate(texts) if text not in (PLANTED, "raise")]
    found = {kept[row]: content.decode() for row, content in read_contents(workspace.store, table.take(kept))}
    assert found == {row: texts[row] for row in kept}
    tars = sorted({path for path in table.column("media").to_pylist() if path})
    assert len(tars) >= 2, "one of each call that came to its end"
    assert workspace.store.names("media/s") == [tar.removeprefix("media/s/") for tar in tars], "and of no other call"
    assert files_below(tmp_path / "temporary") == []


@pytest.mark.parametrize(("text", "error"), [(PLANTED, ProcessDied), ("raise", ValueError)])
def test_nothing_is_published_by_a_call_that_fails(tmp_path: Path, text: str, error: type[Exception]) -> None:
    shard = replace(shard_of(["a", "bb", text]), store=Store(tmp_path), media=MediaWriter(Store(tmp_path), "0.tar"))
    with pytest.raises(error):
        isolate(CrashingWriter())(shard)
    assert files_below(tmp_path) == []


def test_each_call_has_a_tar_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shard = replace(shard_of(["a", "bb"]), store=store, media=MediaWriter(store, "media/0.tar"))
    call = isolate(CrashingWriter())
    tars = [call(shard.slice(at, at + 1)).column("media")[0].as_py() for at in (0, 1, 1)]
    assert len(set(tars)) == 3 and "media/0.tar" not in tars
    assert [index_tar(store, tar).members.column("size").to_pylist() for tar in tars] == [[1], [2], [2]]
