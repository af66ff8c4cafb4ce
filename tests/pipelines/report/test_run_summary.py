"""The summary of a run: written whatever ended it, with what its outcomes add up to, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.execution import WORKER_LOST, Outcome
from corpus.settings import Settings
from corpus.storage import Store
from pipelines.report.run_log import RunLog, last_failures
from pipelines.report.run_summary import RunSummary, StageSummary, read_summaries, summary_path


class Links(Settings):
    """Settings with URLs."""

    files: tuple[str, ...] = ("https://a.com/x?sig=secret&sv=1&page=2", "plain text ?sig=no")


DONE = Outcome("s", "stats", "000000", 50, {"kept/": 48, "failed/late": 2}, 1.5, metrics={"storage_retries": 2})
ALSO = Outcome("s", "stats", "000001", 10, {"kept/": 10}, 0.5)
BROKEN = Outcome("s", "stats", "000002", error="sftp://me:secret@host/a: away", metrics={WORKER_LOST: True})


def test_it_adds_up_what_a_run_did(store_url: str) -> None:
    store = Store(store_url)
    summary = RunSummary.start("one", Links(), {"stage": "stats"}, {"python": "3"})
    with RunLog(store, "one", summary) as log:
        for outcome in (DONE, ALSO, BROKEN):
            log.add(outcome)
    [found] = read_summaries(store)
    assert found.stages == {"stats": StageSummary(2, 1, 60, 2.0, {"kept/": 58, "failed/late": 2})}
    assert (found.rows, found.failed, found.storage_retries, found.crashed_workers) == (60, 1, 2, 1)
    assert found.settings == {"files": ["https://a.com/x?page=2", "plain text ?sig=no"]}
    assert found.selection == {"stage": "stats"} and found.versions == {"python": "3"}
    assert found == summary and found.peak_memory_bytes > 0
    assert set(last_failures(store)) == {("stats", "s", "000002")}


def test_what_ended_a_run_early_is_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, error in (("a", KeyboardInterrupt()), ("b", OSError("https://me:secret@host/: no answer"))):
        summary = RunSummary.start(name, Links(), {}, {})
        with pytest.raises(type(error)), RunLog(store, name, summary) as log:
            log.add(DONE)
            raise error
    first, second = read_summaries(store)
    assert first.error.startswith("KeyboardInterrupt") and first.rows == 50 and first.ended
    assert second.error == "OSError: https://host/: no answer"


def test_what_is_no_summary_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, text in enumerate((b"[]", b"{", b'{"stages": {"a": {"x": 1}}}', b'{"stages": 1}', b"\x00", b"{}")):
        store.publish(summary_path(f"{number}"), text)
    assert read_summaries(store) == []
    with pytest.raises(ValueError, match="no summary of a run"):
        RunSummary.from_json(b"{}")
