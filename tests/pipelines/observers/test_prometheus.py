"""The metrics of a run in Prometheus' format: at a port, in a file, at a gateway; each as its library writes them."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from pipelines.observers.prometheus import PrometheusExporter
from pipelines.observers.run_metrics import RunMetrics
from pipelines.observers.settings import MetricsSettings, PrometheusSettings
from tests.helpers import extras
from tests.helpers.observing import EXPECTED, end_planted_run, metric_values, observe_planted_run
from tests.helpers.receivers import receiver

extras.installed_or_skip("prometheus_client")


def exporter(lines: list[str], metrics: RunMetrics, interval_s: float = 3600, **settings: object) -> PrometheusExporter:
    prometheus = PrometheusSettings.model_validate(settings)
    shared = MetricsSettings(prometheus=prometheus, interval_s=interval_s, timeout_s=5)
    return PrometheusExporter(prometheus, shared, metrics, lines.append)


def scrape(url: str) -> dict[str, dict[tuple[str, ...], float]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return metric_values(answer.read().decode())


def test_a_port_shows_the_run_as_it_is_now() -> None:
    lines: list[str] = []
    metrics = RunMetrics()
    served = exporter(lines, metrics, port=0)
    try:
        [line] = lines
        url = line.removeprefix("metrics: ")
        assert url == f"http://127.0.0.1:{served.server.server_port}/metrics"
        assert scrape(url)["rows"] == {}
        observe_planted_run(metrics)
        assert scrape(url)["rows"] == EXPECTED["rows"]
        end_planted_run(metrics, served)
        found = scrape(url)
        assert {name: found[name] for name in EXPECTED} == EXPECTED
    finally:
        served.close()
    with pytest.raises(OSError):
        scrape(url)


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"metrics.prometheus.port: nothing can be served at 127.0.0.1:{port}: Address already in use: choose "
        with pytest.raises(SettingsError, match=message):
            exporter([], RunMetrics(), port=port)


def test_a_file_is_there_from_the_start_and_complete_at_the_end(tmp_path: Path) -> None:
    path, lines = tmp_path / "run.prom", list[str]()
    metrics = RunMetrics()
    written = exporter(lines, metrics, textfile=str(path))
    assert metric_values(path.read_text())["rows"] == {}
    observe_planted_run(metrics, written)
    end_planted_run(metrics, written)
    written.close()
    found = metric_values(path.read_text())
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert lines == [] and [each.name for each in tmp_path.iterdir()] == ["run.prom"]
    absent = tmp_path / "absent" / "run.prom"
    with pytest.raises(SettingsError, match=rf"metrics.prometheus.textfile: {absent}: cannot be written: No such file"):
        exporter([], metrics, textfile=str(absent))


def test_a_gateway_gets_the_last_values_and_one_that_refuses_is_one_line() -> None:
    for status, expected in ((200, 0), (500, 1)):
        lines: list[str] = []
        metrics = RunMetrics()
        with receiver(status) as gateway:
            pushed = exporter(lines, metrics, pushgateway=gateway.url, job="nightly")
            observe_planted_run(metrics, pushed)
            end_planted_run(metrics, pushed)
            end_planted_run(pushed)  # a second failure is not printed again
            pushed.close()
        method, path, body = gateway.requests[-1]
        assert (method, path) == ("PUT", "/metrics/job/nightly")
        found = metric_values(body.decode())
        assert {name: found[name] for name in EXPECTED} == EXPECTED
        assert len(lines) == expected, lines
        assert all(f"metrics.prometheus.pushgateway: {gateway.url}: HTTP Error 500" in line for line in lines)


def test_a_gateway_is_sent_the_metrics_while_the_run_goes_on() -> None:
    metrics = RunMetrics()
    observe_planted_run(metrics)
    with receiver() as gateway:
        pushed = exporter([], metrics, interval_s=0.01, pushgateway=gateway.url)
        try:
            while len(gateway.requests) < 2:
                assert pushed._thread is not None
                pushed._thread.join(0.01)
                assert pushed._thread.is_alive()
        finally:
            pushed.close()


def test_metrics_that_go_nowhere_are_refused() -> None:
    with pytest.raises(ValueError, match="set `port`, `textfile` or `pushgateway`"):
        PrometheusSettings()
