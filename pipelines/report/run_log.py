"""Logs a run in the workspace, as JSON lines: what ran, how long, what went wrong; at its end, with a summary."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from corpus.execution import Outcome
from corpus.storage import StorageError, Store
from corpus.strict_parse import parse_json
from corpus.urls import without_credentials
from pipelines.report.run_summary import RunSummary, summary_path

_WRITE_EVERY_S = 15.0
_WRITE_SHARE = 1 / 20  # of the time at most: the log of a long run is large


class RunLog:
    """The log of a run, `runs/<run id>.jsonl`. Rewritten every few seconds, because object stores cannot append.
    At the run's end, whatever ended it, its summary is written beside it.

    A run goes on if its log cannot be written; `fault` then has the error.
    """

    def __init__(self, store: Store, run_id: str, summary: RunSummary | None = None) -> None:
        self._store = store
        self._summary = summary
        self.path = f"runs/{run_id}.jsonl"
        self._lines: list[str] = []
        self._written = time.monotonic()
        self._pause_s = _WRITE_EVERY_S
        self.fault = ""  # the error of the last attempt to write it
        self._lock = threading.Lock()  # engines add events from threads of their own

    def __enter__(self) -> RunLog:
        self.event("started")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        why = "" if error is None else f"{type(error).__name__}: {error}"
        self.event("ended", error=why)
        with self._lock:
            self._write()
            if self._summary is not None:
                self._summary.complete(why)
                self._write_summary(self._summary)

    def add(self, outcome: Outcome) -> None:
        """Adds the outcome of one shard of one stage, with the time at which it was known."""
        self._append(json.dumps({**vars(outcome), "at": _now("milliseconds")}, sort_keys=True))
        if self._summary is not None:
            with self._lock:
                self._summary.add(outcome)

    def event(self, name: str, **fields: Any) -> None:
        """Adds another event, with its fields."""
        self._append(json.dumps({"event": name, "at": _now("seconds"), **fields}))

    def write_beside(self, ending: str, text: str) -> str:
        """Writes a text beside the log, under the run's name with an ending; returns its path in the workspace."""
        path = f"{self.path.removesuffix('.jsonl')}{ending}"
        try:
            self._store.publish(path, without_credentials(text).encode())
        except StorageError as error:
            self.fault = f"{path}: {error}"
        return path

    def _append(self, line: str) -> None:
        with self._lock:
            self._lines.append(without_credentials(line))
            if time.monotonic() - self._written > self._pause_s:
                self._write()

    def _write(self) -> None:
        start = time.monotonic()
        try:
            self._store.publish(self.path, "".join(f"{line}\n" for line in self._lines).encode())
            self.fault = ""
        except StorageError as error:  # the run goes on, and its results are shown all the same
            self.fault = f"the log of the run: {error}"
        self._written = time.monotonic()
        self._pause_s = max(_WRITE_EVERY_S, (self._written - start) / _WRITE_SHARE)

    def _write_summary(self, summary: RunSummary) -> None:
        try:
            self._store.publish(summary_path(summary.name), summary.to_json().encode())
        except StorageError as error:
            self.fault = self.fault or f"the summary of the run: {error}"


def _now(precision: str) -> str:
    return datetime.now(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def last_failures(store: Store) -> dict[tuple[str, str, str], str]:
    """Returns (stage, owner, shard) -> error of the shards that failed in the last logged run."""
    names = [name for name in store.names("runs") if name.endswith(".jsonl")]
    if not names:
        return {}
    failed = {}
    path = f"runs/{names[-1]}"
    for number, line in enumerate(store.read(path).splitlines(), 1):
        try:
            found = parse_json(line)
            if found.get("error") and "shard" in found:
                stage, owner, shard, why = (str(found[name]) for name in ("stage", "owner", "shard", "error"))
                failed[stage, owner, shard] = why
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise RuntimeError(f"{store.full(path)}, line {number}: not of a run's log: {error}") from error
    return failed
