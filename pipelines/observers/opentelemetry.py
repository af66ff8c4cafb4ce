"""Exports the metrics of a run by OTLP over HTTP, through OpenTelemetry's own libraries."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import rzen_corpus
from pipelines.observers.base import EndedRun, RunObserver
from pipelines.observers.run_metrics import METRICS, Metric, RunMetrics
from pipelines.observers.settings import MetricsSettings, OpenTelemetrySettings

_SERVICE = "rzen-corpus"


class OpenTelemetryExporter(RunObserver):
    """The export of a run's metrics to an OTLP endpoint, every few seconds and at the end.

    What OpenTelemetry's libraries log, such as an endpoint that is away, is printed once.
    """

    def __init__(
        self,
        settings: OpenTelemetrySettings,
        shared: MetricsSettings,
        metrics: RunMetrics,
        notify: Callable[[str], None],
    ) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

        self._timeout_ms = 1000 * shared.timeout_s
        self._log_handler = _OnePrinted(notify, settings.endpoint or "the endpoint of the environment")
        logging.getLogger("opentelemetry").addHandler(self._log_handler)
        exporter = OTLPMetricExporter(settings.endpoint, timeout=shared.timeout_s)
        reader = PeriodicExportingMetricReader(exporter, 1000 * shared.interval_s, self._timeout_ms)
        service = {
            SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or _SERVICE,
            SERVICE_VERSION: rzen_corpus.__version__,
        }
        self._provider: MeterProvider | None = MeterProvider([reader], Resource.create(service), shutdown_on_exit=False)
        meter = self._provider.get_meter("rzen_corpus", rzen_corpus.__version__)
        for metric in METRICS:
            create = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
            callback = partial(_observations, metrics, metric)
            create(f"rzen_corpus.{metric.name}", [callback], metric.unit, metric.description)

    def ended(self, run: EndedRun) -> None:
        self.close()

    def close(self) -> None:
        if self._provider is not None:
            provider, self._provider = self._provider, None
            provider.shutdown(self._timeout_ms)  # sends the last values
            logging.getLogger("opentelemetry").removeHandler(self._log_handler)


def _observations(metrics: RunMetrics, metric: Metric, _options: Any) -> Iterable[Any]:
    from opentelemetry.metrics import Observation

    return [
        Observation(value, dict(zip(metric.labels, labels, strict=True)))
        for labels, value in metrics.values(metric).items()
    ]


class _OnePrinted(logging.Handler):
    """Prints the first warning that OpenTelemetry's libraries log."""

    def __init__(self, notify: Callable[[str], None], endpoint: str) -> None:
        super().__init__(logging.WARNING)
        self._notify = notify
        self._endpoint = endpoint
        self._is_printed = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_printed:
            self._is_printed = True
            self._notify(f"metrics.opentelemetry: {self._endpoint}: {record.getMessage()}; the run goes on")
