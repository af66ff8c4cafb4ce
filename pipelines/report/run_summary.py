"""Summarises a run in `runs/<run id>.summary.json`: settings, versions, times, counts, memory, retries."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from corpus.execution import WORKER_LOST, Outcome
from corpus.read_ahead import read_ahead
from corpus.settings import Settings
from corpus.storage import MissingError, Store
from corpus.strict_parse import parse_json
from corpus.urls import published_url, without_credentials

SUMMARY_ENDING = ".summary.json"


@dataclass
class StageSummary:
    """The tables of one stage that a run wrote or failed at, and their rows."""

    tables: int = 0  # written
    failed: int = 0
    rows: int = 0
    seconds: float = 0.0  # of work, summed over the workers
    counts: dict[str, int] = field(default_factory=dict)  # "status/reason" -> rows

    def add(self, outcome: Outcome) -> None:
        """Adds the outcome of one table."""
        self.seconds += outcome.seconds
        if outcome.error:
            self.failed += 1
            return
        self.tables += 1
        self.rows += outcome.rows
        for key, rows in outcome.counts.items():
            self.counts[key] = self.counts.get(key, 0) + rows


@dataclass
class RunSummary:
    """One run. Its counts are those of the tables that it wrote; its funnels those of all tables that were there."""

    name: str  # the run's id
    settings: dict[str, Any] = field(default_factory=dict)  # with defaults, without credentials
    selection: dict[str, Any] = field(default_factory=dict)  # what the command's options selected
    versions: dict[str, str] = field(default_factory=dict)
    started: str = ""  # UTC
    ended: str = ""
    seconds: float = 0.0
    error: str = ""  # what ended it early
    stages: dict[str, StageSummary] = field(default_factory=dict)
    funnels: dict[str, Any] = field(default_factory=dict)  # by source; empty where the run ended early
    peak_memory_bytes: int = 0  # of the driver
    storage_retries: int = 0
    crashed_workers: int = 0  # tables that failed because they killed their workers

    def __post_init__(self) -> None:
        self._clock = time.monotonic()

    @staticmethod
    def start(name: str, settings: Settings, selection: Mapping[str, Any], versions: Mapping[str, str]) -> RunSummary:
        """Returns the summary of a run that begins now."""
        data = _without_secrets(settings.model_dump(mode="json", serialize_as_any=True))
        return RunSummary(name, data, dict(selection), dict(versions), started=_now())

    @property
    def rows(self) -> int:
        """The rows of all tables that were written."""
        return sum(stage.rows for stage in self.stages.values())

    @property
    def failed(self) -> int:
        """How many tables the run failed at."""
        return sum(stage.failed for stage in self.stages.values())

    def add(self, outcome: Outcome) -> None:
        """Adds the outcome of one table."""
        self.stages.setdefault(outcome.stage, StageSummary()).add(outcome)
        self.storage_retries += int(outcome.metrics.get("storage_retries", 0))
        self.crashed_workers += bool(outcome.metrics.get(WORKER_LOST))

    def complete(self, error: str) -> None:
        """Notes the end of the run, and what it took."""
        self.ended, self.error = _now(), error
        self.seconds = round(time.monotonic() - self._clock, 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.peak_memory_bytes = peak if sys.platform == "darwin" else peak << 10

    def to_json(self) -> str:
        """Returns the file's text: sorted keys, no credentials of URLs."""
        return without_credentials(json.dumps(asdict(self), sort_keys=True, indent=1)) + "\n"

    @staticmethod
    def from_json(text: bytes) -> RunSummary:
        """Reads what `to_json` returns. Raises ValueError for anything else."""
        try:
            data = parse_json(text)
            stages = {str(name): StageSummary(**stage) for name, stage in data.pop("stages").items()}
            return RunSummary(**data, stages=stages)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no summary of a run: {error}") from error


def summary_path(name: str) -> str:
    """Returns where the summary of a run lies."""
    return f"runs/{name}{SUMMARY_ENDING}"


def read_summaries(store: Store) -> list[RunSummary]:
    """Reads the summaries of all runs, the newest last; what is no summary is left out."""
    names = [name for name in store.names("runs") if name.endswith(SUMMARY_ENDING)]
    found = read_ahead(lambda name: _read(store, name), names)
    return sorted((each for each in found if each is not None), key=lambda each: (each.started, each.name))


def _read(store: Store, name: str) -> RunSummary | None:
    try:
        return RunSummary.from_json(store.read(f"runs/{name}"))
    except (MissingError, ValueError):
        return None


def _without_secrets(value: Any) -> Any:
    """Returns settings without the credentials and signatures of the URLs in them."""
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return published_url(value) if isinstance(value, str) and "://" in value else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
