"""Two runs compared: settings, versions, funnels, and the stages that both ran."""

from __future__ import annotations

import pytest

from corpus.settings import SettingsError
from pipelines.report.run_comparison import CountChange, compare_runs, find_run
from pipelines.report.run_summary import RunSummary, StageSummary

OLD = RunSummary(
    "20250101T000000-abcd",
    settings={"a": {"b": 1}, "c": 2},
    versions={"numpy": "1", "python": "3"},
    seconds=9.0,
    stages={"one": StageSummary(2, rows=5), "two": StageSummary(2, 0, 5, 1.0, {"kept/": 4, "failed/late": 1})},
    funnels={"s": {"kept": 4, "removed": {"two": {"late": 1}}}, "t": {"kept": 1}},
)
NEW = RunSummary(
    "20250102T000000-abce",
    settings={"a": {"b": 3}, "c": 2},
    versions={"numpy": "2", "python": "3"},
    seconds=4.0,
    stages={"two": StageSummary(2, 0, 5, 2.0, {"kept/": 5})},
    funnels={"s": {"kept": 5, "removed": {}}},
)


def test_all_that_differs_is_listed() -> None:
    found = compare_runs(OLD, NEW)
    assert found.settings == ["a.b: 1 -> 3"] and found.versions == ["numpy: '1' -> '2'"]
    assert found.funnels == [CountChange("s", "kept", 4, 5), CountChange("s", "removed/two/late", 1, 0)]
    assert found.stages == [CountChange("two", "failed/late", 1, 0), CountChange("two", "kept/", 4, 5)]
    assert found.tables == {"one": (2, 0)} and found.seconds == {"": (9.0, 4.0), "two": (1.0, 2.0)}
    same = compare_runs(OLD, OLD)
    assert not (same.settings or same.versions or same.funnels or same.stages or same.tables)


def test_a_run_is_found_by_a_part_of_its_id() -> None:
    runs = [OLD, NEW]
    assert find_run(runs, "abce") is NEW and find_run(runs, OLD.name) is OLD
    for name, message in {"abc": "2 runs are named so", "x": "the newest is 20250102", "": "no run"}.items():
        with pytest.raises(SettingsError, match=message):
            find_run(runs, name)
