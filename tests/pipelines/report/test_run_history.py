"""The history of runs: of each table the newest run counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from corpus.execution import Outcome
from corpus.storage import Store
from pipelines.report.run_history import StagePeriod, read_history
from pipelines.report.run_log import RunLog


def write(store: Store, name: str, *outcomes: Outcome) -> None:
    with RunLog(store, name) as log:
        for outcome in outcomes:
            log.add(outcome)


def test_a_failure_lasts_until_a_run_writes_the_table(store_url: str) -> None:
    store = Store(store_url)
    one, two, three = (Outcome("laion", "download", f"00000{n}", 10, {}, 1.0 + n, 100) for n in range(3))
    write(store, "20250101T000000-a", one, Outcome("laion", "download", "000001", error="first"), three)
    write(store, "20250102T000000-a", two, Outcome("laion", "download", "000002", error="second"))
    history = read_history(store)
    assert [(run.name, run.written, run.failed) for run in history.runs] == [
        ("20250102T000000-a", 1, 1),
        ("20250101T000000-a", 2, 1),
    ]
    assert [(each.shard, each.error) for each in history.failures] == [("000002", "second")]
    assert sorted((each.shard, each.seconds) for each in history.written) == [("000000", 1.0), ("000001", 2.0)]
    assert all(run.started.endswith("Z") and run.ended and not run.error for run in history.runs)


def test_lines_that_are_none_of_a_log_are_counted(tmp_path: str) -> None:
    store = Store(tmp_path)
    store.publish("runs/a.jsonl", b'[1]\nno json\n{"shard": "1", "owner": "x"}\n{"event": "started", "at": 5}\n')
    history = read_history(store)
    assert history.malformed == 3 and not history.tables
    assert [run.started for run in history.runs] == ["5"]


def test_spans_of_stages_reach_from_the_start_of_the_first_shard_to_the_end_of_the_last(tmp_path: str) -> None:
    """Of a run whose log has times; an older one has none, and all else of it is read."""
    store = Store(tmp_path)
    one, two, old = (Outcome("laion", "download", f"00000{n}", 10, {}, 4.0 - n, 100) for n in range(3))
    logged = [
        {**vars(two), "at": "2026-01-01T00:00:07.000Z"},
        {**vars(one), "at": "2026-01-01T00:00:10.500Z"},
        {**vars(one), "error": "full", "at": "2026-01-01T00:01:00.000Z"},
    ]
    store.publish("runs/20260101T000000-a.jsonl", "\n".join(map(json.dumps, logged)).encode())
    store.publish("runs/20250101T000000-a.jsonl", old.to_json().encode())
    new, before = read_history(store).runs
    start, end = (datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 10, 500_000, UTC))
    assert new.periods == {"download": StagePeriod(start, end, tables=2, rows=20)}
    assert new.periods["download"].seconds == 6.5
    assert before.periods == {} and before.written == 1


def test_only_so_much_is_read(tmp_path: str) -> None:
    store = Store(tmp_path)
    for day in range(1, 5):
        write(store, f"2025010{day}T000000-a", Outcome("laion", "download", f"{day:06d}"))
    history = read_history(store, max_bytes=300)
    assert [run.name[:8] for run in history.runs] == ["20250104"] and history.omitted == 3
    assert not read_history(Store(f"{tmp_path}/none")).runs
