"""A run that was planted, as observers see it, and packages with entry points that are not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpus.execution import Outcome
from pipelines.observers.base import EndedRun, RunObserver, StartedRun, TaskCounts

FUNNEL = {"rows_in": 12, "kept": 7, "removed": {"filtered": {"short": 3, "long": 1}, "failed": {"http_404": 1}}}


def observe_planted_run(*observers: RunObserver) -> None:
    """Calls the observers as a run of two stages over two shards does, but for its end."""
    counts = {"kept/": 4, "filtered/short": 2, "filtered/long": 1}
    for each in observers:
        each.started(StartedRun("planted", {"workspace": "w"}, {"python": "3"}))
        each.outcome(Outcome("web", "quality", "000000", 7, counts, seconds=1.5, written_bytes=100))
        each.outcome(Outcome("web", "quality", "000001", 5, {"kept/": 5}, 0.5, 50, metrics={"storage_retries": 3}))
        each.outcome(Outcome("all/web", "pairs", "000000", 4, {"kept/": 4}, seconds=0.25, written_bytes=10))
        each.outcome(Outcome("all/web", "pairs", "000001", seconds=0.25, error="planted"))
        each.progress({"quality": TaskCounts(done=2), "pairs": TaskCounts(waiting=1, done=1, failed=1)})
        each.published("one", {"all": 4})


def end_planted_run(*observers: RunObserver) -> None:
    """Calls the observers as a run does that ends with one failure."""
    for each in observers:
        each.ended(EndedRun("", ("pairs all/web/000001: planted",), {"web": FUNNEL}))


# The metrics of the planted run, by name and the values of their labels, without those of times.
EXPECTED = {
    "rows": {
        ("quality", "web", "", "kept"): 9,
        ("quality", "web", "", "filtered"): 3,
        ("pairs", "web", "all", "kept"): 4,
    },
    "tasks": {
        **{("quality", state): 0 for state in ("waiting", "ready", "running", "failed", "blocked")},
        **{("pairs", state): 0 for state in ("ready", "running", "blocked")},
        ("quality", "done"): 2,
        **{("pairs", state): 1 for state in ("waiting", "done", "failed")},
    },
    "stage_seconds": {("quality", "web", ""): 2.0, ("pairs", "web", "all"): 0.5},
    "written_bytes": {("quality", "web", ""): 150, ("pairs", "web", "all"): 10},
    "storage_retries": {("quality", "web", ""): 3, ("pairs", "web", "all"): 0},
    "published_samples": {("one", "all"): 4},
    "funnel_rows": {
        ("web", "kept"): 7,
        ("web", "pending"): 0,
        ("web", "filtered"): 4,
        ("web", "failed"): 1,
    },
    "run_failures": {(): 1},
}


def install(folder: Path, name: str, code: str, **entry_points: str) -> None:
    """Lays a package with one module and entry points for observers into a folder of the path."""
    (folder / f"{name}.py").write_text(code)
    described = folder / f"{name}-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{entry} = {value}\n" for entry, value in entry_points.items()]
    (described / "entry_points.txt").write_text(f"[rzen_corpus.run_observers]\n{''.join(lines)}")


def metric_values(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Returns the metrics in a text of Prometheus' format by name, without the package's prefix and the ending of
    counters, and by the values of their labels in order."""
    from prometheus_client.parser import text_string_to_metric_families

    from pipelines.observers.run_metrics import METRICS

    labels = {f"rzen_corpus_{metric.name}": metric.labels for metric in METRICS}
    found: dict[str, Any] = {}
    for family in text_string_to_metric_families(text):
        values = {tuple(each.labels[label] for label in labels[family.name]): each.value for each in family.samples}
        found[family.name.removeprefix("rzen_corpus_")] = values
    return found
