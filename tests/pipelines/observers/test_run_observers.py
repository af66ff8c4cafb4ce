"""Observers of whole runs on the command line: what they receive is what became of the rows; none fails a run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import sys
import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.command_line import read_settings_file
from pipelines.observers import run_observers
from pipelines.observers.base import RunObserver
from pipelines.observers.run_metrics import SAMPLES, RunMetrics
from pipelines.observers.run_observers import OBSERVERS_GROUP, RunObservers, check_observers, open_observers
from pipelines.observers.settings import MetricsSettings
from pipelines.plan import Selection
from pipelines.runner import run
from tests.helpers import extras
from tests.helpers.observing import end_planted_run, install, metric_values, observe_planted_run
from tests.helpers.terminals import terminal
from tests.helpers.text_runs import OF_TEMPLATE, ROWS, call_in_process, text_config

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
FILTERED = ("--set", "stages.text_filter.datasets.texts.max_rows_per_template=3")

# Scrapes the metrics at the first outcome of each stage, and at the end.
SCRAPING = """
import re, urllib.request
from pipelines.observers.base import RunObserver
scraped, console = {}, None
class Scraping(RunObserver):
    def __init__(self, settings): ...
    def scrape(self, moment):
        [url] = re.findall("^metrics: (http.*)$", console.file.getvalue(), re.MULTILINE)[-1:]
        with urllib.request.urlopen(url, timeout=10) as answer:
            scraped.setdefault(moment, answer.read().decode())
    def outcome(self, outcome):
        self.scrape(outcome.stage)
    def ended(self, run):
        self.scrape("ended")
"""

FAULTY = """
from pipelines.observers.base import RunObserver
class Faulty(RunObserver):
    def __init__(self, settings):
        if settings.get("closed"):
            raise ConnectionError("nobody there")
    def outcome(self, outcome):
        raise ValueError("planted \\x1b[31m")
    def ended(self, run):
        raise KeyError("planted end")
class Other:
    def __init__(self, settings): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a package of one module for the time of the test."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def installed(name: str, code: str, **entry_points: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        install(folder, name, code, **entry_points)
        importlib.invalidate_caches()

    return installed


def test_what_prometheus_reads_is_the_funnel(tmp_path: Path, package: Callable[..., None]) -> None:
    extras.installed_or_skip("prometheus_client")
    package("scraping", SCRAPING, scraping="scraping:Scraping")
    import scraping  # type: ignore[import-not-found]

    config = text_config(tmp_path, metrics={"prometheus": {"port": 0}, "observers": {"scraping": {}}})
    scraping.console = console = terminal()
    settings = read_settings_file(Path(config), list(FILTERED[1::2]))
    result = run(settings, Selection(), console)
    assert result.failed == []
    scraped = {moment: metric_values(text) for moment, text in scraping.scraped.items()}
    during, ended = scraped["pairs"], scraped["ended"]
    assert during["rows"]["pairs", "texts", "texts", "kept"] == ROWS, "while the run goes on"
    assert not any(labels[0] == "text_filter" for labels in during["rows"])
    assert during["funnel_rows"] == during["run_failures"] == {}
    assert during["tasks"]["text_filter", "done"] == 0

    funnel = result.funnels["texts"]
    expected = {"kept": funnel["kept"], "filtered": sum(funnel["removed"]["filtered"].values())}
    assert expected == {"kept": ROWS - OF_TEMPLATE, "filtered": OF_TEMPLATE}
    assert {labels[3]: n for labels, n in ended["rows"].items() if labels[0] == "text_filter"} == expected
    assert {status: n for (_, status), n in ended["funnel_rows"].items() if n} == expected
    assert ended["published_samples"] == {("all", "texts"): ROWS - OF_TEMPLATE}
    assert ended["tasks"]["text_filter", "done"] == 1
    assert {n for (_, state), n in ended["tasks"].items() if state != "done"} == {0}
    assert ended["run_failures"] == {(): 0} and ended["written_bytes"]["pairs", "texts", "texts"] > 0

    scraping.scraped.clear()
    run(settings, Selection(), console)  # nothing is left to do
    again = metric_values(scraping.scraped["ended"])
    assert again["rows"] == {} and again["funnel_rows"] == ended["funnel_rows"]
    assert again["tasks"] == ended["tasks"] and again["published_samples"] == ended["published_samples"]


def test_the_example_of_the_documentation_follows_a_run(
    tmp_path: Path, package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    [project] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    [(group, entries)] = tomllib.loads(project)["project"]["entry-points"].items()
    settings = [yaml.safe_load(block)["metrics"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)][-1]
    assert group == OBSERVERS_GROUP
    mlflow = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    package("corpus_mlflow", code, **entries)
    printed = run_texts(text_config(tmp_path, metrics=settings))
    assert "observer" not in printed
    calls = [name for name, *_ in mlflow.calls]
    assert calls[:3] == ["set_tracking_uri", "set_experiment", "start_run"] and calls[-1] == "end_run"
    assert ("set_experiment", "corpora") in mlflow.calls and ("end_run", "FINISHED") in mlflow.calls
    assert mlflow.metrics["rows/text_filter/filtered"] == OF_TEMPLATE
    assert mlflow.metrics["rows/text_filter/kept"] == mlflow.metrics["kept/texts"] == ROWS - OF_TEMPLATE
    assert mlflow.metrics["done/text_filter"] == 1 and mlflow.metrics["samples/all/texts"] == ROWS - OF_TEMPLATE
    [(_, logged, name)] = [call for call in mlflow.calls if call[0] == "log_dict"]
    assert name == "settings.json" and logged["sources"]["texts"]["kind"] == "jsonl"


def test_what_an_observer_raises_is_printed_once_and_the_run_goes_on(
    tmp_path: Path, package: Callable[..., None]
) -> None:
    package("faulty", FAULTY, faulty="faulty:Faulty")
    config = text_config(tmp_path, metrics={"observers": {"faulty": {}}})
    lines = run_texts(config).splitlines()
    faults = [line for line in lines if line.startswith("observer ")]
    where = "observer of entry point faulty"
    assert faults == [
        f"{where}: outcome: ValueError: planted \\x1b[31m; the run goes on",
        f"{where}: ended: KeyError: 'planted end'; the run goes on",
    ]
    [log] = (tmp_path / "workspace/runs").glob("*.jsonl")
    notices = [each["text"] for each in map(json.loads, log.read_text().splitlines()) if each.get("event") == "notice"]
    assert [text.split(": ")[1] for text in notices] == ["outcome", "ended"]
    assert (tmp_path / "corpus/manifest.json").exists()


def test_what_cannot_be_opened_ends_the_command_before_it_begins(
    tmp_path: Path, package: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    package("faulty", FAULTY, faulty="faulty:Faulty", other="faulty:Other", absent="faulty:Absent")
    cases: list[tuple[dict[str, Any], str, bool]] = [  # settings, the message, whether `plan` finds it
        ({"observers": {"mlflo": {}}}, "metrics.observers.mlflo: no installed package has this entry point", True),
        ({"observers": {"mlflo": {}}}, "there is absent, faulty, other: install the package", True),
        (
            {"observers": {"faulty": {"closed": True}}},
            "metrics.observers.faulty: cannot be opened: ConnectionError: nobody there",
            False,
        ),
        ({"observers": {"absent": {}}}, "metrics.observers.absent: cannot be opened: AttributeError: ", False),
        (
            {"observers": {"other": {}}},
            "metrics.observers.other: its entry point gives a Other, which is no Run",
            False,
        ),
        ({"prometheus": {}}, "metrics.prometheus: set `port`, `textfile` or `pushgateway`", True),
        ({"prometheus": {"prot": 1}}, "metrics.prometheus.prot: unknown key; did you mean 'port'?", True),
    ]
    for metrics, message, is_planned in cases:
        config = text_config(tmp_path, metrics=metrics)
        for name in ("run", "plan") if is_planned else ("run",):
            code, printed = call_in_process(name, config)
            assert (code, message in printed, "Traceback" in printed) == (2, True, False), printed
    assert not (tmp_path / "workspace/runs").exists()
    monkeypatch.setattr(run_observers, "_MODULES", dict.fromkeys(run_observers._MODULES, ("absent_module.inner",)))
    for metrics in ({"prometheus": {"port": 0}}, {"opentelemetry": {}}):
        config = text_config(tmp_path, metrics=metrics)
        for name in ("run", "plan"):
            code, printed = call_in_process(name, config)
            [key] = metrics
            assert code == 2
            assert printed == f"metrics.{key} needs packages of an extra: pip install 'rzen-corpus[metrics]'\n"


def test_the_modules_of_the_extra_are_those_that_are_looked_for() -> None:
    extras.installed_or_skip("prometheus_client", "opentelemetry.exporter.otlp.proto.http")
    check_observers(MetricsSettings.model_validate({"prometheus": {"port": 0}, "opentelemetry": {}}))
    assert set(run_observers._MODULES) == {"prometheus", "opentelemetry"}
    modules = [module for modules in run_observers._MODULES.values() for module in modules]
    assert modules and all(importlib.util.find_spec(module) for module in modules)


def test_observers_that_raise_in_every_method_hold_nobody_up() -> None:
    class Faulty(RunObserver):
        def __getattribute__(self, name: str) -> Any:
            raise OSError(f"planted {name}")

    counted, lines = RunMetrics(), list[str]()
    both = RunObservers({"faulty": Faulty(), "counted": counted}, lines.append)
    observe_planted_run(both)
    end_planted_run(both)
    both.close()
    assert counted.values(SAMPLES) == {("one", "all"): 4}
    methods = ["started", "outcome", "progress", "published", "ended", "close"]
    assert lines == [f"observer faulty: {name}: OSError: planted {name}; the run goes on" for name in methods]


def test_without_settings_nothing_is_opened() -> None:
    with open_observers(MetricsSettings(), print) as observers:
        assert observers._observers == {}


def run_texts(config: str) -> str:
    code, printed = call_in_process("run", config, *FILTERED)
    assert code == 0, printed
    return printed


class FakeMlflow(types.ModuleType):
    """What the example calls of MLflow: all calls, and the last value of each metric."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[Any, ...]] = []
        self.metrics: dict[str, float] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert all(isinstance(value, (int, float)) for value in metrics.values())
        self.calls.append(("log_metrics", dict(metrics), step))
        self.metrics.update(metrics)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: self.calls.append((name, *arguments, *named.values()))
