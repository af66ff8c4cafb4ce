"""Counts what metrics systems show of a run: rows, tasks, seconds, bytes, retries, published samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import rzen_corpus
from corpus.execution import Outcome
from corpus.schema import Status
from pipelines.observers.base import EndedRun, RunObserver, StartedRun, TaskCounts


@dataclass(frozen=True)
class Metric:
    """A metric, without its values."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    description: str
    unit: str = ""  # by UCUM, as OpenTelemetry has it


_PER_TABLE = ("stage", "source", "dataset")  # `dataset` is "" for stages over the rows of sources

ROWS_METRIC = Metric("rows", "counter", (*_PER_TABLE, "status"), "Rows of the tables that the run wrote.", "{row}")
TASKS = Metric("tasks", "gauge", ("stage", "state"), "Tasks (a stage over a shard each) by state.", "{task}")
SECONDS = Metric("stage_seconds", "counter", _PER_TABLE, "Seconds of work, summed over the workers.", "s")
WRITTEN = Metric("written_bytes", "counter", _PER_TABLE, "Bytes of tables and media that the run wrote.", "By")
RETRIES = Metric("storage_retries", "counter", _PER_TABLE, "Reads and writes that were tried again.", "{retry}")
SAMPLES = Metric("published_samples", "gauge", ("mixture", "dataset"), "Samples of published corpora.", "{sample}")
FUNNEL_ROWS = Metric(
    "funnel_rows", "gauge", ("source", "status"), "Rows by status over all tables, known when the run ends.", "{row}"
)
FAILURES = Metric("run_failures", "gauge", (), "What the run failed at, known when it ends.", "{failure}")
STARTED = Metric("run_started_timestamp_seconds", "gauge", (), "When the run began, as Unix time.", "s")
ENDED = Metric("run_ended_timestamp_seconds", "gauge", (), "When the run ended, as Unix time.", "s")
RUN = Metric("run_info", "gauge", ("run_id", "version"), "The run, always 1.")
METRICS = (ROWS_METRIC, TASKS, SECONDS, WRITTEN, RETRIES, SAMPLES, FUNNEL_ROWS, FAILURES, STARTED, ENDED, RUN)

MetricValues = dict[tuple[str, ...], float]  # by the values of the labels


class RunMetrics(RunObserver):
    """The metrics of a run. Exporters read them from threads of their own."""

    def __init__(self) -> None:
        self._values: dict[Metric, MetricValues] = {metric: {} for metric in METRICS}
        self._lock = threading.Lock()

    def values(self, metric: Metric) -> MetricValues:
        """Returns the values of a metric as they are now."""
        with self._lock:
            return dict(self._values[metric])

    def started(self, run: StartedRun) -> None:
        with self._lock:
            self._values[RUN] = {(run.run_id, rzen_corpus.__version__): 1}
            self._values[STARTED] = {(): time.time()}

    def outcome(self, outcome: Outcome) -> None:
        dataset, _, source = outcome.owner.rpartition("/")
        labels = (outcome.stage, source, dataset)
        with self._lock:
            self._add(SECONDS, labels, outcome.seconds)
            self._add(RETRIES, labels, int(outcome.metrics.get("storage_retries", 0)))
            if outcome.error:
                return
            self._add(WRITTEN, labels, outcome.written_bytes)
            for key, rows in outcome.counts.items():
                self._add(ROWS_METRIC, (*labels, key.partition("/")[0]), rows)

    def progress(self, tasks: Mapping[str, TaskCounts]) -> None:
        values = {(stage, state): n for stage, counts in tasks.items() for state, n in asdict(counts).items()}
        with self._lock:
            self._values[TASKS] = {labels: float(n) for labels, n in values.items()}

    def published(self, mixture: str, samples: Mapping[str, int]) -> None:
        with self._lock:
            self._values[SAMPLES].update({(mixture, dataset): float(n) for dataset, n in samples.items()})

    def ended(self, run: EndedRun) -> None:
        with self._lock:
            self._values[ENDED] = {(): time.time()}
            self._values[FAILURES] = {(): len(run.failed) + bool(run.error)}
            for source, funnel in run.funnels.items():
                counts = {str(Status.KEPT): funnel["kept"], "pending": funnel.get("pending", 0)}
                counts |= {status: sum(reasons.values()) for status, reasons in funnel["removed"].items()}
                self._values[FUNNEL_ROWS].update({(source, status): float(n) for status, n in counts.items()})

    def _add(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        values = self._values[metric]
        values[labels] = values.get(labels, 0) + value
