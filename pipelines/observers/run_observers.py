"""Opens the observers that the settings name, and has a run call all of them: none of them can fail it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points

from corpus.execution import Outcome
from corpus.settings import SettingsError
from pipelines.observers.base import EndedRun, RunObserver, StartedRun, TaskCounts
from pipelines.observers.opentelemetry import OpenTelemetryExporter
from pipelines.observers.prometheus import PrometheusExporter
from pipelines.observers.run_metrics import RunMetrics
from pipelines.observers.settings import MetricsSettings

OBSERVERS_GROUP = "rzen_corpus.run_observers"  # of entry points
_MODULES = {
    "prometheus": ("prometheus_client",),
    "opentelemetry": ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
}


class RunObservers(RunObserver):
    """All observers of a run. What one of them raises is printed once for each of its methods, and the run goes on."""

    def __init__(self, observers: Mapping[str, RunObserver], notify: Callable[[str], None]) -> None:
        self._observers = dict(observers)
        self._notify = notify
        self._faults: set[tuple[str, str]] = set()

    def started(self, run: StartedRun) -> None:
        self._call("started", lambda each: each.started(run))

    def outcome(self, outcome: Outcome) -> None:
        self._call("outcome", lambda each: each.outcome(outcome))

    def progress(self, tasks: Mapping[str, TaskCounts]) -> None:
        self._call("progress", lambda each: each.progress(tasks))

    def published(self, mixture: str, samples: Mapping[str, int]) -> None:
        self._call("published", lambda each: each.published(mixture, samples))

    def ended(self, run: EndedRun) -> None:
        self._call("ended", lambda each: each.ended(run))

    def close(self) -> None:
        self._call("close", lambda each: each.close())

    def _call(self, method: str, call: Callable[[RunObserver], None]) -> None:
        for name, observer in self._observers.items():
            try:
                call(observer)
            except Exception as error:  # noqa: BLE001 - code of other packages, which no run depends on
                if (name, method) not in self._faults:
                    self._faults.add((name, method))
                    self._notify(f"observer {name}: {method}: {type(error).__name__}: {error}; the run goes on")


@contextmanager
def open_observers(settings: MetricsSettings, notify: Callable[[str], None]) -> Iterator[RunObserver]:
    """Opens the observers that the settings name, and closes them after the block.

    Raises SettingsError for an extra, an entry point or a port that cannot be had.
    """
    check_observers(settings)
    metrics = RunMetrics()
    found: dict[str, RunObserver] = {}
    try:
        if settings.prometheus or settings.opentelemetry:
            found["metrics"] = metrics  # first: the others read it
        if settings.prometheus:
            found["prometheus"] = PrometheusExporter(settings.prometheus, settings, metrics, notify)
        if settings.opentelemetry:
            found["opentelemetry"] = OpenTelemetryExporter(settings.opentelemetry, settings, metrics, notify)
        for name in settings.observers:
            found[f"of entry point {name}"] = _of_entry_point(settings, name)
        yield RunObservers(found, notify)
    finally:
        RunObservers(found, notify).close()


def check_observers(settings: MetricsSettings) -> None:
    """Raises SettingsError for an extra that is missing, and for an observer of no installed package."""
    for name, modules in _MODULES.items():
        if getattr(settings, name) is not None and not all(map(_is_installed, modules)):
            raise SettingsError(f"metrics.{name} needs packages of an extra: pip install 'rzen-corpus[metrics]'")
    for name in settings.observers:
        _entry_point(name)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False


def _entry_point(name: str) -> EntryPoint:
    known = entry_points(group=OBSERVERS_GROUP)
    if name not in known.names:
        there = ", ".join(sorted(known.names)) or "none"
        raise SettingsError(
            f"metrics.observers.{name}: no installed package has this entry point in the group {OBSERVERS_GROUP}; "
            f"there is {there}: install the package that has it, beside this one"
        )
    return known[name]


def _of_entry_point(settings: MetricsSettings, name: str) -> RunObserver:
    try:
        observer = _entry_point(name).load()(settings.observers[name])
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"metrics.observers.{name}: cannot be opened: {type(error).__name__}: {error}") from error
    if not isinstance(observer, RunObserver):
        raise SettingsError(
            f"metrics.observers.{name}: its entry point gives a {type(observer).__name__}, which is no RunObserver of "
            "pipelines.observers.base"
        )
    return observer
