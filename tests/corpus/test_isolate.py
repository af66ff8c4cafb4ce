"""A row that crashes the process is found like one that raises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from crashing import PLANTED, Crashing

from corpus.isolate import ProcessDied, isolated
from corpus.stages import ROWS, Shard
from corpus.storage import Store
from corpus.work import MapWork, ShardTask, run_rows
from corpus.workspace import Series, Workspace


def shard_of(texts: list[str]) -> Shard:
    return Shard("s", "000000", 0, np.arange(len(texts)), {ROWS: pa.table({"text": texts})}, Store("memory://"))


def test_an_answer_and_an_error_come_through() -> None:
    call = isolated(Crashing())
    assert call(shard_of(["a", "bcd"])).column("length").to_pylist() == [1, 3]
    with pytest.raises(ValueError, match="planted"):
        call(shard_of(["raise"]))


def test_a_crash_is_an_exception() -> None:
    with pytest.raises(ProcessDied, match="exit code 11"):
        isolated(Crashing())(shard_of(["a", PLANTED]))


def test_the_row_that_crashes_is_failed_and_the_others_are_done() -> None:
    stage = Crashing()
    table = run_rows(stage, isolated(stage), shard_of(["a", "bb", PLANTED, "dddd"]))
    assert table.column("length").to_pylist() == [1, 2, None, 4]
    assert table.column("status").to_pylist() == ["kept", "kept", "failed", "kept"]
    assert table.column("reason").to_pylist()[2] == "error:ProcessDied"


def test_careful_work_writes_the_shard_that_killed_its_workers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    rows = Series("tables", "s", ROWS).path("000000", "f")
    said = {"status": ["kept"] * 3, "reason": [""] * 3}
    workspace.write_table(rows, pa.table({"text": ["a", PLANTED, "ccc"], **said}), {})
    output = Series("tables", "s", "crashing").path("000000", "g")
    task = ShardTask("s", "000000", 0, ((ROWS, rows),), output, "media/s/000000.g", {})
    work = MapWork(Crashing(), str(tmp_path), careful=True)
    outcome = work.open()(task)
    assert outcome.error == ""
    assert outcome.counts == {"kept/": 2, "failed/error:ProcessDied": 1}
    assert work.lost(task, "it died").extra == {"lost": True}
