"""Whatever executes a run says the same of it: bars, lines, the log. (Order and failures: test_streaming.)"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.plan import Node, Selection, Step
from pipelines.report.run_log import last_failures
from pipelines.run_graph import executor
from pipelines.sources.source_shards import SourceIndex
from tests.helpers.crashing import GREEDY, PLANTED, Crashing
from tests.helpers.fake_queues import FakeEngine
from tests.helpers.toy_plans import Toys
from tests.helpers.toy_runs import logged_outcomes, run_steps, run_toys


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


@pytest.mark.parametrize("workers", [1, 2])
def test_a_row_that_breaks_its_worker_costs_that_row(tmp_path: Path, workers: int) -> None:
    """A crash loses the shard to the engine; memory that runs out fails it. Both go on in processes of their own."""
    planted = [GREEDY] if workers == 1 else [GREEDY, PLANTED]  # with one worker a crash is the run's
    workspace = Workspace(tmp_path)
    rows = TableKey("tables", "s", ROWS)
    shards = []
    for number, texts in enumerate((["a", "bb"], ["c", *planted, "eee"], ["f"])):
        shards.append((f"{number:06d}", "f"))
        fields = {"text": texts, "status": ["kept"] * len(texts), "reason": [""] * len(texts)}
        workspace.write_table(rows.path(*shards[-1]), pa.table(fields), {})
    node = Node(Crashing(), "s", TableKey("tables", "s", "crashing"), ((ROWS, rows),))
    index = SourceIndex("f", tuple(shards), 7, {})
    engine = LocalEngine(EngineSettings(workers=workers))
    try:
        found = run_steps(workspace, [Step("crashing", (node,))], {"s": index}, engine, Selection(), {}, {})
    finally:
        engine.close()
    assert found.failed == []
    outcomes = {outcome["shard"]: outcome for outcome in logged_outcomes(workspace)}
    assert [outcomes[shard]["error"] for shard, _ in shards] == ["", "", ""]
    reasons = {"failed/error:MemoryError": 1, **({"failed/error:ProcessDied": 1} if workers == 2 else {})}
    assert outcomes["000001"]["counts"] == {"kept/": 2, **reasons}
