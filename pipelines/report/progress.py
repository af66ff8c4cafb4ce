"""Progress on a terminal; one line for each finished step where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipelines.report.terminal import Terminal, print_line


@dataclass
class Bar:
    """One step's progress."""

    _progress: Progress
    _task: TaskID

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance(self._task)

    def say(self, text: str) -> None:
        """What stands beside the bar."""
        self._progress.update(self._task, said=text)

    def at(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._progress.update(self._task, completed=done, total=total)


class Bars:
    """Bars that come and go below the lines that stay."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @contextmanager
    def bar(self, name: str, total: int | None = None) -> Iterator[Bar]:
        """A bar that is there while the block runs; without a total, one that only shows that something goes on."""
        task = self._progress.add_task(name, total=total, said="")
        try:
            yield Bar(self._progress, task)
        finally:
            self._progress.remove_task(task)

    def note(self, line: str) -> None:
        """A line that stays."""
        print_line(self._console, line)
