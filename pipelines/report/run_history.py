"""Reads the logs of the runs on a workspace: what ran, how long it took, and what failed and was not done since."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from corpus.storage import MissingError, Store

_ENDING = ".jsonl"
_MAX_BYTES = 64 << 20  # of logs that are read, the newest first

LoggedName = tuple[str, str, str]  # stage, owner, shard


@dataclass(frozen=True, slots=True)
class LoggedTable:
    """The line of a run's log about one table."""

    stage: str
    owner: str
    shard: str
    rows: int
    seconds: float
    written_bytes: int
    error: str


@dataclass
class StagePeriod:
    """The time of a stage in a run, from the start of its first shard to the end of its last, and what it wrote."""

    start: datetime
    end: datetime
    tables: int = 0
    rows: int = 0

    @property
    def seconds(self) -> float:
        """The seconds from its start to its end."""
        return (self.end - self.start).total_seconds()

    def add(self, start: datetime, end: datetime, table: LoggedTable) -> None:
        """Adds a table."""
        self.start, self.end = min(self.start, start), max(self.end, end)
        self.tables += 1
        self.rows += table.rows


@dataclass
class LoggedRun:
    """One run: when it began and ended (UTC, as text; "": not logged), and how many tables it wrote or failed at."""

    name: str
    started: str = ""
    ended: str = ""
    error: str = ""
    written: int = 0
    failed: int = 0
    periods: dict[str, StagePeriod] = field(
        default_factory=dict
    )  # of the stages that wrote tables; older logs have none


@dataclass
class RunHistory:
    """The runs on a workspace, the newest first, and of each table what the newest run that tried to write it says."""

    runs: list[LoggedRun] = field(default_factory=list)
    tables: dict[LoggedName, LoggedTable] = field(default_factory=dict)
    omitted: int = 0  # runs whose logs were not read
    malformed: int = 0  # lines that are none of a log

    @property
    def failures(self) -> list[LoggedTable]:
        """The tables at which a run failed, and that none has written since."""
        return sorted(
            (each for each in self.tables.values() if each.error), key=lambda each: (each.stage, each.owner, each.shard)
        )

    @property
    def written(self) -> list[LoggedTable]:
        """The tables that a run has written."""
        return [each for each in self.tables.values() if not each.error]


def read_history(store: Store, max_bytes: int = _MAX_BYTES) -> RunHistory:
    """Reads the logs of runs, the newest first, at least one, as far as they have together no more than `max_bytes`."""
    found = RunHistory()
    room = max_bytes
    for name in sorted((name for name in store.names("runs") if name.endswith(_ENDING)), reverse=True):
        path = f"runs/{name}"
        try:
            size = store.size(path)
            if found.runs and size > room:
                found.omitted += 1
                continue
            data = store.read(path)
        except MissingError:  # removed since it was listed
            continue
        room -= len(data)
        found.runs.append(_add_run(found, name.removesuffix(_ENDING), data))
    return found


def unsummarised_runs(store: Store, summarised: Collection[str]) -> list[LoggedRun]:
    """Returns the runs without a summary, the newest last: they still run, or were killed, or are of an older version.

    Of the logs as many are read as `read_history` does.
    """
    logged = [name.removesuffix(_ENDING) for name in store.names("runs") if name.endswith(_ENDING)]
    if all(name in summarised for name in logged):
        return []
    return [run for run in reversed(read_history(store).runs) if run.name not in summarised]


def _add_run(history: RunHistory, name: str, data: bytes) -> LoggedRun:
    run = LoggedRun(name)
    newest: dict[LoggedName, LoggedTable] = {}
    for line in _lines(history, data):
        if line.get("event") == "started":
            run.started = str(line.get("at", ""))
        elif line.get("event") == "ended":
            run.ended, run.error = str(line.get("at", "")), str(line.get("error", ""))
        elif "shard" in line and "owner" in line:
            table = _table(history, line)
            if table is not None:
                newest[table.stage, table.owner, table.shard] = table  # within a run the last line counts
                run.failed += bool(table.error)
                run.written += not table.error
                _add_to_period(run, table, parse_time(line.get("at")))
    history.tables = {**newest, **history.tables}
    return run


def _add_to_period(run: LoggedRun, table: LoggedTable, end: datetime | None) -> None:
    if end is not None and not table.error:
        start = end - timedelta(seconds=table.seconds)
        run.periods.setdefault(table.stage, StagePeriod(start, end)).add(start, end, table)


def parse_time(text: Any) -> datetime | None:
    """Returns the time (UTC) of a line of a log; None where it has none."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def _lines(history: RunHistory, data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            yield found
        else:
            history.malformed += 1


def _table(history: RunHistory, line: dict[str, Any]) -> LoggedTable | None:
    try:
        return LoggedTable(
            str(line["stage"]),
            str(line["owner"]),
            str(line["shard"]),
            int(line["rows"]),
            float(line["seconds"]),
            int(line["written_bytes"]),
            str(line["error"]),
        )
    except (KeyError, TypeError, ValueError):
        history.malformed += 1
        return None
