"""Whatever executes a run says the same of it: bars, lines, the log. (Order and failures: test_streaming.)"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.workspace import Workspace
from pipelines.report.run_log import last_failures
from pipelines.run_graph import executor
from tests.helpers.fake_queues import FakeEngine
from tests.helpers.toy_plans import Toys
from tests.helpers.toy_runs import run_toys


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path))


def test_the_log_has_every_outcome_and_how_far_the_stages_are(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_SHOW_EVERY_S", 0.0)
    monkeypatch.setattr(executor, "_LOG_EVERY_S", 0.0)
    run_toys(toys, engine=FakeEngine(toys.workspace, failing={("measure", "b", 0): "planted"}))
    lines = [json.loads(line) for line in toys.workspace.store.read("runs/toy.jsonl").splitlines()]
    outcomes = [(line["stage"], line["owner"], line["shard"], line["error"]) for line in lines if "shard" in line]
    assert len(outcomes) == 6 and ("measure", "b", "000000", "planted") in outcomes
    progress = [line["steps"] for line in lines if line.get("event") == "progress"]
    measured = [steps["measure"] for steps in progress if "measure" in steps]
    assert {"total": 3, "waiting": 1, "ready": 0, "running": 0, "failed": 0, "starving": False} in measured
    assert all(0 <= each["waiting"] + each["ready"] + each["running"] <= each["total"] for each in measured)
    assert last_failures(toys.workspace.store) == {("measure", "b", "000000"): "planted"}


def test_counts_of_tables_are_kept_and_paths_that_exist_are_known(toys: Toys) -> None:
    found = run_toys(toys)
    existing = found.executor.existing({"b"})
    assert {path.split("/")[2] for path in existing} == {"fetch", "measure", "compare", "pair"}
    assert all(toys.workspace.store.exists(path) for path in found.executor.existing())
    assert found.executor.counts.rows(sorted(existing)) == [{"kept/": 3}] * 4
