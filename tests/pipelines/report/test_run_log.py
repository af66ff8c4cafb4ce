"""The record of a run, as JSON lines in the workspace."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from corpus.execution import Outcome
from corpus.storage import Store
from pipelines.report import run_log
from pipelines.report.run_log import RunLog, last_failures

DONE = Outcome("laion", "image_stats", "000000", 50, {"kept/": 48, "failed/truncated": 2}, 1.5, 4096)
BROKEN = Outcome("laion", "image_stats", "000001", error="StorageError: no room")


def lines(store: Store, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read(path).splitlines()]


def write(store: Store, run_id: str, *outcomes: Outcome) -> None:
    with RunLog(store, run_id) as run:
        for outcome in outcomes:
            run.add(outcome)


def test_a_run_is_recorded_line_by_line(store_url: str) -> None:
    store = Store(store_url)
    with RunLog(store, "20250101T000000-aaaa") as run:
        run.add(DONE)
        run.event("published", corpus="one")
    started, done, published, ended = lines(store, "runs/20250101T000000-aaaa.jsonl")
    at = datetime.fromisoformat(done.pop("at"))
    assert at.tzinfo == UTC and abs((datetime.now(UTC) - at).total_seconds()) < 3600
    assert Outcome.from_json(json.dumps(done)) == DONE
    assert [said["event"] for said in (started, published, ended)] == ["started", "published", "ended"]
    assert published["corpus"] == "one"
    assert ended["error"] == ""
    assert started["at"].endswith("Z")


def test_what_ended_a_run_is_recorded(tmp_path: Any) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt), RunLog(store, "x") as run:
        run.add(DONE)
        raise KeyboardInterrupt
    *_, done, ended = lines(store, "runs/x.jsonl")
    assert done["shard"] == "000000"
    assert ended["error"].startswith("KeyboardInterrupt")


def test_it_is_written_while_the_run_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(run_log.time, "monotonic", lambda: clock[0])
    store = Store(tmp_path)
    with RunLog(store, "x") as run:
        run.add(DONE)
        assert store.names("runs") == [], "not for every line"
        clock[0] += 60
        run.add(BROKEN)
        assert [said.get("shard") for said in lines(store, "runs/x.jsonl")] == [None, "000000", "000001"]


def test_failures_are_those_of_the_last_run(tmp_path: Any) -> None:
    store = Store(tmp_path)
    assert last_failures(store) == {}
    write(store, "20250101T000000-bbbb", BROKEN)
    store.publish("runs/scratch-20250101T000000-bbbb/part", b"not a record")
    assert last_failures(store) == {("image_stats", "laion", "000001"): "StorageError: no room"}
    write(store, "20250101T000001-aaaa", DONE)
    assert last_failures(store) == {}


def test_a_run_that_failed_as_a_whole_names_no_shards(tmp_path: Any) -> None:
    store = Store(tmp_path)
    with pytest.raises(OSError, match="gone"), RunLog(store, "x"):
        raise OSError("gone")
    assert last_failures(store) == {}


def test_no_credentials_of_a_url_are_recorded(tmp_path: Any) -> None:
    store = Store(tmp_path)
    outcome = Outcome("films", "clips", "000000", error="sftp://me:secret@host/a.mp4: no answer")
    with pytest.raises(OSError, match="secret"), RunLog(store, "20250101T000000-aaaa") as run:
        run.add(outcome)
        raise OSError("https://me:secret@host/: no answer")
    _, failed, ended = lines(store, "runs/20250101T000000-aaaa.jsonl")
    assert failed["error"] == "sftp://host/a.mp4: no answer"
    assert ended["error"] == "OSError: https://host/: no answer"


@pytest.mark.parametrize("line", ["[]", "{", '{"error": "x", "shard": 1}', "[" * 100_000, "\x00"])
def test_a_record_of_others_is_named_with_its_line(tmp_path: Any, line: str) -> None:
    store = Store(tmp_path)
    store.publish("runs/x.jsonl", f"{DONE.to_json()}\n{line}\n".encode())
    with pytest.raises(RuntimeError, match=r"runs/x\.jsonl, line 2: not of a run's log"):
        last_failures(store)
