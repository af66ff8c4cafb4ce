"""Shows progress bars on a terminal; without one, prints only the lines of finished steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress import Progress, Task, TaskID
from rich.spinner import Spinner
from rich.text import Text

from corpus.printable import printable
from pipelines.report.bar_layout import BarState, bar_lines, minutes_text
from pipelines.report.terminal import Terminal, Verbosity, print_line

_MAX_NAME, _MAX_TEXT = 200, 1_000  # characters
_SPARE_LINES = 2  # of the terminal, below the bars


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
        """Sets what else there is about it, in parts with semicolons between them: beside the bar, or below it."""
        self._progress.update(self._task, text=text)

    def set_progress(self, done: int, total: int) -> None:
        """Sets how many items of how many are done."""
        self._progress.update(self._task, completed=done, total=total)


class _Bars(Progress):
    """The display of all bars, for the size that the terminal has now."""

    _spinner = Spinner("dots")

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yields the lines of the bars. Rich calls this whenever it draws them."""
        if not self.tasks:
            return  # rich's constructor asks, too
        now_s = self.get_time()
        mark = self._spinner.render(now_s)
        assert isinstance(mark, Text)
        states = [_state(task) for task in self.tasks]
        width, height = self.console.size
        yield from bar_lines(states, mark, width, max(1, height - _SPARE_LINES), now_s)


def _state(task: Task) -> BarState:
    parts = [part for part in printable(task.fields["text"], _MAX_TEXT).split("; ") if part]
    if task.time_remaining and not parts:  # a stage's bar has parts, and the bar over all stages the estimate
        parts.append(f"about {minutes_text(task.time_remaining)} left")
    total = None if task.total is None else int(task.total)
    return BarState(printable(task.description, _MAX_NAME), int(task.completed), total, task.elapsed or 0.0, parts)


class ProgressBars:
    """The progress bars of a run, below the lines that have been printed."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._progress = _Bars(
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
