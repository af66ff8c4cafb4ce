"""A call that never comes back ends its worker, and so costs its row."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pytest

from corpus import watchdog
from corpus.execution import run_rows
from corpus.isolation import isolated
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from tests.helpers.crashing import HANGING, Crashing


def test_a_call_that_never_comes_back_costs_its_row() -> None:
    stage = Crashing()
    rows = {ROWS: pa.table({"text": ["a", "bb", HANGING, "dddd"]})}
    table = run_rows(stage, isolated(stage), Shard("s", "000000", 0, np.arange(4), rows, Store("memory://")))
    assert table.column("length").to_pylist() == [1, 2, None, 4]
    assert table.column("reason").to_pylist()[2] == "error:ProcessDied"


def test_a_programs_own_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def timer(*_: object) -> None:
        raise AssertionError("a timer runs")

    monkeypatch.setattr(watchdog.threading, "Timer", timer)
    with watchdog.ended_after(0.0, "this process"):
        assert threading.current_thread() is threading.main_thread()
