"""The metrics of a run are those of its outcomes, of its tasks and of what it published."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.observers.run_metrics import ENDED, METRICS, RUN, STARTED, RunMetrics
from tests.helpers.observing import EXPECTED, end_planted_run, observe_planted_run


def test_all_of_a_run_is_counted() -> None:
    metrics = RunMetrics()
    assert all(metrics.values(metric) == {} for metric in METRICS)
    observe_planted_run(metrics)
    found = {metric.name: metrics.values(metric) for metric in METRICS}
    expected = EXPECTED | {"funnel_rows": {}, "run_failures": {}}
    assert {name: found[name] for name in expected} == expected
    assert metrics.values(ENDED) == {}
    end_planted_run(metrics)
    found = {metric.name: metrics.values(metric) for metric in METRICS}
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert metrics.values(ENDED)[()] >= metrics.values(STARTED)[()] > 1.7e9
    [(run_id, version)] = metrics.values(RUN)
    assert run_id == "planted" and version[0].isdigit()


def test_labels_are_those_that_are_declared_and_names_come_once() -> None:
    metrics = RunMetrics()
    observe_planted_run(metrics)
    end_planted_run(metrics)
    for metric in METRICS:
        assert metrics.values(metric), f"the planted run has none of {metric.name}"
        assert {len(labels) for labels in metrics.values(metric)} == {len(metric.labels)}
        assert metric.description.endswith(".")
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_documentation_has_all_of_them() -> None:
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`rzen_corpus_.*?) \| ?(.*?) ?\|", page, re.MULTILINE)
    found = {name: labels for names, labels in rows for name in re.findall(r"`rzen_corpus_(\w+)`", names)}
    assert found == {metric.name: ", ".join(metric.labels) for metric in METRICS}
