"""Follows a run from its log in the workspace: of this machine or another, of this moment or one that has ended.

The log is written every 15 seconds, so that is how old what is seen may be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from corpus.printable import printable
from corpus.storage import MissingError, Store
from corpus.strict_parse import parse_json
from corpus.workspace import owner_name
from pipelines.report.run_history import parse_time
from pipelines.report.terminal import Terminal, print_line

_POLL_S = 5.0
_ERRORS = 3
_ERROR_CHARACTERS = 300


@dataclass
class StageProgress:
    """The progress of one stage in a run: shards by what they do, rows that were written, and seconds of workers."""

    total: int = 0
    waiting: int = 0
    ready: int = 0
    running: int = 0
    failed: int = 0
    starving: bool = False
    written: int = 0
    rows: int = 0
    seconds: float = 0.0  # of all workers together


@dataclass
class RunProgress:
    """The progress of a run, as its log has it."""

    run: str
    started: datetime | None = None
    last_event: datetime | None = None  # when the last event or shard was logged
    ended: datetime | None = None
    error: str = ""
    stages: dict[str, StageProgress] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)  # the last ones

    @property
    def seconds(self) -> float:
        """The seconds from its start to the last event that was logged."""
        end = self.ended or self.last_event
        return (end - self.started).total_seconds() if self.started and end else 0.0

    @property
    def remaining_s(self) -> float | None:
        """The seconds that are left at the rate so far, by shards of the stages that have begun; None: not known."""
        begun = [stage for stage in self.stages.values() if stage.total]
        open_tables = sum(stage.waiting + stage.ready + stage.running for stage in begun)
        done = sum(stage.written for stage in begun)
        return self.seconds * open_tables / done if done and not self.ended else None


def read_progress(store: Store) -> RunProgress | None:
    """Returns the progress of the newest run; None where there has been none. Lines that are none of a log are left
    out: the last one may be half written.
    """
    names = sorted(name for name in store.names("runs") if name.endswith(".jsonl"))
    if not names:
        return None
    try:
        data = store.read(f"runs/{names[-1]}")
    except MissingError:
        return None
    found = RunProgress(names[-1].removesuffix(".jsonl"))
    for line in data.splitlines():
        try:
            _add(found, parse_json(line))
        except (ValueError, AttributeError, TypeError, KeyError):
            continue
    return found


def _add(progress: RunProgress, line: Any) -> None:
    if at := parse_time(line.get("at")):  # older logs have none of shards
        progress.last_event = at
    if "event" in line:
        match line["event"]:
            case "started":
                progress.started = at
            case "ended":
                progress.ended, progress.error = at, str(line.get("error", ""))
                for stage in progress.stages.values():
                    stage.waiting = stage.ready = stage.running = 0
            case "progress":
                _add_counts(progress, line["steps"])
        return
    stage = progress.stages.setdefault(str(line["stage"]), StageProgress())
    if line["error"]:
        stage.failed += 1
        where = f"{line['stage']} {owner_name(str(line['owner']))}/{line['shard']}"
        progress.errors = [*progress.errors, f"{where}: {line['error']}"][-_ERRORS:]
    else:
        stage.written += 1
        stage.rows += int(line["rows"])
    stage.seconds += float(line["seconds"])


def _add_counts(progress: RunProgress, steps: dict[str, Any]) -> None:
    for name, stage in progress.stages.items():
        if name not in steps:  # it is complete
            stage.waiting = stage.ready = stage.running = 0
            stage.starving = False
    for name, counts in steps.items():
        stage = progress.stages.setdefault(str(name), StageProgress())
        for key in ("total", "waiting", "ready", "running"):
            setattr(stage, key, int(counts[key]))
        stage.starving = bool(counts.get("starving", False))


def progress_table(progress: RunProgress) -> Table:
    """Returns what a run has done, stage by stage, as a table with a line below it."""
    table = Table(title=f"run {progress.run}", title_justify="left", caption=_summary(progress), caption_justify="left")
    table.add_column("stage", no_wrap=True)
    for column in ("done", "running", "ready", "waiting", "failed", "rows", "rows/s of a worker", ""):
        table.add_column(column, justify="left" if not column else "right")
    for name, stage in progress.stages.items():
        counts = (stage.written, stage.running, stage.ready, stage.waiting, stage.failed, stage.rows)
        rate = f"{stage.rows / stage.seconds:,.0f}" if stage.seconds > 0 and stage.rows else ""
        style = "red" if stage.failed else "green" if not stage.running + stage.ready + stage.waiting else ""
        cells = (f"{count:,}" if count else "" for count in counts)
        table.add_row(Text(name, style=style), *cells, rate, "starves" if stage.starving else "")
    return table


def _summary(progress: RunProgress) -> str:
    lines = [f"{_duration(progress.seconds)} so far" if not progress.ended else f"ended: {_duration(progress.seconds)}"]
    if progress.remaining_s is not None:
        lines[0] += f", about {_duration(progress.remaining_s)} left of the stages that have begun"
    if progress.error:
        lines.append(printable(progress.error, _ERROR_CHARACTERS))
    lines += [f"failed: {printable(error, _ERROR_CHARACTERS)}" for error in progress.errors]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def follow(
    console: Terminal, store: Store, is_held: Callable[[], bool], pause: Callable[[float], None] = time.sleep
) -> None:
    """Shows the progress of the newest run until it ends, or nobody holds the workspace any more."""
    if not console.is_terminal:
        for progress in _states(store, is_held, pause):
            line = ", ".join(
                f"{name} {stage.written}/{stage.total or stage.written}" for name, stage in progress.stages.items()
            )
            print_line(console, f"{_duration(progress.seconds)} {line}{': ended' if progress.ended else ''}")
        return
    with Live(console=console, auto_refresh=False) as live:
        for progress in _states(store, is_held, pause):
            live.update(progress_table(progress), refresh=True)


def _states(store: Store, is_held: Callable[[], bool], pause: Callable[[float], None]) -> Iterator[RunProgress]:
    """Yields the progress whenever something new was logged."""
    last: RunProgress | None = None
    while True:
        held = is_held()  # before the log is read: what a run writes at its end is read
        progress = read_progress(store)
        if progress is not None and progress != last:
            last = progress
            yield progress
        if not held or (progress is not None and progress.ended is not None):
            return
        pause(_POLL_S)
