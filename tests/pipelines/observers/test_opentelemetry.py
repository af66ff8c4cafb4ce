"""The metrics of a run by OTLP: a receiver decodes what was sent and holds it against the planted run."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import rzen_corpus
from pipelines.observers.opentelemetry import OpenTelemetryExporter
from pipelines.observers.run_metrics import METRICS, RunMetrics
from pipelines.observers.settings import MetricsSettings, OpenTelemetrySettings
from tests.helpers import extras
from tests.helpers.observing import EXPECTED, end_planted_run, observe_planted_run
from tests.helpers.receivers import receiver

extras.installed_or_skip("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def exporter(lines: list[str], metrics: RunMetrics, endpoint: str | None, **shared: float) -> OpenTelemetryExporter:
    settings = OpenTelemetrySettings(endpoint=endpoint)
    return OpenTelemetryExporter(settings, MetricsSettings(**{"interval_s": 3600, **shared}), metrics, lines.append)


def decoded(body: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns the attributes of the resource, and the metrics by name."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    [scope] = resource.scope_metrics
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    return attributes, {metric.name.removeprefix("rzen_corpus."): metric for metric in scope.metrics}


def values(metric: Any, labels: tuple[str, ...]) -> dict[tuple[str, ...], float]:
    points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
    found = {}
    for point in points:
        named = {each.key: each.value.string_value for each in point.attributes}
        found[tuple(named[label] for label in labels)] = point.as_double or float(point.as_int)
    return found


def test_an_endpoint_receives_what_the_run_has() -> None:
    lines: list[str] = []
    metrics = RunMetrics()
    with receiver() as collector:
        sent = exporter(lines, metrics, f"{collector.url}/v1/metrics")
        observe_planted_run(metrics, sent)
        end_planted_run(metrics, sent)
        sent.close()
    assert lines == []
    method, path, body = collector.requests[-1]
    assert (method, path) == ("POST", "/v1/metrics")
    attributes, found = decoded(body)
    assert attributes["service.name"] == "rzen-corpus"
    assert attributes["service.version"] == rzen_corpus.__version__
    labels = {metric.name: metric.labels for metric in METRICS}
    assert {name: values(found[name], labels[name]) for name in EXPECTED} == EXPECTED
    assert found["rows"].sum.is_monotonic and found["rows"].sum.aggregation_temporality == 2, "cumulative"
    assert found["stage_seconds"].unit == "s" and found["tasks"].HasField("gauge")


def test_the_environment_names_the_endpoint_and_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = RunMetrics()
    observe_planted_run(metrics)
    with receiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
        exporter([], metrics, None).close()
    _, path, body = collector.requests[-1]
    assert path == "/v1/metrics" and decoded(body)[0]["service.name"] == "nightly"


def test_an_endpoint_that_refuses_is_one_line() -> None:
    lines: list[str] = []
    metrics = RunMetrics()
    observe_planted_run(metrics)
    with receiver(400) as collector:
        refused = exporter(lines, metrics, f"{collector.url}/v1/metrics", timeout_s=1)
        refused.close()
    [line] = lines
    assert (
        line.startswith(f"metrics.opentelemetry: {collector.url}/v1/metrics: ")
        and "400" in line
        and line.endswith("; the run goes on")
    )
    assert logging.getLogger("opentelemetry").handlers == []
