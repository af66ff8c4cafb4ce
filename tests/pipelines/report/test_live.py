"""A run is followed by its log alone: what is done and runs, what starves, what is left, and its last errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpus.execution import Outcome
from corpus.storage import Store
from pipelines.report.live import follow, progress_table, read_progress
from tests.helpers.terminals import output, terminal

RUN = "20260101T000000-abcd"


def event(second: int, name: str, **fields: Any) -> str:
    return json.dumps({"event": name, "at": f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z", **fields})


def counts(total: int, waiting: int = 0, ready: int = 0, running: int = 0, **more: Any) -> dict[str, Any]:
    return {"total": total, "waiting": waiting, "ready": ready, "running": running, "failed": 0, **more}


def outcome(stage: str, shard: int, error: str = "") -> str:
    return Outcome("web", stage, f"{shard:06d}", rows=0 if error else 50, seconds=2.0, error=error).to_json()


STEPS = {"download": counts(10, ready=3, running=2), "caption": counts(10, waiting=9, starving=True)}
LINES = [
    event(0, "started"),
    *(outcome("download", n) for n in range(4)),
    outcome("download", 4, "StorageError: [gone]"),
    outcome("caption", 0),
    event(90, "progress", steps=STEPS),
]


def write(store: Store, lines: list[str], run: str = RUN) -> None:
    store.publish(f"runs/{run}.jsonl", "".join(f"{line}\n" for line in lines).encode())


def test_the_progress_is_that_of_the_newest_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert read_progress(store) is None
    write(store, [event(0, "started"), event(1, "ended", error="")], "20250101T000000-abcd")
    write(store, [*LINES, '{"half'])
    found = read_progress(store)
    assert found is not None and found.run == RUN and found.ended is None
    download, caption = found.stages["download"], found.stages["caption"]
    assert (download.written, download.failed, download.rows, download.seconds) == (4, 1, 200, 10.0)
    assert (download.running, download.ready, caption.waiting, caption.starving) == (2, 3, 9, True)
    assert found.errors == ["download web/000004: StorageError: [gone]"]
    assert found.seconds == 90
    assert found.remaining_s == 90 * 14 / 5, "5 tables were written in 90 s, 14 are left"


def test_a_stage_that_is_complete_and_a_run_that_has_ended_have_nothing_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, [*LINES, event(120, "progress", steps={"caption": counts(10, running=1)})])
    found = read_progress(store)
    assert found is not None
    assert (found.stages["download"].running, found.stages["download"].ready) == (0, 0)
    write(store, [*LINES, event(150, "ended", error="KeyboardInterrupt: ")])
    found = read_progress(store)
    assert found is not None and found.error == "KeyboardInterrupt: " and found.seconds == 150
    assert found.remaining_s is None
    assert not any(stage.running + stage.ready + stage.waiting for stage in found.stages.values())


def test_the_table_shows_all_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, LINES)
    found = read_progress(store)
    assert found is not None
    console = terminal()
    console.print(progress_table(found))
    shown = output(console)
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in shown.splitlines()
        if line.startswith("│")
    }
    assert rows["download"] == ["4", "2", "3", "", "1", "200", "20", ""]
    assert rows["caption"] == ["1", "", "", "9", "", "50", "25", "starves"]
    assert "0:01:30 so far, about 0:04:12 left of the stages that have begun" in shown
    assert "failed: download web/000004: StorageError: [gone]" in shown


def test_a_run_is_watched_until_it_ends(tmp_path: Path) -> None:
    """Each pause of the watcher lets the run go on: nothing waits."""
    store = Store(tmp_path)
    ahead: list[list[str]] = [LINES, LINES, [*LINES, outcome("caption", 1), event(100, "progress", steps=STEPS)]]
    ahead.append([*ahead[-1], event(130, "ended", error="")])
    assert watched(store, ahead).splitlines() == [
        "0:01:30 download 4/10, caption 1/10",
        "0:01:40 download 4/10, caption 2/10",
        "0:02:10 download 4/10, caption 2/10: ended",
    ], "what did not change is not shown again"
    store.remove(f"runs/{RUN}.jsonl")
    shown = watched(store, ahead, colours=True)
    assert "ended: 0:02:10" in shown and "caption" in shown


def watched(store: Store, ahead: list[list[str]], colours: bool = False) -> str:
    """What is shown of a run whose log, after each look, is the next one of `ahead`."""
    console, left = terminal(colours), list(ahead)
    follow(console, store, lambda: True, lambda seconds: write(store, left.pop(0)))
    assert left == []
    return output(console)


def test_nobody_is_watched_for_ever(tmp_path: Path) -> None:
    """A run that was killed logs no end: its lease says that it is dead."""
    store = Store(tmp_path)
    write(store, LINES)
    held = [True, True, False]
    assert watched_until(store, held) == ["0:01:30 download 4/10, caption 1/10"]
    assert held == []


def watched_until(store: Store, held: list[bool]) -> list[str]:
    console = terminal()
    follow(console, store, lambda: held.pop(0), lambda seconds: None)
    return output(console).splitlines()
