"""Exports the metrics of a run for Prometheus by its own library: at a port, to a file, to a Pushgateway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from corpus.settings import SettingsError
from pipelines.observers.base import EndedRun, RunObserver
from pipelines.observers.run_metrics import METRICS, Metric, RunMetrics
from pipelines.observers.settings import MetricsSettings, PrometheusSettings

_PREFIX = "rzen_corpus_"


class PrometheusExporter(RunObserver):
    """The export of a run's metrics to where the settings say.

    Raises SettingsError where the port is taken or the file cannot be written. A gateway that is away is printed once.
    """

    def __init__(
        self, settings: PrometheusSettings, shared: MetricsSettings, metrics: RunMetrics, notify: Callable[[str], None]
    ) -> None:
        from prometheus_client import CollectorRegistry

        self._settings = settings
        self._shared = shared
        self._notify = notify
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(metrics))  # type: ignore[arg-type]  # all that it needs is `collect`
        self._is_ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._faults: set[str] = set()  # exports that have failed, and were printed
        self.server: Any = None
        if settings.textfile is not None:
            self._write(settings.textfile)
        if settings.port is not None:
            self._serve(settings.port)
        if settings.textfile is not None or settings.pushgateway is not None:
            self._thread = threading.Thread(target=self._export_often, name="prometheus", daemon=True)
            self._thread.start()

    def ended(self, run: EndedRun) -> None:
        self._stop()
        self._export()

    def close(self) -> None:
        self._stop()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    def _serve(self, port: int) -> None:
        from prometheus_client import start_http_server

        address = self._settings.address
        try:
            self.server, _ = start_http_server(port, address, self._registry)
        except OSError as error:
            raise SettingsError(
                f"metrics.prometheus.port: nothing can be served at {address}:{port}: {error.strerror or error}: "
                "choose another port, or 0 for any free one"
            ) from error
        host = f"[{address}]" if ":" in address else address
        self._notify(f"metrics: http://{host}:{self.server.server_port}/metrics")

    def _write(self, path: str) -> None:
        from prometheus_client import write_to_textfile

        try:
            write_to_textfile(str(Path(path)), self._registry)
        except OSError as error:
            raise SettingsError(
                f"metrics.prometheus.textfile: {path}: cannot be written: {error.strerror or error}: its folder must "
                "exist, and files of this user go into it"
            ) from error

    def _export_often(self) -> None:
        while not self._is_ended.wait(self._shared.interval_s):
            self._export()

    def _export(self) -> None:
        from prometheus_client import push_to_gateway

        settings = self._settings
        if settings.textfile is not None:
            try:
                self._write(settings.textfile)
            except SettingsError as error:
                self._fault(str(error))
        if settings.pushgateway is not None:
            try:
                push_to_gateway(settings.pushgateway, settings.job, self._registry, timeout=self._shared.timeout_s)
            except (OSError, ValueError) as error:  # ValueError: a URL that is none
                self._fault(f"metrics.prometheus.pushgateway: {settings.pushgateway}: {error}")

    def _fault(self, line: str) -> None:
        if line not in self._faults:
            self._faults.add(line)
            self._notify(f"{line}; the run goes on")

    def _stop(self) -> None:
        self._is_ended.set()
        if self._thread is not None:
            self._thread.join(2 * self._shared.timeout_s)


class _Collector:
    """The metrics of a run, as Prometheus' library collects them."""

    def __init__(self, metrics: RunMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        yield from map(self._family, METRICS)

    def _family(self, metric: Metric) -> Any:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(_PREFIX + metric.name, metric.description, labels=metric.labels)
        for labels, value in sorted(self._metrics.values(metric).items()):
            family.add_metric(labels, value)
        return family
