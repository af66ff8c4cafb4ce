"""Shows progress bars on a terminal; without one, prints only the lines of finished steps."""

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

from pipelines.report.terminal import Terminal, Verbosity, print_line


@dataclass
class ProgressBar:
    """The progress bar of one step."""

    _progress: Progress
    _task: TaskID

    def advance(self) -> None:
        """Counts one more item as done."""
        self._progress.advance(self._task)

    def close(self) -> None:
        """Removes the bar."""
        self._progress.remove_task(self._task)

    def set_text(self, text: str) -> None:
        """Sets the text beside the bar."""
        self._progress.update(self._task, text=text)

    def set_progress(self, done: int, total: int) -> None:
        """Sets how many items of how many are done."""
        self._progress.update(self._task, completed=done, total=total)


class ProgressBars:
    """The progress bars of a run, below the lines that have been printed."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.verbosity == Verbosity.QUIET,
        )

    def __enter__(self) -> ProgressBars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def open_bar(self, name: str, total: int | None = None) -> ProgressBar:
        """Shows a bar until it is closed; without a total, one that only shows that something is going on."""
        return ProgressBar(self._progress, self._progress.add_task(name, total=total, text=""))

    @contextmanager
    def bar(self, name: str, total: int | None = None) -> Iterator[ProgressBar]:
        """Shows a bar while the block runs."""
        bar = self.open_bar(name, total)
        try:
            yield bar
        finally:
            bar.close()

    def print_line(self, line: str, verbosity: Verbosity = Verbosity.NORMAL) -> None:
        """Prints a line above the bars."""
        print_line(self._console, line, verbosity)
